"""A run directory that is full, or read-only: the node serves, takes over and lets go, or ends so that its peer serves."""

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually, waited
from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import Lab
from .test_lab_anew import TAKEOVER_SECONDS, pings, power_off

NODES = ("master", "backup")
FULL = "mount -o remount,size=1m /run; ! dd if=/dev/zero of=/run/full bs=4k 2>/dev/null"
ROOM = "rm -f /run/full; mount -o remount,size=64m /run"
READ_ONLY = "mount -o remount,bind,ro /run"
# What comes from inside goes nowhere, so that this node is not fit to be MASTER.
UNFIT, FIT = "ip rule add pref 10 iif eth1 blackhole", "ip rule del pref 10"
# A guard that cannot have its MASTER let go for 10 s ends the node.
ENDED_SECONDS = 20.0


def sh(lab: Lab, node: str, command: str) -> None:
    done = lab.exec(node, "sh", "-ec", command)
    assert done.returncode == 0, done.stderr


def ails(lab: Lab, node: str, why: str) -> bool:
    done = lab.exec(node, "vgw", "health")
    return done.returncode == 1 and why in done.stderr


@pytest.fixture
def wires(standard_lab: Lab) -> NamespaceLab:
    found = NamespaceLab(standard_lab.name)
    found.wait_healthy(PATIENCE)
    return found


def test_on_full_disks_the_pair_tells_takes_over_and_lets_go(
    standard_lab: Lab, wires: NamespaceLab, bound: Bound
) -> None:
    lab = standard_lab
    for node in NODES:
        sh(lab, node, FULL)
    assert eventually(lambda: all(ails(lab, node, "/run/vgw is full") for node in NODES))
    with power_off(lab, wires, "master"):
        leads = waited(lambda: pings(lab), told=lambda: wires.log("backup", 40))
        assert eventually(lambda: wires.holders() == ("backup",)), wires.log("backup", 40)
        sh(lab, "backup", ROOM)
    with bound:
        assert leads <= TAKEOVER_SECONDS
    sh(lab, "master", FULL)
    sh(lab, "master", UNFIT)
    assert eventually(lambda: wires.holders() == ("backup",)), wires.log("master", 40)
    sh(lab, "master", FIT)
    sh(lab, "master", ROOM)
    wires.wait_healthy(PATIENCE)
    assert "Traceback" not in wires.log("master", 1000) + wires.log("backup", 1000)


def test_a_master_that_cannot_let_go_on_a_read_only_disk_ends_and_its_peer_serves(
    standard_lab: Lab, wires: NamespaceLab, bound: Bound
) -> None:
    lab = standard_lab
    sh(lab, "master", READ_ONLY)
    assert eventually(lambda: ails(lab, "master", "/run/vgw is read-only"))
    assert pings(lab), "it serves"
    sh(lab, "master", UNFIT)
    ended = waited(lambda: wires.holders() == ("backup",), told=lambda: wires.log("master", 40))
    assert eventually(lambda: pings(lab))
    reason = "vgw: this MASTER should let go for 10 s, and keepalived cannot be told"
    assert eventually(lambda: reason in wires.log("master", 40)), wires.log("master", 40)
    lab.must("stop", "master")
    lab.must("start", "master")
    wires.wait_healthy(PATIENCE)
    with bound:
        assert ended <= ENDED_SECONDS
