"""The standby knows every flow: in time, for as long as it lives, and whatever becomes of a daemon."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually, waited
from vgw_lab.instruments import service
from vgw_lab.worlds import topology

from .conftest import REPOSITORY, Lab, judged, told

AT_REST = 3 * PATIENCE  # after replication that was degraded: a bulk, and the hold time
QUIET_SECONDS = 12  # twice as long as a canary is sure to stay
SECONDS = 3  # the UDP timers of the lab whose flows must outlive them
# Asks who it seems to be, twice a second until its input ends, and prints each new answer once.
ASK = f"""
import select, socket, struct, sys
known = set()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
    flow.bind(("", 5555))
    flow.connect(("8.8.8.8", {service.WHO}))
    number = 0
    while sys.stdin not in select.select([sys.stdin], [], [], 0.5)[0]:
        number += 1
        flow.send(struct.pack("!Q", number).ljust({service.FRAME}, b"\\0"))
        while select.select([flow], [], [], 0.05)[0]:
            name = flow.recv(2048)[8:].rstrip(b"\\0").decode()
            if name not in known:
                known.add(name)
                print(name, flush=True)
"""


def pair(lab: Lab, node: str) -> dict[str, Any]:
    """What a node says of the pair."""
    found: dict[str, Any] = told(lab, node)["pair"]
    return found


def must(lab: Lab, node: str, *command: str) -> str:
    """What a program that has to succeed printed on a node."""
    done = lab.exec(node, *command)
    assert done.returncode == 0, f"{node}: {command}: {done.stdout}{done.stderr}"
    return done.stdout


def recorded(lab: Lab, node: str, kind: str = "") -> list[dict[str, Any]]:
    """The events that a node tells, of one kind or of all."""
    lines = must(lab, node, "vgw", "events", "--json").splitlines()
    return [one for one in map(json.loads, lines) if not kind or one["kind"] == kind]


def kill(lab: Lab, node: str, program: str) -> None:
    """End one of a node's programs as a crash would."""
    socket = "unix:///run/vgw/supervisor.sock"
    said = must(lab, node, "supervisorctl", "-s", socket, "signal", "KILL", program)
    assert said == f"{program}: signalled\n"


def at_rest(lab: Lab) -> bool:
    """Whether the pair is as it should be: one MASTER, one BACKUP that could follow it."""
    try:
        master, backup = told(lab, "master"), told(lab, "backup")
    except ValueError:
        return False  # one that starts has told nothing yet
    lacking = [node["pair"][word] for node in (master, backup) for word in ("degraded", "behind")]
    roles = (master["role"], backup["role"])
    return roles == ("MASTER", "BACKUP") and backup["ready"] and not any(lacking)


@pytest.fixture
def lab(standard_lab: Lab) -> Lab:
    assert eventually(lambda: at_rest(standard_lab), AT_REST), standard_lab.must("status")
    return standard_lab


