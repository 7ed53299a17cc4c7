"""Links, addresses, routes, routing rules and neighbours, in the kernel's messages (rtnetlink(7)).

What is read comes as entries of the kernel's tables, of IPv4 where they have a family. Everything raises OSError with
the kernel's word. Numbers are those of linux/rtnetlink.h and its like, which never change.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from appliance import netlink
from appliance.addresses import Address, AddressAndLength, Prefix
from appliance.netlink_door import Answer, ask

IFF_UP = 1
LOOKUP, DISCARD = 1, 6  # FR_ACT_TO_TBL, FR_ACT_BLACKHOLE
_UNIVERSE, _ANY_SCOPE = 0, 255  # RT_SCOPE_UNIVERSE; RT_SCOPE_NOWHERE asks for none
_ANY_TYPE, _UNICAST = 0, 1  # RTN_UNSPEC, RTN_UNICAST
_ONLINK = 4  # RTNH_F_ONLINK: the gateway is on this link although no address says so
_LARGE_TABLE = 252  # RT_TABLE_COMPAT: the number does not fit into a byte, an attribute has it

_NEW_LINK, _DELETE_LINK, _GET_LINK, _SET_LINK = 16, 17, 18, 19  # RTM_*
_DELETE_ADDRESS, _GET_ADDRESS = 21, 22
_NEW_ROUTE, _DELETE_ROUTE, _GET_ROUTE = 24, 25, 26
_NEW_NEIGHBOUR, _GET_NEIGHBOUR = 28, 30
_NEW_RULE, _DELETE_RULE, _GET_RULE = 32, 33, 34

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINK, _IFLA_OPERSTATE = 1, 3, 5, 16
_IFLA_LINKINFO, _IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_MACVLAN_MODE = 18, 1, 2, 1
_IFLA_AF_SPEC, _IFLA_INET6_ADDR_GEN_MODE, _IFLA_EXT_MASK = 26, 8, 29
_IFA_LOCAL = 2
_RTA_DST, _RTA_SRC, _RTA_IIF, _RTA_OIF, _RTA_GATEWAY = 1, 2, 3, 4, 5
_RTA_PREFSRC, _RTA_TABLE, _RTA_MARK = 7, 15, 16
_WHOLE_ANSWER = 0x3000  # RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH: the route itself, with its table
_FRA_IIFNAME, _FRA_PRIORITY, _FRA_FWMARK, _FRA_FWMASK = 3, 6, 10, 16
_FRA_SUPPRESS_PREFIXLEN, _FRA_TABLE, _FRA_PROTOCOL = 14, 15, 21
_NDA_DST, _NDA_LLADDR = 1, 2

# What each message begins with.
_IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, which of them are meant
_IFADDRMSG = struct.Struct("=BBBBi")  # family, length, flags, scope, link
_RTMSG = struct.Struct("=BBBBBBBBI")  # family, lengths, TOS, table, protocol, scope, type, flags
_FIB_RULE_HDR = struct.Struct("=BBBBBxxBI")  # family, lengths, TOS, table, action, flags
_NDMSG = struct.Struct("=BxxxiHBB")  # family, link, state, flags, type

_U32 = struct.Struct("=I")
_WITHOUT_COUNTERS = _U32.pack(8)  # RTEXT_FILTER_SKIP_STATS
_PRIVATE = _U32.pack(1)  # MACVLAN_MODE_PRIVATE
_NO_ADDRESS = b"\1"  # IN6_ADDR_GEN_MODE_NONE


@dataclass(frozen=True)
class LinkEntry:
    """An interface. `state` is RFC 2863's (IF_OPER_*), `parent` the index of the one it lies on or 0."""

    index: int
    name: str
    flags: int
    state: int
    mac: str
    parent: int
    kind: str


@dataclass(frozen=True)
class AddressEntry:
    """An address on the interface of that index."""

    link: int
    address: AddressAndLength


@dataclass(frozen=True)
class RouteEntry:
    """A route, to a gateway on the interface of that index; `source` is what the node's own packets take."""

    table: int
    destination: Prefix
    gateway: Address | None
    link: int
    source: Address | None


