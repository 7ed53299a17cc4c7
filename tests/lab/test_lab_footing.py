"""A node that loses an address or the sync interface: never two holders for long, and both is told."""

import time

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually, waited
from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import Lab, told
from .test_lab_replication import must

LAN = {"master": "192.168.100.2/24", "backup": "192.168.100.3/24"}
WAN = {"master": "203.0.113.2/24", "backup": "203.0.113.3/24"}
WATCHED_SECONDS = 6.0
TWO_HOLDERS_SECONDS = 3.0


def two_holders(wires: NamespaceLab, seconds: float) -> float:
    """For how many seconds, of so many, both nodes held the VGW."""
    end, both, before = time.monotonic() + seconds, 0.0, time.monotonic()
    while (now := time.monotonic()) < end:
        both += (now - before) if len(wires.holders()) > 1 else 0.0
        before = now
        time.sleep(0.02)
    return both


@pytest.mark.parametrize("profile", ["standard_lab", "hot_lab", "classic_lab"])
@pytest.mark.parametrize("node", ["master", "backup"])
@pytest.mark.parametrize(("interface", "homes"), [("eth1", LAN), ("eth0", WAN)])
def test_a_node_without_its_own_address_lets_go_says_so_and_comes_back(
    request: pytest.FixtureRequest,
    profile: str,
    node: str,
    interface: str,
    homes: dict[str, str],
    bound: Bound,
) -> None:
    lab: Lab = request.getfixturevalue(profile)
    wires = NamespaceLab(lab.name)
    wires.wait_healthy(PATIENCE)
    other = "backup" if node == "master" else "master"
    must(lab, node, "ip", "addr", "del", homes[node], "dev", interface)
    try:
        both = two_holders(wires, WATCHED_SECONDS)
        if profile == "classic_lab":  # keepalived alone decides there, and it serves on
            assert eventually(lambda: len(wires.holders()) == 1)
        else:
            assert eventually(lambda: wires.holders() == (other,)), wires.log(node, 40)
            assert eventually(lambda: told(lab, node)["role"] == "FAULT")
        problem = f"has lost this node's address {homes[node]}"
        assert eventually(lambda: problem in " ".join(told(lab, node)["problems"]))
        health = lab.exec(node, "vgw", "health")
        assert health.returncode == 1
        assert problem in health.stdout + health.stderr
        assert waited(lambda: wires.pings("noeud1")) < PATIENCE
    finally:
        must(lab, node, "ip", "addr", "add", homes[node], "dev", interface)
    wires.wait_healthy(PATIENCE)
    with bound:
        assert both <= TWO_HOLDERS_SECONDS


def test_the_loss_of_the_sync_interface_moves_nothing_and_is_told(standard_lab: Lab) -> None:
    wires = NamespaceLab(standard_lab.name)
    wires.wait_healthy(PATIENCE)
    before = {node: told(standard_lab, node)["role_changes"] for node in LAN}
    wires.wire("master", "sync", there=False)
    try:
        assert eventually(
            lambda: "there is no interface eth2" in told(standard_lab, "master")["problems"]
        )
        assert two_holders(wires, WATCHED_SECONDS) == 0.0
        assert wires.holders() == ("master",)
        assert {node: told(standard_lab, node)["role_changes"] for node in LAN} == before
    finally:
        wires.wire("master", "sync", there=True)
    wires.wait_healthy(PATIENCE)


def test_a_sync_path_that_carries_less_than_its_interfaces_is_told_and_moves_nothing(
    standard_lab: Lab,
) -> None:
    wires = NamespaceLab(standard_lab.name)
    wires.wait_healthy(PATIENCE)
    port = wires.topology.node("master").port("sync")

    def degraded() -> str:
        return str(told(standard_lab, "backup")["pair"]["degraded"])

    must(standard_lab, "world", "ip", "link", "set", port, "mtu", "1400")
    try:
        assert eventually(lambda: "packets of 1400 bytes to master" in degraded()), degraded()
        assert wires.holders() == ("master",)
    finally:
        must(standard_lab, "world", "ip", "link", "set", port, "mtu", "1500")
    assert eventually(lambda: not degraded()), degraded()
    wires.wait_healthy(PATIENCE)
