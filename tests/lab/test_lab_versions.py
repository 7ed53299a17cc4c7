"""A node of this version beside one of an earlier: they are a pair, and an upgrade costs no flow."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE, eventually
from vgw_lab.instruments import service

from .conftest import REPOSITORY, Lab, judged, told
from .test_lab_replication import AT_REST, at_rest, must, pair

EARLIER = "01f73eb"
PINNED = "setup/requirements/runtime.txt"
FLOWS = 40  # of each kind


@pytest.fixture(scope="module")
def mixed_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose backup runs the earlier version."""
    archive = subprocess.run(
        ["git", "-C", str(REPOSITORY), "archive", EARLIER, "appliance", PINNED],
        capture_output=True,
        check=False,
    )
    if archive.returncode != 0:
        why = archive.stderr.decode(errors="replace").strip()
        pytest.skip(f"NOT JUDGED: two versions in one pair need the history of git: {why}")
    source: Path = tmp_path_factory.mktemp(EARLIER)
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True)
    # It runs with the packages that it was pinned to: this version may have others, or none of the kind.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--require-hashes", "--no-deps", "--target", str(source)]
    done = subprocess.run(
        [*pip, *options, "-r", str(source / PINNED)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"NOT JUDGED: the packages of {EARLIER} cannot be had: {done.stderr.strip()}")
    lab = Lab("mixed", prefix=("env", f"VGW_LAB_SOURCES=backup={source}"))
    lab.must("up")
    yield from judged(lab)


@contextmanager
def flowing(lab: Lab, first_port: int) -> Iterator["subprocess.Popen[str]"]:
    """Flows of three kinds from noeud1 that are all open, and told of by `all_live`."""
    words = [
        word
        for number, mode in enumerate(("client", "server", "udp"))
        for word in ("--flows", mode, mode, str(FLOWS), str(first_port + number * FLOWS))
    ]
    argv = [sys.executable, "-m", "vgw_lab.instruments.flows", *words]
    flows = subprocess.Popen(
        lab.argv("exec", "noeud1", "--", *argv),
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert flows.stdout
        assert flows.stdout.readline() == f"flowing {3 * FLOWS}\n"
        yield flows
    finally:
        flows.communicate(timeout=PATIENCE)


def all_live(flows: "subprocess.Popen[str]") -> None:
    """Have each flow show that it lives, and came out at the same outside address and port as ever."""
    assert flows.stdin
    assert flows.stdout
    flows.stdin.write("\n")
    flows.stdin.flush()
    found: dict[str, Any] = json.loads(flows.stdout.readline())
    assert set(found) == {"client", "server", "udp"}
    for kind, tally in found.items():
        assert (tally["broken"], tally["changed"]) == ({}, 0), (kind, tally)
        assert tally["alive"] == FLOWS, (kind, tally)


def held(lab: Lab, node: str) -> set[str]:
    """The outside ports of noeud1's flows in a node's table."""
    told = must(lab, node, "conntrack", "-L", "--orig-src", "192.168.100.10")
    ports = (f"dport={service.WHO} ", f"dport={service.TICKER} ")
    lines = [line for line in told.splitlines() if any(port in line for port in ports)]
    return {f"{line.split()[0]} {line.rsplit('dport=', 1)[1].split()[0]}" for line in lines}


def hand_over(lab: Lab, node: str) -> str:
    """What a switchover away from a node says; asked again while the peer has yet to fetch what a busy machine lost."""
    said: list[str] = []

    def handed_over() -> bool:
        done = lab.exec(node, "vgw", "switchover")
        said.append(done.stdout + done.stderr)
        assert done.returncode == 0 or "lacks replicas" in said[-1], said
        return done.returncode == 0

    assert eventually(handed_over), said
    return said[-1]


def test_flows_are_replicated_both_ways_and_a_switchover_each_way_loses_none(
    mixed_lab: Lab,
) -> None:
    lab = mixed_lab
    assert eventually(lambda: at_rest(lab), AT_REST), (told(lab, "master"), told(lab, "backup"))
    assert "schema" in told(lab, "master")
    assert "schema" not in told(lab, "backup"), "it does not run the earlier version"
    with flowing(lab, 20000) as first:
        assert eventually(lambda: held(lab, "backup") >= held(lab, "master") != set())
        assert len(held(lab, "backup")) == 3 * FLOWS
        said = must(lab, "master", "vgw", "switchover")
        assert said.startswith("backup is MASTER and master is BACKUP"), said
        all_live(first)
        with flowing(lab, 30000) as second:
            assert eventually(lambda: len(held(lab, "master")) == 6 * FLOWS), held(lab, "master")
            assert held(lab, "master") == held(lab, "backup")
            said = hand_over(lab, "backup")
            assert said.startswith("master is MASTER and backup is BACKUP"), said
            all_live(first)
            all_live(second)
    assert eventually(lambda: at_rest(lab), AT_REST)


def test_each_tells_of_the_other_what_it_can(mixed_lab: Lab) -> None:
    lab = mixed_lab
    assert eventually(lambda: at_rest(lab), AT_REST)
    for node, peer in (
        ("master", "backup is BACKUP (an older VGW): all is well"),
        # It knows no word for a version, and passes over ours.
        ("backup", "master is MASTER: all is well"),
    ):
        rows = must(lab, node, "vgw", "status").splitlines()
        assert f"peer      {peer}" in rows
        assert not [row for row in rows if row.startswith(("degraded", "behind", "problem"))]
        assert lab.exec(node, "vgw", "health").returncode == 0
    ours, theirs = pair(lab, "master")["peer"], pair(lab, "backup")["peer"]
    assert ours["version"] == ""
    assert ours["config"] == theirs["config"], "the digest that both versions know"
