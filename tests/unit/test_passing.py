"""Which flows end at a change of the file: those that only the former one let pass, and no other."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.model import Config
from appliance.conntrack import passing, permissions
from appliance.conntrack.ctnetlink import ICMP, TCP, UDP, Connection
from appliance.conntrack.passing import Lack

from .node_doors import config

NAT = "  source: [{from: 192.168.100.0/24}]\n"
VIP, MACHINE, OTHER, CLIENT = "203.0.113.99", "192.168.100.10", "192.168.100.20", "198.51.100.7"
GRE = 47


def file(nat: str = NAT, forward: str = "", **words: str) -> Config:
    """The standard file with another translation and other rules for what is forwarded."""
    rules = f"forward:\n{forward}" if forward else ""
    return config(**{NAT: nat + rules, **words})


def number(address: str) -> int:
    return int(IPv4Address(address))


def inward(port: int, to: str, to_port: int, protocol: int = UDP, vip: str = VIP) -> Connection:
    """A flow from outside to a port that leads to a machine."""
    ends = (number(CLIENT), number(vip), port, number(to), to_port, number(CLIENT))
    return Connection(b"inward", protocol, *ends)


def outward(
    destination: str = "8.8.8.8",
    port: int = 443,
    protocol: int = TCP,
    source: str = MACHINE,
    seen_as: str = VIP,
) -> Connection:
    """A flow of a machine behind to the world."""
    ends = (number(source), number(destination), port, number(destination), port, number(seen_as))
    return Connection(b"outward", protocol, *ends)


def lack(former: Config, now: Config, flow: Connection) -> Lack | None:
    return passing.ended(permissions.of(former), permissions.of(now), flow)


def ports(*rules: str) -> Config:
    return file(NAT + f"  destination: [{', '.join(rules)}]\n")


WIREGUARD = "{protocol: udp, port: 51820, to: 192.168.100.10}"
WEB = "{protocol: tcp, port: 8080, to: 192.168.100.10, to_port: 80}"
ELSEWHERE = "{protocol: udp, port: 51820, to: 192.168.100.20}"


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ([WIREGUARD, WEB], ()),
        ([WEB], (UDP,)),
        ([ELSEWHERE, WEB], (UDP,)),
        ([WIREGUARD], (TCP,)),
        ([WIREGUARD, WEB.replace("to_port: 80", "to_port: 81")], (TCP,)),
        ([WIREGUARD, WEB.replace("tcp", "udp")], (TCP,)),
        ([], (UDP, TCP)),
    ],
)
def test_a_flow_ends_with_the_port_that_led_it_there(now: list[str], ends: tuple[int, ...]) -> None:
    former = ports(WIREGUARD, WEB)
    new = ports(*now) if now else file()
    flows = {UDP: inward(51820, MACHINE, 51820), TCP: inward(8080, MACHINE, 80, TCP)}
    for protocol, flow in flows.items():
        assert lack(former, new, flow) == (Lack.PORT if protocol in ends else None)
        assert lack(new, former, flow) is None, "what the former file did not allow is let be"
    assert lack(former, new, outward()) is None


def test_who_was_led_elsewhere_already_is_let_be() -> None:
    assert lack(ports(WIREGUARD), ports(ELSEWHERE), inward(51820, OTHER, 51820)) is None
    assert lack(ports(WIREGUARD), file(), inward(22, "172.17.0.2", 22, TCP, "10.0.0.1")) is None, (
        "another program's redirection"
    )


DROPS = {
    "a destination": ("  rules: [{action: drop, to: 8.8.8.0/24}]\n", outward(), outward("1.1.1.1")),
    "a source": (
        "  rules: [{action: drop, from: 192.168.100.10/32}]\n",
        outward(),
        outward(source=OTHER),
    ),
    "a port": (
        '  rules: [{action: drop, protocol: tcp, ports: [80, "440-445"]}]\n',
        outward(),
        outward(port=446),
    ),
    "a protocol": (
        "  rules: [{action: drop, protocol: udp}]\n",
        outward(protocol=UDP),
        outward(),
    ),
    "pings": (
        "  rules: [{action: drop, protocol: icmp}]\n",
        outward(protocol=ICMP, port=0),
        outward(),
    ),
    "what no rule names": (
        "  policy: drop\n  rules: [{action: accept, protocol: tcp, ports: 443}]\n",
        outward(port=80),
        outward(),
    ),
    "what the first rule that fits drops": (
        "  rules:\n    - {action: accept, to: 8.8.8.8/32, protocol: tcp}\n    - {action: drop, to: 8.8.8.0/24}\n",
        outward(protocol=UDP),
        outward(),
    ),
    "what has no ports": (
        "  policy: drop\n  rules: [{action: accept, protocol: tcp}]\n",
        outward(protocol=GRE, port=0),
        outward(),
    ),
}


@pytest.mark.parametrize("what", DROPS)
def test_a_flow_ends_that_forward_drops_now(what: str) -> None:
    forward, ends, stays = DROPS[what]
    former, now = file(), file(forward=forward)
    assert lack(former, now, ends) is Lack.RULE
    assert lack(former, now, stays) is None
    assert lack(now, former, ends) is None, "it did not pass before either"


def test_a_flow_ends_whose_source_is_not_translated_any_more() -> None:
    two = "  source: [{from: 192.168.100.0/24}, {from: 172.20.0.0/16}]\n"
    flow = outward(source="172.20.1.1")
    assert lack(file(two), file(), flow) is Lack.SOURCE
    assert lack(file(two), file(), outward()) is None
    assert lack(file(), file(two), flow) is None


def test_a_flow_ends_that_would_leave_by_another_address_now() -> None:
    moved = file(**{"203.0.113.99": "203.0.113.98"})
    assert lack(file(), moved, outward()) is Lack.SOURCE
    assert lack(file(), moved, outward(seen_as="203.0.113.98")) is None
    former = ports(WEB)
    there = inward(8080, MACHINE, 80, TCP)
    moved_port = file(NAT + f"  destination: [{WEB}]\n", **{"203.0.113.99": "203.0.113.98"})
    assert lack(former, moved_port, there) is Lack.PORT


def test_what_is_reached_untranslated_ends_where_it_is_to_be_translated() -> None:
    excepted = "  source: [{from: 192.168.100.0/24, except: [10.8.0.0/16]}]\n"
    plain, seen = outward("10.8.0.1", seen_as=MACHINE), outward("10.8.0.1")
    assert lack(file(excepted), file(), plain) is Lack.SOURCE
    assert lack(file(excepted), file(excepted), plain) is None
    assert lack(file(), file(excepted), seen) is None, "it passes, and costs nobody anything"
    assert lack(file(), file(excepted), plain) is None, "it leaked, and the rules drop it"


@pytest.mark.parametrize("own", ["192.168.100.2", "192.168.100.99", "203.0.113.2", "203.0.113.99"])
def test_the_nodes_own_flows_are_none_of_this(own: str) -> None:
    drops = file(forward="  policy: drop\n")
    for flow in (
        outward(source=own, seen_as=own),
        outward(destination=own, port=22, seen_as=MACHINE),
        outward(source=own),
    ):
        assert lack(file(), drops, flow) is None


def test_a_canary_is_no_flow() -> None:
    canary = outward("192.0.2.2", source="192.0.2.1", seen_as="192.0.2.1", protocol=UDP)
    assert lack(file(), file(forward="  policy: drop\n"), canary) is None


ADDRESSES = st.sampled_from([MACHINE, OTHER, VIP, CLIENT, "8.8.8.8", "10.8.0.1", "192.168.100.2"])
FLOWS = st.builds(
    Connection,
    st.just(b""),
    st.sampled_from([TCP, UDP, ICMP, GRE]),
    ADDRESSES.map(number),
    ADDRESSES.map(number),
    st.sampled_from([0, 80, 443, 8080, 51820]),
    ADDRESSES.map(number),
    st.sampled_from([0, 80, 443, 8080, 51820]),
    ADDRESSES.map(number),
)
FILES = [
    file(),
    ports(WIREGUARD, WEB),
    ports(ELSEWHERE),
    file("  source: [{from: 192.168.100.0/24, except: [10.8.0.0/16]}]\n"),
    file(forward="  policy: drop\n  rules: [{action: accept, protocol: tcp}]\n"),
]


@given(st.sampled_from(FILES), st.sampled_from(FILES), FLOWS)
def test_no_flow_ends_but_one_that_passed_before_and_does_not_now(
    former: Config, now: Config, flow: Connection
) -> None:
    before, after = permissions.of(former), permissions.of(now)
    assert passing.ended(before, before, flow) is None
    ends = passing.ended(before, after, flow) is not None
    assert ends == (not passing.lacking(before, flow) and bool(passing.lacking(after, flow)))