@dataclass(frozen=True)
class RuleEntry:
    """A routing rule; `suppressed` is the length up to which the table's prefixes do not count, or None."""

    priority: int
    action: int
    table: int
    interface: str
    mark: int
    suppressed: int | None


@dataclass(frozen=True)
class WayEntry:
    """Where the kernel would send a packet, and the route by which it would; `link` 0: it has no interface.

    `protocol` is whose route it is (RTPROT_*).
    """

    table: int
    destination: Prefix
    gateway: Address | None
    link: int
    protocol: int


@dataclass(frozen=True)
class Ruling:
    """A routing rule of anybody's: its priority, the table it leads to or 0, and whose it is."""

    priority: int
    table: int
    protocol: int


def links() -> tuple[LinkEntry, ...]:
    """Every interface of this network namespace."""
    everything = _IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    wanted = everything + netlink.attribute(_IFLA_EXT_MASK, _WITHOUT_COUNTERS)
    return tuple(_link(body) for _, body in _list(_GET_LINK, wanted))


def _link(body: bytes) -> LinkEntry:
    _, _, index, flags, _ = _IFINFOMSG.unpack_from(body)
    told = netlink.attributes(body, _IFINFOMSG.size)
    info = netlink.attributes(told.get(_IFLA_LINKINFO, b""))
    return LinkEntry(
        index=index,
        name=_text(told[_IFLA_IFNAME]),
        flags=flags,
        state=told.get(_IFLA_OPERSTATE, b"\0")[0],
        mac=told.get(_IFLA_ADDRESS, b"").hex(":"),
        parent=_number(told.get(_IFLA_LINK)),
        kind=_text(info.get(_IFLA_INFO_KIND, b"")),
    )


def add_macvlan(name: str, parent: int, mac: str) -> None:
    """Make an interface with a MAC of its own on another; it passes no frames to others of its kind."""
    mode = netlink.attribute(_IFLA_MACVLAN_MODE, _PRIVATE)
    info = netlink.attribute(_IFLA_INFO_KIND, b"macvlan")
    info += netlink.attribute(_IFLA_INFO_DATA, mode)
    body = (
        _IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        + netlink.attribute(_IFLA_IFNAME, _named(name))
        + netlink.attribute(_IFLA_LINK, _U32.pack(parent))
        + netlink.attribute(_IFLA_ADDRESS, _octets(mac))
        + netlink.attribute(_IFLA_LINKINFO, info)
    )
    _change(_NEW_LINK, body, netlink.CREATE | netlink.EXCLUSIVE)


def remove_link(index: int) -> None:
    """Take an interface away."""
    _change(_DELETE_LINK, _IFINFOMSG.pack(socket.AF_UNSPEC, 0, index, 0, 0))


def raise_link(index: int) -> None:
    """Switch an interface on."""
    _change(_SET_LINK, _IFINFOMSG.pack(socket.AF_UNSPEC, 0, index, IFF_UP, IFF_UP))


def silence_ipv6(index: int) -> None:
    """Have IPv6 give an interface no address of its own, which it would announce."""
    mode = netlink.attribute(_IFLA_INET6_ADDR_GEN_MODE, _NO_ADDRESS)
    set_family(index, socket.AF_INET6, mode)


def set_family(index: int, family: int, settings: bytes) -> None:
    """Make settings of an interface that are one address family's."""
    spec = netlink.attribute(_IFLA_AF_SPEC, netlink.attribute(family, settings))
    _change(_SET_LINK, _IFINFOMSG.pack(socket.AF_UNSPEC, 0, index, 0, 0) + spec)


def addresses() -> tuple[AddressEntry, ...]:
    """Every address of this network namespace."""
    found = _list(_GET_ADDRESS, _IFADDRMSG.pack(socket.AF_INET, 0, 0, 0, 0))
    return tuple(_address(body) for _, body in found)


def _address(body: bytes) -> AddressEntry:
    _, length, _, _, link = _IFADDRMSG.unpack_from(body)
    local = netlink.attributes(body, _IFADDRMSG.size)[_IFA_LOCAL]
    return AddressEntry(link, AddressAndLength((local, length)))


