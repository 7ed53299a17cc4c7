"""Which VRRP packets of the peer's get past the ruleset to keepalived, and which are dropped before it."""

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.drivers import firewall
from appliance.planning.wanted import Names
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.kernel.connections import until
from tests.kernel.wanted import plan_of

Namespace = Callable[[Callable[[], None]], None]
OWN, PEER, GROUP = "192.168.100.2", "192.168.100.3", "224.0.0.18"
VRRP, IPV4, ROUTER_ID = 112, 0x0800, 51
DROPPED = ("arriving", "VRRP from anybody else")
RULES = firewall.of(Names(), RunDir())
OPTIONS = bytes(
    [1, 1, 1, 0]
)  # three of no operation, and the end of the list (RFC 791, section 3.1)
WITHIN = 5.0  # seconds for packets that cross one pair of interfaces


def advert(first: int, number: int) -> bytes:
    """A VRRP message by its first byte, version and type; its priority is a number to know it by."""
    return struct.pack("!BBBBHH4s", first, ROUTER_ID, number, 1, 10, 0, bytes([192, 168, 100, 99]))


def checksum(head: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(head) // 2}H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def packet(message: bytes, to: str, source: str = PEER, options: bytes = b"") -> bytes:
    """An IPv4 packet with TTL 255 around a VRRP message."""
    length = 20 + len(options)
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    words = (0x40 | length // 4, 0, length + len(message), 0, 0, 255, VRRP)
    head = struct.pack("!BBHHHBB", *words) + bytes(2) + ends + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + message


def send(packets: list[bytes], to: str) -> None:
    """Send them from the other end of the LAN's cable."""
    mac = bytes.fromhex("01005e000012")  # the group's (RFC 1112, section 6.4)
    if to != GROUP:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as lan:
            lan.bind(("eth1", 0))
            mac = lan.getsockname()[4]
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as wire:
        for one in packets:
            wire.sendto(one, ("peer-eth1", IPV4, 0, 0, mac))


def listening() -> socket.socket:
    """A socket as keepalived has it: it gets what `input` let pass."""
    heard = socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP)
    member = socket.inet_aton(GROUP) + socket.inet_aton(OWN)
    heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    return heard


def numbers(heard: socket.socket, end: int) -> Iterator[int]:
    """The numbers of the adverts that come in, until all of them came or it took too long."""
    deadline = time.monotonic() + WITHIN
    while select.select([heard], [], [], max(0.0, deadline - time.monotonic()))[0]:
        got = heard.recv(512)
        start = (got[0] & 0xF) * 4
        yield got[start + 2]
        if got[start + 2] == end:
            return


@pytest.mark.parametrize("to", [OWN, GROUP], ids=["unicast", "multicast"])
@pytest.mark.parametrize(
    ("case", "right", "wrong"),
    [("01-standard", 0x31, 0x21), ("07-hot", 0x31, 0x21), ("03-classic", 0x21, 0x31)],
)
def test_an_advert_of_another_version_is_dropped_before_keepalived(
    namespace: Namespace, cases: dict[str, Path], case: str, right: int, wrong: int, to: str
) -> None:
    def body() -> None:
        RULES.apply(RULES.diff(plan_of(cases[case], Role.BACKUP).ruleset))
        refused = [
            packet(advert(wrong, 1), to),
            packet(advert(wrong, 2), to, options=OPTIONS),
            packet(advert(right | 0xF, 3), to),  # no type that there is
            packet(advert(right & 0xF, 4), to),  # version 0
            packet(b"", to),
            packet(advert(right, 5), to, source="192.168.100.10"),
        ]
        with listening() as heard:
            send(refused, to)
            until(lambda: dropped() == len(refused), "what must not pass is dropped")
            send([packet(advert(right, 6), to), packet(advert(right, 7), to, options=OPTIONS)], to)
            assert sorted(numbers(heard, end=7)) == [6, 7]
        assert dropped() == len(refused)

    namespace(body)


def dropped() -> int:
    """How many packets the rule behind those for the peer's adverts has dropped."""
    return next(one.packets for one in RULES.counters() if (one.chain, one.rule) == DROPPED)
