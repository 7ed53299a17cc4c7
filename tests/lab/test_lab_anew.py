"""An interface that is made anew under its old name, and a keepalived that hangs: the pair still takes over, and one node holds the VGW."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually, waited
from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import Lab, pinging, told

PROFILES = ("standard_lab", "hot_lab", "classic_lab")
READY_SECONDS = 8.0
TAKEOVER_SECONDS = 5.0
# A takeover late by the margin, a look each second, and a new start of keepalived.
HELPED_SECONDS = 12.0


def is_well(lab: Lab, node: str) -> bool:
    return lab.exec(node, "vgw", "health").returncode == 0


def pings(lab: Lab) -> bool:
    ping = ("ping", "-n", "-c", "1", "-W", "1", "8.8.8.8")
    return lab.exec("noeud1", *ping).returncode == 0


def freeze_vrrp(lab: Lab, node: str) -> None:
    """keepalived's VRRP process stands still from now on."""
    frozen = lab.exec(node, "sh", "-ec", "kill -STOP $(cat /run/vgw/vrrp.pid)")
    assert frozen.returncode == 0, frozen.stderr


@contextmanager
def power_off(lab: Lab, wires: NamespaceLab, node: str) -> Iterator[None]:
    """The node without power while the block runs; afterwards the pair is healthy again."""
    lab.must("stop", node)
    try:
        yield
    finally:
        lab.must("start", node)
    wires.wait_healthy(PATIENCE)


def make_anew(lab: Lab, wires: NamespaceLab, node: str, bridge: str) -> None:
    wires.wire(node, bridge, there=False)
    try:
        assert eventually(lambda: told(lab, node)["role"] == "FAULT")
    finally:
        wires.wire(node, bridge, there=True)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bridge", ["lan", "wan"])
def test_a_standby_whose_interface_was_made_anew_takes_over(
    request: pytest.FixtureRequest, profile: str, bridge: str, bound: Bound
) -> None:
    lab: Lab = request.getfixturevalue(profile)
    wires = NamespaceLab(lab.name)
    wires.wait_healthy(PATIENCE)
    make_anew(lab, wires, "backup", bridge)
    follows = waited(lambda: told(lab, "backup")["role"] == "BACKUP")
    healthy = waited(lambda: wires.wait_healthy(PATIENCE))
    assert "made anew, and keepalived does not know the new one" in wires.log("backup", 60)
    with power_off(lab, wires, "master"):
        leads = waited(lambda: pings(lab), told=lambda: wires.log("backup", 40))
        # A hot standby forwards before it holds the VGW.
        assert eventually(lambda: wires.holders() == ("backup",)), wires.log("backup", 40)
    with bound:
        assert follows <= READY_SECONDS
        assert healthy <= READY_SECONDS
        assert leads <= TAKEOVER_SECONDS


@pytest.mark.parametrize("profile", PROFILES)
def test_a_master_whose_lan_was_made_anew_leads_again_and_follows_again(
    request: pytest.FixtureRequest, profile: str
) -> None:
    lab: Lab = request.getfixturevalue(profile)
    wires = NamespaceLab(lab.name)
    wires.wait_healthy(PATIENCE)
    make_anew(lab, wires, "master", "lan")
    # At rest is a pair that is led by the node of the higher priority.
    wires.wait_healthy(PATIENCE)
    with power_off(lab, wires, "backup"):
        assert pings(lab)
        assert wires.holders() == ("master",)


def test_both_nodes_one_after_the_other(standard_lab: Lab, bound: Bound) -> None:
    wires = NamespaceLab(standard_lab.name)
    wires.wait_healthy(PATIENCE)
    for node in ("backup", "master"):
        make_anew(standard_lab, wires, node, "lan")
        leads = waited(lambda: pings(standard_lab))
        with bound:
            assert leads <= TAKEOVER_SECONDS
    wires.wait_healthy(PATIENCE)


def test_a_vgw_that_nobody_holds_is_told_and_a_frozen_keepalived_started_anew(
    standard_lab: Lab, bound: Bound
) -> None:
    wires = NamespaceLab(standard_lab.name)
    wires.wait_healthy(PATIENCE)
    freeze_vrrp(standard_lab, "backup")
    with power_off(standard_lab, wires, "master"):
        assert eventually(lambda: not is_well(standard_lab, "backup"))
        helped = waited(lambda: pings(standard_lab), told=lambda: wires.log("backup", 40))
        assert "nobody holds the VGW for" in wires.log("backup", 60)
        assert eventually(lambda: is_well(standard_lab, "backup"))
    with bound:
        assert helped <= HELPED_SECONDS


def test_a_keepalived_that_hangs_and_was_told_to_let_go_is_started_anew(
    standard_lab: Lab, tmp_path: Path
) -> None:
    wires = NamespaceLab(standard_lab.name)
    wires.wait_healthy(PATIENCE)
    own = ("192.168.100.2/24", "dev", "eth1")
    answers = tmp_path / "answers"
    # A MASTER that hears nobody on the LAN lets go.
    with pinging(standard_lab, 0.1, answers):
        assert eventually(lambda: b"bytes from" in answers.read_bytes())
        freeze_vrrp(standard_lab, "master")
        assert eventually(lambda: told(standard_lab, "backup")["role"] == "MASTER")
        assert standard_lab.exec("master", "ip", "address", "del", *own).returncode == 0
        try:
            assert eventually(lambda: wires.holders() == ("backup",)), wires.log("master", 40)
            assert "after it was told to let go" in wires.log("master", 60)
            assert pings(standard_lab)
        finally:
            standard_lab.exec("master", "ip", "address", "add", *own)
        wires.wait_healthy(PATIENCE)
