"""A machine on the LAN that answers for the VGW is named by both nodes, and contradicted; one that nobody answers for is told too."""

import json
import sys

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually, waited
from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import Lab, told
from .test_lab_replication import must

VGW = "192.168.100.99"
TOLD_SECONDS = 5.0
# Claims an address once by a gratuitous ARP from the interface's own MAC, as arping -U does.
CLAIM = "from appliance.addresses import Address; from appliance.wires import arp; arp.announce('eth0', Address('%s'))"


def mac(lab: Lab, machine: str) -> str:
    (shown,) = json.loads(must(lab, machine, "ip", "-json", "link", "show", "dev", "eth0"))
    return str(shown["address"])


def gateway_of(lab: Lab, machine: str) -> str:
    """The MAC that a machine sends to."""
    return must(lab, machine, "ip", "neigh", "show", VGW)


def named(lab: Lab, node: str, word: str) -> bool:
    return any(word in problem for problem in told(lab, node)["problems"])


@pytest.fixture
def lab(standard_lab: Lab) -> Lab:
    NamespaceLab(standard_lab.name).wait_healthy(PATIENCE)
    return standard_lab


def test_one_gratuitous_arp_of_a_strangers_is_told_and_its_victims_come_back(
    lab: Lab, bound: Bound
) -> None:
    stranger = mac(lab, "noeud2")
    assert NamespaceLab(lab.name).pings("noeud1")
    must(lab, "noeud2", sys.executable, "-c", CLAIM % VGW)
    back = waited(lambda: stranger not in gateway_of(lab, "noeud1"))
    took = [waited(lambda n=node: named(lab, n, stranger)) for node in ("master", "backup")]  # type: ignore[misc]
    health = lab.exec("master", "vgw", "health")
    assert health.returncode == 1 and stranger in health.stdout + health.stderr
    assert NamespaceLab(lab.name).pings("noeud1")
    for node in ("master", "backup"):
        assert eventually(lambda n=node: not told(lab, n)["problems"])  # type: ignore[misc]
    assert told(lab, "master")["role"] == "MASTER"
    with bound:
        assert back <= 2
        assert max(took) <= TOLD_SECONDS


def test_a_machine_with_the_gateways_address_is_named_as_long_as_it_has_it(lab: Lab) -> None:
    stranger = mac(lab, "noeud2")
    must(lab, "noeud2", "ip", "address", "add", f"{VGW}/32", "dev", "eth0")
    try:
        for node in ("master", "backup"):
            assert eventually(lambda n=node: named(lab, n, stranger))  # type: ignore[misc]
    finally:
        must(lab, "noeud2", "ip", "address", "del", f"{VGW}/32", "dev", "eth0")
    for node in ("master", "backup"):
        assert eventually(lambda n=node: not told(lab, n)["problems"])  # type: ignore[misc]


def test_a_master_that_answers_for_itself_and_not_for_the_vgw_is_told_of_by_its_peer(
    lab: Lab,
) -> None:
    drop = f"table arp block {{ chain mute {{ type filter hook output priority 0; arp saddr ip {VGW} drop; }}; }}"
    must(lab, "master", "nft", drop)
    try:
        assert eventually(lambda: named(lab, "backup", f"nobody answers ARP for the VGW {VGW}"))
    finally:
        must(lab, "master", "nft", "delete table arp block")
    assert eventually(lambda: not told(lab, "backup")["problems"])
