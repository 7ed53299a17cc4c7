"""Faults that no other test injects, each by its drill, which judges; the rest are `make drills`."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually
from vgw_lab import faults

from .conftest import REPOSITORY, Lab

DRILLS = (
    "freeze-node",
    "kill-vrrp",
    "lan-flaps",
    "lan-partition",
    "sync-down",
    "burst",
)


def listing() -> str:
    vgw = [sys.executable, "-m", "appliance", "lab", "drills", "--json"]
    return subprocess.run(vgw, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("drill", DRILLS)
def test_a_drill_is_held(standard_lab: Lab, drill: str, bound: Bound) -> None:
    (verdict,) = standard_lab.json("drill", drill)["verdicts"]
    moves = faults.FAULTS[drill].moves
    if moves is not None:
        assert verdict["after"] == ("backup" if moves else "master")
    assert verdict["untranslated"] == 0, verdict
    with bound:
        assert verdict["broken"] == []


def test_a_drill_of_a_frozen_keepalived_tells_what_is_not_promised(
    standard_lab: Lab, bound: Bound
) -> None:
    done = standard_lab("drill", "freeze-vrrp")
    assert "freeze-vrrp" in done.stdout, done.stderr
    said = " ".join(done.stdout.split())
    with bound:
        assert "both held the VGW for" in said, "nobody takes it from a frozen node"
        assert "both answered for" not in said
        assert done.returncode == 0


def test_drills_are_listed_with_the_rows_that_they_show(standard_lab: Lab) -> None:
    listed = {one["drill"]: one["rows"] for one in json.loads(listing())}
    assert listed["freeze-node"] == [5, 6]
    refused = standard_lab("drill", "nosuch")
    assert refused.returncode == 1
    assert all(name in refused.stderr for name in listed)


@pytest.mark.parametrize("drill", ["freeze-node", "adverts-lost"])
def test_ctrl_c_leaves_nothing_frozen_and_nothing_lost(standard_lab: Lab, drill: str) -> None:
    running = subprocess.Popen(
        standard_lab.argv("drill", drill),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout
    assert "which is MASTER" in running.stdout.readline()
    os.killpg(running.pid, signal.SIGINT)
    _, complaints = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert "Traceback" not in complaints
    for node in ("master", "backup"):
        assert "drill_" not in standard_lab.exec(node, "nft", "list", "tables").stdout
        # Every process of the node goes on: none is stopped.
        states = standard_lab.exec(node, "sh", "-c", "cat /proc/[0-9]*/status").stdout
        assert "State:" in states
        assert "State:\tT" not in states
    assert eventually(lambda: standard_lab.nodes()["master"]["role"] == "MASTER")
