"""What is seen on the machine, and whether the gateway may start there."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from appliance import (
    AddressConflict,
    MissingCapability,
    MissingInterface,
    MissingKernelFeature,
    MissingProgram,
)
from appliance.config import gateway_file
from appliance.config.model import Config, Interfaces
from appliance.drivers import firewall
from appliance.planning.wanted import Names
from appliance.run_dir import RunDir
from appliance.site import preflight, probes
from appliance.site.locate import locate
from appliance.site.preflight import Observed, judge

TEXT = (Path(__file__).parent.parent / "golden" / "bad-base.yaml").read_text()
WANTED = gateway_file.parse(TEXT)
BY_SUBNET = gateway_file.parse(
    TEXT.replace("lan: {interface: eth1}", "lan: {subnet: 192.168.100.0/24}")
    .replace("interface: eth0", "subnet: 203.0.113.0/24")
    .replace("sync: {interface: eth2}", "sync: {subnet: 10.99.0.0/24}")
)
VGW, WAN_VIP = IPv4Address("192.168.100.99"), IPv4Address("203.0.113.99")
PEER = IPv4Address("192.168.100.3")
STRANGER = "aa:bb:cc:dd:ee:ff"


def links(**addresses: str) -> dict[str, tuple[IPv4Interface, ...]]:
    return {name: tuple(map(IPv4Interface, text.split())) for name, text in addresses.items()}


LINKS = links(lo="127.0.0.1/8", eth0="203.0.113.2/24", eth1="192.168.100.2/24", eth2="10.99.0.2/24")
FINE = Observed(
    interfaces=LINKS,
    up=frozenset(LINKS),
    capabilities=frozenset(preflight.CAPABILITIES),
    programs={"keepalived": True, "conntrackd": True},
)


def test_set_up_brings_each_file_that_the_programs_need() -> None:
    listed = (Path(__file__).parents[2] / "setup/debian-packages.txt").read_text()
    files = {word for line in listed.splitlines() for word in line.split() if word[0] == "/"}
    assert set(probes.FILES) <= files
    assert set(probes.FILES) <= probes.programs(firewall.of(Names(), RunDir())).keys()


def said(observed: Observed) -> list[tuple[type[Exception], str]]:
    return [(problem.error, str(problem)) for problem in judge(WANTED, "master", observed)]


def test_a_machine_that_has_all() -> None:
    assert said(FINE) == []


def test_what_was_not_looked_at_is_not_judged() -> None:
    assert said(Observed()) == []


@pytest.mark.parametrize(
    ("observed", "error", "sentence"),
    [
        (
            replace(FINE, capabilities=frozenset({"CAP_NET_RAW"})),
            MissingCapability,
            "CAP_NET_ADMIN is missing: run as root, or in compose add "
            "`cap_add: [NET_ADMIN, NET_RAW]`",
        ),
        (
            replace(FINE, lacking=frozenset({"nf_conntrack"})),
            MissingKernelFeature,
            "the kernel lacks nf_conntrack: on the host run `modprobe nf_conntrack`, or use a "
            "kernel that has it",
        ),
        (
            replace(FINE, programs={"keepalived": False, "conntrackd": True}),
            MissingProgram,
            "keepalived is not installed: install the Debian package that holds it "
            "(setup/debian-packages.txt lists them)",
        ),
        (
            replace(FINE, up=frozenset({"lo", "eth0", "eth2"})),
            MissingInterface,
            "lan: eth1 is down: run `ip link set eth1 up`, or plug it in",
        ),
        (
            replace(FINE, interfaces={**LINKS, "eth2": ()}),
            MissingInterface,
            "nodes.master.sync: eth2 lacks 10.99.0.2/24, it has no address: run "
            "`ip addr add 10.99.0.2/24 dev eth2`, or change the file; in a container it is "
            "`ipv4_address: 10.99.0.2` of that network in the compose file",
        ),
        (
            replace(FINE, interfaces={**LINKS, **links(eth1="192.168.100.2/16 10.0.0.1/8")}),
            MissingInterface,
            "nodes.master.lan: eth1 lacks 192.168.100.2/24, it has 192.168.100.2/16, 10.0.0.1/8: "
            "run `ip addr add 192.168.100.2/24 dev eth1`, or change the file; in a container it is "
            "`ipv4_address: 192.168.100.2` of that network in the compose file",
        ),
        (
            replace(FINE, vrids={51: frozenset({IPv4Address("192.168.100.7"), PEER})}),
            AddressConflict,
            "virtual_router_id 51 is used by 192.168.100.7; choose another",
        ),
        (
            replace(FINE, arp={VGW: STRANGER}),
            AddressConflict,
            f"vgw.address: 192.168.100.99 answers ARP from {STRANGER}: already in use by a machine "
            "that is not the peer; give one of them another address",
        ),
        (
            replace(FINE, arp={IPv4Address("192.168.100.2"): STRANGER}),
            AddressConflict,
            f"nodes.master.lan: 192.168.100.2 answers ARP from {STRANGER}: already in use by "
            "another machine; give one of them another address",
        ),
    ],
)
def test_one_thing_wrong(observed: Observed, error: type[Exception], sentence: str) -> None:
    assert said(observed) == [(error, sentence)]


def test_all_is_told_at_once() -> None:
    observed = replace(FINE, capabilities=frozenset(), lacking=frozenset({"nf_nat"}), interfaces={})
    assert len(said(observed)) == 2 + 1 + 3


@pytest.mark.parametrize(
    "observed",
    [
        Observed(arp={VGW: STRANGER, WAN_VIP: STRANGER}, vrids={51: frozenset({PEER})}),
        Observed(arp={VGW: STRANGER, PEER: STRANGER}),
        Observed(arp={VGW: STRANGER, PEER: STRANGER, WAN_VIP: "02:00:00:00:00:77"}),
        Observed(vrids={51: frozenset({PEER}), 52: frozenset({IPv4Address("192.168.100.7")})}),
    ],
    ids=[
        "its adverts were heard",
        "its own address has that MAC",
        "it holds the VGW",
        "another pair's adverts",
    ],
)
def test_the_peer_may_be_there_already(observed: Observed) -> None:
    assert said(observed) == []


def test_adverts_of_another_id_do_not_make_a_stranger_the_peer() -> None:
    assert len(said(Observed(arp={VGW: STRANGER}, vrids={52: frozenset({PEER})}))) == 1


@pytest.mark.parametrize("wanted", [WANTED, BY_SUBNET])
def test_interfaces_are_found(wanted: Config) -> None:
    found = locate(wanted, "master", LINKS)
    assert found == Interfaces(lan="eth1", wan="eth0", sync="eth2")


@pytest.mark.parametrize(
    ("wanted", "interfaces", "sentence"),
    [
        (  # no interface that the file gives another part to play is ever meant
            WANTED,
            links(eth0="192.168.7.7/24", eth2="10.99.0.2/24"),
            "lan.interface: there is no interface eth1 here; there are eth0 (192.168.7.7/24), "
            "eth2 (10.99.0.2/24)",
        ),
        (
            WANTED,
            {**links(eth10="", ens3="192.168.100.2/24", lo="127.0.0.1/8"), "eth0": (), "eth2": ()},
            "lan.interface: there is no interface eth1 here; there are ens3 (192.168.100.2/24), "
            "eth0 (no address), eth10 (no address), eth2 (no address); did you mean ens3?",
        ),
        (
            BY_SUBNET,
            {**LINKS, **links(eth3="10.99.0.9/24")},
            "sync.subnet: eth2, eth3 all have an address in 10.99.0.0/24; name the one you mean in "
            "sync.interface",
        ),
        (
            BY_SUBNET,
            {name: LINKS[name] for name in ("lo", "eth0", "eth1")},
            "sync.subnet: no interface has an address in 10.99.0.0/24; there are eth0 "
            "(203.0.113.2/24), eth1 (192.168.100.2/24)",
        ),
    ],
)
def test_interfaces_are_not_found(
    wanted: Config, interfaces: dict[str, tuple[IPv4Interface, ...]], sentence: str
) -> None:
    with pytest.raises(MissingInterface) as caught:
        locate(wanted, "master", interfaces)
    assert str(caught.value) == sentence


def test_all_networks_that_are_not_found_are_told() -> None:
    with pytest.raises(MissingInterface) as caught:
        locate(WANTED, "master", links(lo="127.0.0.1/8"))
    assert [line.split(".")[0] for line in str(caught.value).splitlines()] == ["lan", "wan", "sync"]
    assert "there are none but lo" in str(caught.value)


def test_a_node_without_an_address_outside_is_asked_for_none() -> None:
    text = TEXT.replace(" wan: 203.0.113.2/24,", "").replace(" wan: 203.0.113.3/24,", "")
    observed = replace(FINE, interfaces={**LINKS, "eth0": ()})
    assert judge(gateway_file.parse(text), "master", observed) == ()
