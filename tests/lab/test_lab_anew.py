"""An interface that is made anew under its old name, and a keepalived that hangs: the pair still takes over."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import Lab, eventually

PROFILES = ("standard_lab", "hot_lab", "classic_lab")
READY_SECONDS = 8.0
TAKEOVER_SECONDS = 5.0
# A takeover late by the margin, a look each second, and a new start of keepalived.
HELPED_SECONDS = 12.0


def told(lab: Lab, node: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.exec(node, "cat", "/run/vgw/status.json").stdout)
    return found


def is_well(lab: Lab, node: str) -> bool:
    return lab.exec(node, "vgw", "health").returncode == 0


def pings(lab: Lab) -> bool:
    ping = ("ping", "-n", "-c", "1", "-W", "1", "8.8.8.8")
    return lab.exec("noeud1", *ping).returncode == 0


@contextmanager
def power_off(lab: Lab, wires: NamespaceLab, node: str) -> Iterator[None]:
    """The node without power while the block runs; afterwards the pair is healthy again."""
    lab.must("stop", node)
    try:
        yield
    finally:
        lab.must("start", node)
    wires.wait_healthy()


def make_anew(lab: Lab, wires: NamespaceLab, node: str, bridge: str) -> None:
    wires.wire(node, bridge, there=False)
    try:
        assert eventually(lambda: told(lab, node)["role"] == "FAULT")
    finally:
        wires.wire(node, bridge, there=True)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bridge", ["lan", "wan"])
def test_a_standby_whose_interface_was_made_anew_takes_over(
    request: pytest.FixtureRequest, profile: str, bridge: str
) -> None:
    lab: Lab = request.getfixturevalue(profile)
    wires = NamespaceLab(lab.name)
    wires.wait_healthy()
    make_anew(lab, wires, "backup", bridge)
    assert eventually(lambda: told(lab, "backup")["role"] == "BACKUP", READY_SECONDS)
    wires.wait_healthy(READY_SECONDS)
    assert "made anew, and keepalived does not know the new one" in wires.log("backup", 60)
    with power_off(lab, wires, "master"):
        assert eventually(lambda: pings(lab), TAKEOVER_SECONDS), wires.log("backup", 40)
        assert wires.holders() == ("backup",)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_master_whose_lan_was_made_anew_leads_again_and_follows_again(
    request: pytest.FixtureRequest, profile: str
) -> None:
    lab: Lab = request.getfixturevalue(profile)
    wires = NamespaceLab(lab.name)
    wires.wait_healthy()
    make_anew(lab, wires, "master", "lan")
    # At rest is a pair that is led by the node of the higher priority.
    wires.wait_healthy()
    with power_off(lab, wires, "backup"):
        assert pings(lab)
        assert wires.holders() == ("master",)


def test_both_nodes_one_after_the_other(standard_lab: Lab) -> None:
    wires = NamespaceLab(standard_lab.name)
    wires.wait_healthy()
    for node in ("backup", "master"):
        make_anew(standard_lab, wires, node, "lan")
        assert eventually(lambda: pings(standard_lab), TAKEOVER_SECONDS)
    wires.wait_healthy()


def test_a_vgw_that_nobody_holds_is_told_and_a_frozen_keepalived_started_anew(
    standard_lab: Lab,
) -> None:
    wires = NamespaceLab(standard_lab.name)
    wires.wait_healthy()
    frozen = "kill -STOP $(cat /run/vgw/vrrp.pid)"
    assert standard_lab.exec("backup", "sh", "-ec", frozen).returncode == 0
    with power_off(standard_lab, wires, "master"):
        assert eventually(lambda: not is_well(standard_lab, "backup"))
        assert eventually(lambda: pings(standard_lab), HELPED_SECONDS), wires.log("backup", 40)
        assert "nobody holds the VGW for" in wires.log("backup", 60)
        assert eventually(lambda: is_well(standard_lab, "backup"))