def remove_address(entry: AddressEntry) -> None:
    """Take an address away."""
    head = _IFADDRMSG.pack(socket.AF_INET, entry.address.network.prefixlen, 0, 0, entry.link)
    _change(_DELETE_ADDRESS, head + netlink.attribute(_IFA_LOCAL, entry.address.ip.packed))


def routes(protocol: int) -> tuple[RouteEntry, ...]:
    """The routes that bear this protocol's number."""
    found = _list(_GET_ROUTE, _RTMSG.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0))
    return tuple(_route(body) for _, body in found if _RTMSG.unpack_from(body)[5] == protocol)


def _route(body: bytes) -> RouteEntry:
    _, length, _, _, table, *_ = _RTMSG.unpack_from(body)
    told = netlink.attributes(body, _RTMSG.size)
    return RouteEntry(
        table=_number(told.get(_RTA_TABLE)) or table,
        destination=Prefix((told.get(_RTA_DST, bytes(4)), length)),
        gateway=Address(told[_RTA_GATEWAY]) if _RTA_GATEWAY in told else None,
        link=_number(told.get(_RTA_OIF)),
        source=Address(told[_RTA_PREFSRC]) if _RTA_PREFSRC in told else None,
    )


def way(source: Address, destination: Address, link: int, mark: int) -> WayEntry:
    """What the kernel would do with a packet that came in by an interface and bears a mark.

    Nothing is sent. OSError is the kernel's word where it would drop the packet.
    """
    body = _RTMSG.pack(socket.AF_INET, 32, 32, 0, 0, 0, 0, 0, _WHOLE_ANSWER)
    body += netlink.attribute(_RTA_DST, destination.packed)
    body += netlink.attribute(_RTA_SRC, source.packed)
    body += netlink.attribute(_RTA_IIF, _U32.pack(link))
    body += netlink.attribute(_RTA_MARK, _U32.pack(mark))
    (_, answer), *_ = ask(netlink.ROUTE, netlink.message(_GET_ROUTE, netlink.ACK, body))
    found = _route(answer)
    whose = _RTMSG.unpack_from(answer)[5]
    return WayEntry(found.table, found.destination, found.gateway, found.link, whose)


def put_route(entry: RouteEntry, protocol: int) -> None:
    """Have a route, in place of any that leads there by this table."""
    body = _route_body(entry, protocol, _UNIVERSE, _UNICAST)
    _change(_NEW_ROUTE, body, netlink.CREATE | netlink.REPLACE)


def remove_route(entry: RouteEntry, protocol: int) -> None:
    """Take a route away."""
    _change(_DELETE_ROUTE, _route_body(entry, protocol, _ANY_SCOPE, _ANY_TYPE))


def _route_body(entry: RouteEntry, protocol: int, scope: int, kind: int) -> bytes:
    length, table = entry.destination.prefixlen, min(entry.table, _LARGE_TABLE)
    body = _RTMSG.pack(socket.AF_INET, length, 0, 0, table, protocol, scope, kind, _ONLINK)
    body += netlink.attribute(_RTA_DST, entry.destination.network_address.packed)
    body += netlink.attribute(_RTA_OIF, _U32.pack(entry.link))
    body += netlink.attribute(_RTA_TABLE, _U32.pack(entry.table))
    for number, address in ((_RTA_GATEWAY, entry.gateway), (_RTA_PREFSRC, entry.source)):
        if address:
            body += netlink.attribute(number, address.packed)
    return body


def rules(protocol: int) -> tuple[RuleEntry, ...]:
    """The routing rules that bear this protocol's number."""
    return tuple(rule for rule, whose in _every_rule() if whose == protocol)


def rulings() -> tuple[Ruling, ...]:
    """All routing rules, whosever they are, in the order in which they count."""
    found = (Ruling(rule.priority, rule.table, whose) for rule, whose in _every_rule())
    return tuple(sorted(found, key=lambda one: one.priority))


