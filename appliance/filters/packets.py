"""A packet of which not all is known: what it surely is, as filters ask for it. Pure."""

import struct
from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.addresses import Prefix
from appliance.planning.ruleset import PROTOCOLS

# Octets as they stand in a packet or a register; None: not known.
Octets = tuple[int | None, ...]

ICMP, TCP, UDP, VRRP = (PROTOCOLS[name] for name in ("icmp", "tcp", "udp", "vrrp"))
ECHO_REPLY, ECHO_REQUEST = 0, 8
# What connection tracking says of a packet (NF_CT_STATE_BIT); "invalid" also of one that it has yet to see.
CT_INVALID, CT_ESTABLISHED, CT_NEW, CT_UNTRACKED = 1, 2, 8, 64
REDIRECTED = 0x20  # and of a flow whose destination was translated (IPS_DST_NAT)
_NATIVE = struct.Struct("=I")
_NAME = 16  # octets of an interface's name in a register


class HookPoint(StrEnum):
    """Where the kernel asks filters: netfilter's five hooks, and those of an interface before and after them."""

    INGRESS = "ingress"
    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"
    POSTROUTING = "postrouting"
    EGRESS = "egress"


@dataclass(frozen=True)
class Packet:
    """An IPv4 packet at some place; `enters` and `leaves` are interfaces.

    `network` and `transport` are the headers' first octets. `status` is its flow's (IPS_*), None where that is not known.
    `mark`: the bit of its mark without which it has no way out; 0 where that does not count.
    """

    network: Octets
    transport: Octets
    enters: str | None = None
    leaves: str | None = None
    state: int = CT_NEW
    status: int | None = None
    mark: int = 0

    @property
    def protocol(self) -> int | None:
        """IP's number of what it carries."""
        return self.network[9]

    def going(self, enters: str | None, leaves: str | None) -> "Packet":
        """The same between other interfaces."""
        return replace(self, enters=enters, leaves=leaves)

    def from_anywhere(self) -> "Packet":
        """The same where its source may have been translated."""
        return replace(self, network=(*self.network[:12], *[None] * 4, *self.network[16:]))


def packet(
    protocol: int,
    source: Prefix | None = None,
    destination: Prefix | None = None,
    port: int | None = None,
    echo: int = ECHO_REQUEST,
) -> Packet:
    """One from somewhere in a prefix to somewhere in another one; without a prefix, from or to anywhere.

    `port`: that it goes to, of TCP and UDP. `echo`: which of a ping's two packets it is.
    """
    network = (
        0x45,
        None,
        *[None] * 7,
        protocol,
        None,
        None,
        *_within(source),
        *_within(destination),
    )
    transport: Octets = (None,) * 8
    if protocol == ICMP:
        transport = (echo, 0, *transport[2:])
    elif port is not None:
        transport = (None, None, port >> 8, port & 0xFF, *transport[4:])
    return Packet(network, transport)


def _within(prefix: Prefix | None) -> Octets:
    """The octets that all addresses of a prefix share."""
    if prefix is None:
        return (None,) * 4
    whole = prefix.prefixlen // 8
    return (*prefix.network_address.packed[:whole], *[None] * (4 - whole))


def native(number: int | None) -> Octets:
    """A number of 32 bits as this machine keeps it."""
    return (None,) * 4 if number is None else tuple(_NATIVE.pack(number))


def named(interface: str | None) -> Octets:
    """An interface's name, as it stands in a register."""
    if interface is None:
        return (None,) * _NAME
    return tuple(interface.encode("utf-8", "surrogateescape").ljust(_NAME, b"\0"))


def equal(octets: Octets, wanted: bytes) -> bool | None:
    """Whether these octets are the wanted ones; None where that hangs on one that is not known."""
    pairs = list(zip(octets, wanted, strict=False))
    if any(one is not None and one != other for one, other in pairs):
        return False
    return None if any(one is None for one, _ in pairs) else True