@contextmanager
def asking(lab: Lab, machine: str) -> Iterator[Callable[[], list[str]]]:
    """A UDP flow that asks who it is; the function ends it and returns all the answers there were."""
    asker = subprocess.Popen(
        lab.argv("exec", machine, "--", "python3", "-c", ASK),
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def answers() -> list[str]:
        return asker.communicate(timeout=PATIENCE)[0].split()

    try:
        yield answers
    finally:
        if asker.poll() is None:
            asker.communicate(timeout=PATIENCE)


def caught_up(lab: Lab, node: str) -> int:
    """How often a node has taken in the whole table."""
    return lab.read(node, "/run/vgw/events.jsonl").count('"caught up"')


def flow_on(lab: Lab, node: str, source: str) -> str:
    """The asker's entry in a node's table, or nothing."""
    words = f"conntrack -L -p udp --orig-port-src 5555 --orig-src {source}"
    return lab.exec(node, *words.split()).stdout


@pytest.fixture
def short_lab(tmp_path: Path) -> Iterator[Lab]:
    file = tmp_path / "gateway.yaml"
    timers = f"{{udp: {SECONDS}, udp_stream: {SECONDS}}}"
    file.write_text(f"{topology.gateway_yaml()}timeouts: {timers}\n")
    lab = Lab("short")
    lab.must("up", "--config", str(file))
    yield from judged(lab)


def test_a_udp_flow_outlives_its_timer_a_dead_conntrackd_and_the_master(short_lab: Lab) -> None:
    lab = short_lab
    destroyed = "conntrack -E -e DESTROY -p udp --orig-port-src 5555 & read _; kill $!; wait"
    watching = subprocess.Popen(
        lab.argv("exec", "master", "--", "sh", "-c", destroyed),
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with asking(lab, "noeud1") as first, asking(lab, "noeud2") as second:
        sources = ("192.168.100.10", "192.168.100.20")
        assert eventually(lambda: all(flow_on(lab, "backup", source) for source in sources))

        def lives(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                assert all(flow_on(lab, "backup", source) for source in sources)

        lives(5 * SECONDS)
        former = lab.exec(*(pid := ("backup", "pgrep", "-x", "conntrackd"))).stdout
        times = caught_up(lab, "backup")
        kill(lab, "backup", "conntrackd")
        assert eventually(lambda: lab.exec(*pid).stdout not in ("", former))
        # Of two with one source port the moved one is dropped until all has been told in order.
        assert eventually(lambda: caught_up(lab, "backup") > times)
        lives(5 * SECONDS)
        assert eventually(lambda: at_rest(lab), AT_REST)
        assert watching.communicate("\n", timeout=PATIENCE)[0] == "", (
            "a live flow ended on the MASTER"
        )
        lab.drilled("power-off")
        answers = [first(), second()]
    assert [len(names) for names in answers] == [1, 1], "a flow changed its outside port"
    assert answers[0] != answers[1], "both have the same source port, so one was given another"


def test_a_switchover_hands_over_and_comes_back_by_request_only(lab: Lab) -> None:
    said = must(lab, "master", "vgw", "switchover")
    assert said.startswith("backup is MASTER and master is BACKUP"), said
    assert eventually(lambda: told(lab, "backup")["role"] == "MASTER")
    standing = told(lab, "master")
    assert standing["ready"], "it still covers a crash of the peer"
    assert standing["pair"]["reason"] == "a switchover gave the VGW to the peer"
    refused = lab.exec("master", "vgw", "switchover")
    assert refused.returncode == 1
    assert "only the MASTER can hand over; backup is: run `vgw switchover` there" in refused.stderr
    stranger = lab.exec("backup", "vgw", "switchover", "--to", "nobody")
    assert "there is no such node; the peer is master" in stranger.stderr
    assert (
        must(lab, "backup", "vgw", "switchover", "--to", "backup") == "backup is MASTER already\n"
    )
    for _ in range(2):  # there and back, and once more: nobody keeps standing aside
        must(lab, "backup", "vgw", "switchover", "--to", "master")
        assert eventually(lambda: at_rest(lab), AT_REST)
        must(lab, "master", "vgw", "switchover")
    must(lab, "backup", "vgw", "switchover")
    assert eventually(lambda: at_rest(lab), AT_REST)
    assert any("now BACKUP" in line for line in changes(lab, "master"))
    assert eventually(lambda: "now MASTER" in changes(lab, "master")[-1])


def test_a_switchover_to_a_peer_that_is_not_ready_is_refused(lab: Lab) -> None:
    lab.must("stop", "backup")
    try:
        assert eventually(lambda: pair(lab, "master")["peer"] is None)
        refused = lab.exec("master", "vgw", "switchover")
        assert refused.returncode == 1
        assert "nobody is there to take over" in refused.stderr
    finally:
        lab.must("start", "backup")


def test_a_peer_that_comes_back_costs_the_standby_nothing(lab: Lab) -> None:
    before = len(changes(lab, "backup"))
    lab.drilled("power-off")
    assert eventually(lambda: at_rest(lab), AT_REST)
    said = "\n".join(events(lab, "master"))  # begun anew when its power came back
    assert re.search(r"caught up with backup after [\d.]+ s: \d+ entries", said), said
    assert eventually(lambda: "now BACKUP" in changes(lab, "backup")[-1])
    roles = [line.split(" now ")[1].split(":")[0] for line in changes(lab, "backup")[before:]]
    assert roles == ["MASTER", "BACKUP"], "it kept its replicas, and was ready all the time"


def test_an_agent_that_is_killed_changes_nothing(lab: Lab) -> None:
    for node in ("master", "backup"):
        before = told(lab, node)
        lines = len(changes(lab, node))
        kill(lab, node, "agent")
        assert eventually(partial(wrote_since, lab, node, before["written"]))
        assert eventually(lambda: at_rest(lab), AT_REST)
        assert eventually(lambda node=node, at=lines: len(changes(lab, node)) > at)  # type: ignore[misc]
        roles = [line.split()[3] for line in changes(lab, node)[lines:]]
        assert roles == [before["role"] + ":"], "it found its role, and had no other in between"


def changes(lab: Lab, node: str) -> list[str]:
    """A node's changes of role, as people read them."""
    return [line for line in events(lab, node) if " now " in line]


def events(lab: Lab, node: str) -> list[str]:
    """A node's events."""
    return must(lab, node, "vgw", "events").splitlines()


def wrote_since(lab: Lab, node: str, written: float) -> bool:
    """Whether a node's agent has written its status since."""
    return bool(told(lab, node)["written"] > written)


@contextmanager
def blocked(lab: Lab, node: str, rule: str) -> Iterator[None]:
    """Drop what fits a rule for a while, in a table that is not the gateway's."""
    lines = (
        "table inet block { chain lose { type filter hook prerouting priority -400; %s drop; }; }"
    )
    must(lab, node, "nft", lines % rule)
    try:
        yield
    finally:
        must(lab, node, "nft", "delete table inet block")


def test_replication_that_dies_silently_is_found_and_the_roles_stay(lab: Lab, bound: Bound) -> None:
    before = len(events(lab, "backup"))
    with blocked(lab, "backup", "udp dport 3780"):
        here = waited(lambda: pair(lab, "backup")["degraded"])
        there = waited(lambda: pair(lab, "master")["degraded"])
        print(f"found after {here:.1f} s, and told the peer after {there:.1f} s more")
        with bound:
            assert here <= 15
            assert there <= 15
        assert (told(lab, "master")["role"], told(lab, "backup")["role"]) == ("MASTER", "BACKUP")
        assert "vgw_replication_degraded 1.0" in must(lab, "backup", "vgw", "metrics")
        assert "degraded" in must(lab, "backup", "vgw", "status")
    assert eventually(lambda: at_rest(lab), AT_REST)
    said = "\n".join(events(lab, "backup")[before:])
    assert "replication is degraded: no flow from master has arrived" in said
    assert "replication works again" in said


def test_a_dead_way_out_moves_the_vgw_only_where_the_peers_works(lab: Lab, bound: Bound) -> None:
    with blocked(lab, "master", 'iifname "eth0"'):
        moved = waited(lambda: told(lab, "backup")["role"] == "MASTER")
        with bound:
            assert moved <= 5
        assert eventually(lambda: told(lab, "master")["role"] == "FAULT")
        reason = pair(lab, "master")["reason"]
        assert (
            "drops the answers to what came from inside" in reason
            or "the way out is dead" in reason
        )
    assert eventually(lambda: at_rest(lab), AT_REST)


def test_a_target_that_is_dead_for_both_moves_nobody(lab: Lab) -> None:
    changes = [told(lab, node)["role_changes"] for node in ("master", "backup")]
    with blocked(lab, "internet", "icmp type echo-request"):
        assert eventually(lambda: pair(lab, "master")["uplink"] is False)
        assert eventually(lambda: pair(lab, "backup")["uplink"] is False)
    assert eventually(lambda: pair(lab, "master")["uplink"] and pair(lab, "backup")["uplink"])
    roles = [told(lab, node) for node in ("master", "backup")]
    assert at_rest(lab)
    assert roles[0]["role_changes"] == changes[0], "the MASTER stayed"


def test_both_nodes_start_together_and_never_two_hold_the_vgw(lab: Lab) -> None:
    for node in ("backup", "master"):
        lab.must("stop", node)
    starting = [
        subprocess.Popen(lab.argv("start", node), cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        for node in ("master", "backup")
    ]
    began = time.monotonic()
    holders: list[str] = []
    while len(holders) < 1:
        assert time.monotonic() - began < PATIENCE
        holders = holding(lab)
        assert len(holders) <= 1
    print(f"MASTER after {time.monotonic() - began:.1f} s, the processes' own start included")
    assert [one.wait(timeout=PATIENCE) for one in starting] == [0, 0]
    assert eventually(lambda: at_rest(lab), AT_REST)
    assert holding(lab) == ["master"]


def holding(lab: Lab) -> list[str]:
    """The nodes that have the VGW on an interface."""
    nodes = lab.nodes()
    return [name for name, node in nodes.items() if node.get("holds_vgw")]


def test_a_quiet_pair_lacks_nothing_and_a_table_that_is_emptied_is_told_and_fetched(
    lab: Lab,
) -> None:
    def lacks() -> str:
        return str(told(lab, "backup")["pair"]["behind"])

    assert eventually(lambda: told(lab, "backup")["ready"] and not lacks())
    end = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < end:
        assert not lacks(), "an entry that leaves in its time is no emptied table"
        time.sleep(0.3)
    must(lab, "backup", "conntrack", "-F")
    assert eventually(lambda: "yet to fetch" in lacks())
    assert eventually(lambda: not lacks()), lacks()