def _every_rule() -> Iterator[tuple[RuleEntry, int]]:
    """Each routing rule, and whose it is; 0 where the kernel does not say."""
    for _, body in _list(_GET_RULE, _FIB_RULE_HDR.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0)):
        told = netlink.attributes(body, _FIB_RULE_HDR.size)
        yield _rule(body, told), told.get(_FRA_PROTOCOL, b"\0")[0]


def _rule(body: bytes, told: dict[int, bytes]) -> RuleEntry:
    _, _, _, _, table, action, _ = _FIB_RULE_HDR.unpack_from(body)
    suppressed = told.get(_FRA_SUPPRESS_PREFIXLEN)
    return RuleEntry(
        priority=_number(told.get(_FRA_PRIORITY)),
        action=action,
        table=_number(told.get(_FRA_TABLE)) or table,
        interface=_text(told.get(_FRA_IIFNAME, b"")),
        mark=_number(told.get(_FRA_FWMARK)),
        suppressed=None if suppressed is None else _number(suppressed),
    )


def add_rule(entry: RuleEntry, protocol: int) -> None:
    """Make a routing rule; EEXIST where it is there."""
    _change(_NEW_RULE, _rule_body(entry, protocol), netlink.CREATE | netlink.EXCLUSIVE)


def remove_rule(entry: RuleEntry, protocol: int) -> None:
    """Take a routing rule away."""
    _change(_DELETE_RULE, _rule_body(entry, protocol))


def _rule_body(entry: RuleEntry, protocol: int) -> bytes:
    table = min(entry.table, _LARGE_TABLE)
    body = _FIB_RULE_HDR.pack(socket.AF_INET, 0, 0, 0, table, entry.action, 0)
    body += netlink.attribute(_FRA_PRIORITY, _U32.pack(entry.priority))
    body += netlink.attribute(_FRA_PROTOCOL, bytes((protocol,)))
    if entry.table:
        body += netlink.attribute(_FRA_TABLE, _U32.pack(entry.table))
    if entry.mark:
        mark = _U32.pack(entry.mark)
        body += netlink.attribute(_FRA_FWMARK, mark) + netlink.attribute(_FRA_FWMASK, mark)
    if entry.interface:
        body += netlink.attribute(_FRA_IIFNAME, _named(entry.interface))
    if entry.suppressed is not None:
        body += netlink.attribute(_FRA_SUPPRESS_PREFIXLEN, _U32.pack(entry.suppressed))
    return body


def neighbour(link: int, address: Address) -> tuple[int, str]:
    """A neighbour's state and MAC, as far as the kernel knows them; 0 and an empty text where it does not."""
    wanted = _NDMSG.pack(socket.AF_INET, link, 0, 0, 0)
    wanted += netlink.attribute(_NDA_DST, address.packed)
    try:
        ((_, body),) = ask(netlink.ROUTE, netlink.message(_GET_NEIGHBOUR, netlink.ACK, wanted))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return 0, ""
        raise
    _, _, state, _, _ = _NDMSG.unpack_from(body)
    mac = netlink.attributes(body, _NDMSG.size).get(_NDA_LLADDR, b"")
    return state, mac.hex(":")


def put_neighbour(link: int, address: Address, state: int, mac: str) -> None:
    """Have the kernel know a neighbour, whatever it knew before."""
    body = _NDMSG.pack(socket.AF_INET, link, state, 0, 0)
    body += netlink.attribute(_NDA_DST, address.packed)
    body += netlink.attribute(_NDA_LLADDR, _octets(mac))
    _change(_NEW_NEIGHBOUR, body, netlink.CREATE | netlink.REPLACE)


def _list(kind: int, wanted: bytes) -> Answer:
    return ask(netlink.ROUTE, netlink.message(kind, netlink.DUMP, wanted))


def _change(kind: int, body: bytes, flags: int = 0) -> None:
    ask(netlink.ROUTE, netlink.message(kind, netlink.ACK | flags, body))


def _number(told: bytes | None) -> int:
    return int(_U32.unpack(told)[0]) if told else 0


def _octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _text(told: bytes) -> str:
    return told.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _named(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape") + b"\0"
