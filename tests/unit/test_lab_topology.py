"""The lab's wiring, derived from a gateway YAML."""

from ipaddress import IPv4Address, IPv4Network

import pytest
import yaml

from appliance import ApplianceError
from appliance.config.model import Failback
from vgw_lab.worlds import topology


def edited(old: str, new: str) -> str:
    text = topology.gateway_yaml()
    assert old in text
    return text.replace(old, new)


def test_the_lab_of_the_course() -> None:
    lab = topology.from_yaml(topology.gateway_yaml())
    assert [(node.name, node.kind) for node in lab.nodes] == [
        ("master", "gateway"),
        ("backup", "gateway"),
        ("noeud1", "machine"),
        ("noeud2", "machine"),
        ("internet", "internet"),
    ]
    wires = {
        (node.name, wire.interface): (wire.bridge, str(wire.address))
        for node in lab.nodes
        for wire in node.wires
    }
    assert wires == {
        ("master", "eth0"): ("wan", "203.0.113.2/24"),
        ("master", "eth1"): ("lan", "192.168.100.2/24"),
        ("master", "eth2"): ("sync", "10.99.0.2/24"),
        ("backup", "eth0"): ("wan", "203.0.113.3/24"),
        ("backup", "eth1"): ("lan", "192.168.100.3/24"),
        ("backup", "eth2"): ("sync", "10.99.0.3/24"),
        ("noeud1", "eth0"): ("lan", "192.168.100.10/24"),
        ("noeud2", "eth0"): ("lan", "192.168.100.20/24"),
        ("internet", "eth0"): ("wan", "203.0.113.1/24"),
    }
    assert {node.default_via for node in lab.machines} == {IPv4Address("192.168.100.99")}
    assert lab.hidden == (IPv4Network("10.99.0.0/24"), IPv4Network("192.168.100.0/24"))
    assert lab.node("internet").loopback == ("8.8.8.8", "8.8.4.4", "1.1.1.1")


def test_a_power_cut_takes_the_lan_down_first() -> None:
    for gateway in topology.from_yaml(topology.gateway_yaml()).gateways:
        assert gateway.wires[0].bridge == "lan"


def test_every_wire_has_a_mac_and_a_port_of_its_own() -> None:
    nodes = topology.from_yaml(topology.gateway_yaml()).nodes
    wires = [(node, wire) for node in nodes for wire in node.wires]
    assert len({wire.mac for _, wire in wires}) == len(wires)
    ports = {node.port(wire.bridge) for node, wire in wires}
    assert len(ports) == len(wires)
    assert all(len(port) <= 15 for port in ports)


@pytest.mark.parametrize(
    ("profile", "version", "interval", "failback", "down", "skew"),
    [
        ("standard", 3, 0.1, Failback.GATED, 0.36484, 0.06484),
        ("fast", 3, 0.02, Failback.GATED, 0.07297, 0.01297),
        ("classic", 2, 1.0, Failback.PLAIN, 3.64844, 0.64844),
    ],
)
def test_a_profile_sets_the_timers(
    profile: str, version: int, interval: float, failback: Failback, down: float, skew: float
) -> None:
    lab = topology.from_yaml(topology.gateway_yaml(profile))
    assert (lab.vrrp_version, lab.advert_interval, lab.failback) == (version, interval, failback)
    assert lab.master_down_interval("backup") == pytest.approx(down, abs=1e-5)
    assert lab.skew_time("backup") == pytest.approx(skew, abs=1e-5)


def test_only_the_classic_master_starts_as_master() -> None:
    for profile in ("standard", "fast", "classic"):
        nodes = yaml.safe_load(topology.gateway_yaml(profile))["nodes"]
        said = {name: node.get("initial_state") for name, node in nodes.items()}
        assert said == {"master": "MASTER" if profile == "classic" else None, "backup": None}


def test_nodes_without_a_wan_address_keep_the_wire() -> None:
    lab = topology.from_yaml(topology.gateway_yaml(node_wan=False))
    for gateway in lab.gateways:
        assert [wire.address for wire in gateway.wires if wire.bridge == "wan"] == [None]


def test_what_a_file_says_wins_over_its_profile() -> None:
    text = edited("profile: standard", "profile: standard, advert_interval: 0.5, failback: never")
    lab = topology.from_yaml(text)
    assert (lab.advert_interval, lab.failback) == (0.5, Failback.NEVER)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("vgw: {address: 192.168.100.99/24, ", "vgw: {", "vgw.address: missing"),
        ("192.168.100.99/24", "192.168.100.99", "'192.168.100.99' is no address with prefix"),
        ("192.168.100.99/24", "somewhere/24", "'somewhere/24' is no address with prefix"),
        ("profile: standard", "profile: quick", "'quick' is unknown; it is one of standard"),
        ("profile: standard", "profile: fast, failback: later", "one of plain, gated, never"),
        ("priority: 90", "priority: low", "nodes.backup.priority: a number is wanted, not 'low'"),
        ("  noeud1:", "  internet:", "'internet' is no name for a node of the lab"),
        ("  noeud1:", "  noeud1; reboot:", "'noeud1; reboot' is no name for a node"),
        ("interface: eth1", "interface: eth1;x", "'eth1;x' is no name for an interface"),
        ("  backup: {", "  spare: {priority: 1}\n  backup: {", "a pair is two nodes"),
    ],
)
def test_a_file_that_cannot_be_wired_is_refused_by_its_key(
    old: str, new: str, sentence: str
) -> None:
    with pytest.raises(ApplianceError, match=r"^own\.yaml: ") as caught:
        topology.from_yaml(edited(old, new), "own.yaml")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "vgw: [", "nodes: 3"])
def test_what_is_no_configuration_at_all_is_refused(text: str) -> None:
    with pytest.raises(ApplianceError, match=r"^own\.yaml: "):
        topology.from_yaml(text, "own.yaml")


def test_unknown_words_are_answered_with_the_known() -> None:
    lab = topology.from_yaml(topology.gateway_yaml())
    with pytest.raises(ApplianceError, match="there are master, backup, noeud1, noeud2, internet"):
        lab.node("nosuch")
    with pytest.raises(ApplianceError, match="one of standard, fast, hot, classic"):
        topology.gateway_yaml("quick")
