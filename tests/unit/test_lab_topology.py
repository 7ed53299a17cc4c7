"""The lab's wiring, derived from a gateway YAML."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from appliance import ApplianceError
from appliance.config import gateway_file
from appliance.config.gateway_file import ConfigErrors
from appliance.config.model import DestinationNat, Failback
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
    vgw = lab.vgw
    assert (vgw.vrrp_version, vgw.advert_interval, vgw.failback) == (version, interval, failback)
    assert lab.master_down_interval("backup") == pytest.approx(down, abs=1e-5)
    assert lab.skew_time("backup") == pytest.approx(skew, abs=1e-5)


def test_only_the_classic_master_starts_as_master() -> None:
    for profile in ("standard", "fast", "classic"):
        nodes = topology.from_yaml(topology.gateway_yaml(profile)).config.nodes
        said = {name: node.initial_state for name, node in nodes.items()}
        first = "MASTER" if profile == "classic" else "BACKUP"
        assert said == {"master": first, "backup": "BACKUP"}


def test_nodes_without_a_wan_address_keep_the_wire() -> None:
    lab = topology.from_yaml(topology.gateway_yaml(node_wan=False))
    for gateway in lab.gateways:
        assert [wire.address for wire in gateway.wires if wire.bridge == "wan"] == [None]


def test_what_a_file_says_wins_over_its_profile() -> None:
    text = edited("profile: standard", "profile: standard, advert_interval: 0.5, failback: never")
    lab = topology.from_yaml(text)
    assert (lab.vgw.advert_interval, lab.vgw.failback) == (0.5, Failback.NEVER)


def test_a_file_that_says_subnets_gets_the_usual_interfaces() -> None:
    text = edited("lan: {interface: eth1}", "lan: {subnet: 192.168.100.0/24}")
    assert topology.from_yaml(text).gateways[0].wires[0].interface == "eth1"


def test_ports_that_lead_inside_are_written_as_they_are_read() -> None:
    machine = IPv4Address("192.168.100.10")
    rules = tuple(
        DestinationNat(protocol="udp", port=port, to=machine, to_port=port) for port in (53, 5353)
    )
    plan = topology.from_yaml(topology.gateway_yaml(destination=rules))
    assert plan.config.nat.destination == rules


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("  noeud1:", "  internet:", "'internet' is no name for a node of the lab"),
        ("  noeud1:", "  workstation1:", "'workstation1' is no name for a node of the lab"),
        ("  backup: {", "  world: {", "'world' is no name for a node of the lab"),
    ],
)
def test_a_name_that_no_node_of_a_lab_can_have_is_refused(
    old: str, new: str, sentence: str
) -> None:
    with pytest.raises(ApplianceError, match=r"^own\.yaml: ") as caught:
        topology.from_yaml(edited(old, new), "own.yaml")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "vgw: [", "nodes: 3", b"\xe9"])
def test_a_file_that_a_gateway_refuses_is_refused_in_the_same_words(text: str | bytes) -> None:
    with pytest.raises(ConfigErrors) as caught:
        topology.from_yaml(text, "own.yaml")
    with pytest.raises(ConfigErrors) as own:
        gateway_file.parse(text, "own.yaml")
    assert str(caught.value) == str(own.value)
    assert str(own.value).startswith("own.yaml:1:")


def test_unknown_words_are_answered_with_the_known() -> None:
    lab = topology.from_yaml(topology.gateway_yaml())
    with pytest.raises(ApplianceError, match="there are master, backup, noeud1, noeud2, internet"):
        lab.node("nosuch")
    with pytest.raises(ApplianceError, match="one of standard, fast, hot, classic"):
        topology.gateway_yaml("quick")
