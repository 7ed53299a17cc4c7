"""A machine's links, addresses, routes, rules and neighbours behind a routing socket that asks no kernel.

It keeps what it is told as it is told, and tells the same: whoever reads must understand whoever writes.
"""

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from appliance import netlink
from appliance.planning.wanted import Names

from .kernel_stand_ins import Door, OpenDoors, ending

_LINK = struct.Struct("=BxHiII")
_HEADS = {"link": 16, "address": 8, "route": 12, "rule": 12, "neighbour": 12}
_FIRST = 16  # RTM_NEWLINK; the others follow by four
_KINDS = ("link", "address", "route", "neighbour", "rule")
_NEW, _DELETE, _GET, _SET = range(4)
_OURS, _MAIN = Names(), 254


@dataclass
class LinkKept:
    """An interface, and the attributes that it was made with."""

    name: str
    mac: str
    up: bool
    carries: bool = True
    more: bytes = b""

    def shown(self, index: int) -> bytes:
        """As the kernel tells it."""
        state = bytes((6 if self.up and self.carries else 2,))
        return (
            _LINK.pack(0, 0, index, int(self.up), 0)
            + netlink.attribute(3, self.name.encode() + b"\0")
            + netlink.attribute(1, bytes.fromhex(self.mac.replace(":", "")))
            + netlink.attribute(16, state)
            + self.more
        )


class Machine:
    """What the kernel keeps: links by index, and bodies of messages for all else."""

    def __init__(self) -> None:
        self.links: dict[int, LinkKept] = {}
        self.kept: dict[str, list[bytes]] = {kind: [] for kind in _KINDS}
        self.refuses: int = 0
        """The error number of every change."""
        self.leads_nowhere: int = 0
        """The error number with which it drops packets of others."""
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens just before it tells the way of a packet."""
        self.interruptions = 0
        """How many of the next lists change while they are told."""
        self.add_link("lo", up=True)

    def door(self) -> Door:
        """A socket to it."""
        return Door(self.answers)

    def add_link(
        self, name: str, *, up: bool = False, mac: str = "00:00:00:00:00:00", more: bytes = b""
    ) -> int:
        """A link as a kernel has it, and its index."""
        index = max(self.links, default=0) + 1
        self.links[index] = LinkKept(name, mac, up, more=more)
        return index

    def add_address(self, name: str, address: str) -> None:
        """An address with its length, on a link by its name."""
        local, _, length = address.partition("/")
        body = struct.pack("=BBBBi", socket.AF_INET, int(length), 0, 0, self.index_of(name))
        self.kept["address"].append(body + netlink.attribute(2, socket.inet_aton(local)))

    def add_neighbour(self, index: int, address: str, state: int, mac: str) -> None:
        """A neighbour on a link, in place of the former of this address."""
        body = struct.pack("=BxxxiHBB", socket.AF_INET, index, state, 0, 0)
        body += netlink.attribute(1, socket.inet_aton(address))
        body += netlink.attribute(2, bytes.fromhex(mac.replace(":", ""))) if mac else b""
        self._alter("neighbour", _NEW, netlink.REPLACE, body)

    def remove_address(self, address: str) -> None:
        """Take an address away, on whatever link it is."""
        told = netlink.attribute(2, socket.inet_aton(address.partition("/")[0]))
        kept = self.kept["address"]
        self.kept["address"] = [one for one in kept if told not in one]

    def link(self, name: str) -> LinkKept:
        """The link of this name."""
        return self.links[self.index_of(name)]

    @property
    def routes(self) -> list[bytes]:
        """The routes that it keeps."""
        return self.kept["route"]

    @property
    def rules(self) -> list[bytes]:
        """The routing rules that it keeps."""
        return self.kept["rule"]

    def index_of(self, name: str) -> int:
        """As if_nametoindex(3)."""
        for index, link in self.links.items():
            if link.name == name:
                return index
        raise OSError(errno.ENODEV, "no interface with this name")

    def names(self) -> list[tuple[int, str]]:
        """As if_nameindex(3)."""
        return [(index, link.name) for index, link in self.links.items()]

    def answers(self, kind: int, flags: int, message: bytes) -> Iterator[bytes]:
        """As rtnetlink does, one entry a buffer."""
        what, verb = _KINDS[(kind - _FIRST) // 4], kind % 4
        body = message[netlink.HEAD.size :]
        if verb == _GET and flags & netlink.DUMP == netlink.DUMP:
            yield from self._told(what)
        elif verb == _GET and what == "route":
            yield from self._led(netlink.attributes(body, _HEADS["route"])[1])
        elif verb == _GET:
            asked = _name_of(what, body)
            found = [one for one in self.kept[what] if _name_of(what, one) == asked]
            yield from (netlink.message(_number(what), 0, one) for one in found)
            yield ending(0 if found else errno.ENOENT)
        elif self.refuses:
            yield ending(self.refuses)
        else:
            change = self._alter_link if what == "link" else self._alter
            yield ending(change(what, verb, flags, body))

    def _led(self, destination: bytes) -> Iterator[bytes]:
        """The route that a packet takes: a stranger's if one is in front, else a default that gives no source."""
        self.meanwhile()
        found = [] if self.leads_nowhere else [r for r in self.routes if _leads(r, destination)]
        for route in sorted(found, key=_in_front, reverse=True)[:1]:
            yield netlink.message(_number("route"), 0, route)
        yield ending(self.leads_nowhere or (0 if found else errno.ENETUNREACH))

    def _told(self, what: str) -> Iterator[bytes]:
        shown = [link.shown(index) for index, link in self.links.items()]
        bodies = shown if what == "link" else self.kept[what]
        flags, self.interruptions = (0x10, self.interruptions - 1) if self.interruptions else (0, 0)
        if not flags:  # an interrupted one may lack anything
            yield from (netlink.message(_number(what), 0, body) for body in bodies)
        yield netlink.HEAD.pack(netlink.HEAD.size + 4, netlink.DONE, flags, 0, 0) + bytes(4)

    def _alter_link(self, _: str, verb: int, _flags: int, body: bytes) -> int:
        """Make one change to a link; its error number."""
        _, _, index, flags, _ = _LINK.unpack_from(body)
        told = netlink.attributes(body, _LINK.size)
        if verb == _DELETE:
            del self.links[index]
        elif verb == _NEW:
            name, mac = told[3].rstrip(b"\0").decode(), told[1].hex(":")
            more = netlink.attribute(5, told[5]) + netlink.attribute(18, told[18])
            self.add_link(name, mac=mac, more=more)
        elif flags:
            self.links[index].up = True
        return 0

    def _alter(self, what: str, verb: int, flags: int, body: bytes) -> int:
        """Make one change to anything else; its error number."""
        place = _name_of(what, body)
        others = [one for one in self.kept[what] if _name_of(what, one) != place]
        there = len(others) < len(self.kept[what])
        if verb == _DELETE and not there:
            return errno.ENOENT if what == "rule" else errno.ESRCH
        if verb == _NEW and there and not flags & netlink.REPLACE:
            return errno.EEXIST
        self.kept[what] = others if verb == _DELETE else [*others, body]
        return 0


