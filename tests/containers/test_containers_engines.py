"""The lab's verbs on containers: the same scenarios as on namespaces, with the same verdicts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bound, Figure
from tests.containers import engine
from tests.containers.pair import NODES
from tests.waiting import eventually
from vgw_lab import faults

DRILLS = ("power-off", "clean-stop", "stop-keepalived", "kill-keepalived", "lan-down", "wan-down")
VERDICT = ("drill", "before", "after", "untranslated", "duplicates")


class Lab:
    """`vgw lab …` for a lab of the engine's name, with that engine said by the environment."""

    def __init__(self, kind: str, url: str, state: Path) -> None:
        self.kind = kind
        self.name = f"t{os.getpid()}-{kind}"
        self.variables = {
            **engine.environment(url),
            "VGW_LAB_ENGINE": kind,
            "XDG_STATE_HOME": str(state),
        }

    def __call__(self, verb: str, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "appliance", "lab", verb, "--name", self.name, *words],
            cwd=engine.REPOSITORY,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def must(self, verb: str, *words: str) -> str:
        done = self(verb, *words)
        assert done.returncode == 0, f"{self.kind}: {verb} {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, verb: str, *words: str) -> Any:
        done = self(verb, *words, "--json")
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def labs(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Lab]]:
    """A lab of each engine. It comes before the pair of the other tests, which has the same prefixes."""
    state = tmp_path_factory.mktemp("state")
    found = {kind: Lab(kind, engine_url, state) for kind in ("namespaces", "containers")}
    try:
        for lab in found.values():
            assert "is MASTER, 8.8.8.8 answers" in lab.must("up")
        yield found
        for lab in found.values():
            assert "and 0 untranslated" in lab.must("down")
            assert "is not up" in lab.must("down")
        assert not list(state.glob("vgw/*"))
    finally:
        for lab in found.values():
            lab("down")


def course(lab: Lab) -> list[str]:
    """Each check of the course sheet with its mark; how many pings it took is another each time."""
    return re.sub(r"\d+ of \d+ answered", "answered", lab.must("course")).splitlines()


def verdict(lab: Lab, drill: str, bound: Bound) -> dict[str, Any]:
    """What the drill came to. Whether a killed keepalived is back before it is missed is chance."""
    found = lab.json("drill", drill)
    assert found["engine"] == lab.kind
    (seen,) = found["verdicts"]
    with bound:
        assert seen["broken"] == []
    told = {key: seen[key] for key in VERDICT}
    if not faults.FAULTS[drill].moves:
        assert told.pop("after") in NODES
    return told


def test_the_course_sheet_shows_the_same_on_both_engines(labs: dict[str, Lab]) -> None:
    shown = course(labs["containers"])
    assert shown == course(labs["namespaces"])
    assert "  ok   on backup: ip addr show eth1: lists 192.168.100.3/24, 192.168.100.99/24" in shown


@pytest.mark.parametrize("drill", DRILLS)
def test_a_drill_ends_with_the_same_verdict_on_both_engines(
    labs: dict[str, Lab], drill: str, bound: Bound
) -> None:
    told = verdict(labs["containers"], drill, bound)
    assert told == verdict(labs["namespaces"], drill, bound)
    wanted = {"drill": drill, "before": "master", "untranslated": 0, "duplicates": 0}
    if faults.FAULTS[drill].moves:
        wanted["after"] = "backup"
    assert told == wanted


def test_verbs_find_by_themselves_which_engine_has_the_lab(labs: dict[str, Lab]) -> None:
    for kind, lab in labs.items():
        said = lab.variables.pop("VGW_LAB_ENGINE")
        assert lab.json("status")["engine"] == kind
        assert lab("exec", "noeud2", "--", "sh", "-c", "exit 7").returncode == 7
        assert "supervisord started" in lab.must("logs", "master")
        lab.variables["VGW_LAB_ENGINE"] = said


def test_a_node_is_switched_off_and_on(labs: dict[str, Lab]) -> None:
    lab = labs["containers"]
    lab.must("stop", "backup")
    assert lab.json("status")["nodes"]["backup"]["role"] == "off"
    assert "the node is off" in lab("exec", "backup", "true").stderr
    lab.must("start", "backup")
    assert eventually(lambda: lab.json("status")["nodes"]["backup"]["role"] == "BACKUP")


def test_hot_standby_in_containers_forwards_before_vrrp_notices(
    labs: dict[str, Lab], figure: Figure, bound: Bound
) -> None:
    lab = labs["containers"]
    assert "and 0 untranslated" in lab.must("down")
    lab.must("up", "--profile", "hot")
    (told,) = lab.json("drill", "power-off")["verdicts"]
    figure(f"docker kill, hot: {told['gap']} ms, and VRRP's takeover {told['takeover']} ms")
    assert (told["after"], told["untranslated"]) == ("backup", 0)
    with bound:
        # How long a dead container's network lives on is the kernel's affair, and grows with the load.
        assert told["gap"] < told["takeover"], told