def _in_front(route: bytes) -> bool:
    """Whether it is a stranger's that counts before ours: it is longer, or another rule leads to it."""
    table = int.from_bytes(netlink.attributes(route, _HEADS["route"])[15], "little")
    return route[5] != _OURS.protocol and (route[1] > 0 or table != _MAIN)


def _leads(route: bytes, destination: bytes) -> bool:
    """Whether a packet of others may take it there."""
    told, rest = netlink.attributes(route, _HEADS["route"]), 32 - route[1]
    there = int.from_bytes(destination, "big") ^ int.from_bytes(told.get(1, bytes(4)), "big")
    return there >> rest == 0 and (_in_front(route) or 7 not in told)


def _number(what: str) -> int:
    """The kind of message that tells of a new one."""
    return _FIRST + 4 * _KINDS.index(what)


def _name_of(what: str, body: bytes) -> tuple[object, ...]:
    """What tells this one apart from others of its kind."""
    told = netlink.attributes(body, _HEADS[what])
    if what == "route":
        return body[1], told.get(1), told[15]
    if what == "neighbour":
        return body[4:8], told[1]
    return (body[4:8], told[2]) if what == "address" else (body,)


def machine(monkeypatch: pytest.MonkeyPatch, sockets: OpenDoors) -> Machine:
    """One that is found in the kernel's place, by way of these doors."""
    found = Machine()
    sockets.lead(socket.AF_NETLINK, socket.SOCK_RAW, netlink.ROUTE, to=found.door)
    monkeypatch.setattr("socket.if_nametoindex", found.index_of)
    monkeypatch.setattr("socket.if_nameindex", found.names)
    return found
