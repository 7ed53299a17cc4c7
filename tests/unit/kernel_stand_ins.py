"""What stands where the kernel would answer: a plain user may not ask it, and root must not change its tables."""

import errno
import select
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from appliance import netlink
from appliance.conntrack import ctnetlink
from appliance.conntrack.ctnetlink import ESTABLISHED, TCP, Flow
from appliance.drivers import xfrm

_NAME_AT = netlink.HEAD.size + 4  # behind nfgenmsg
_NEW, _DELETE = 0x100, 0x102


def ending(code: int, kind: int = netlink.ERROR) -> bytes:
    """The kernel's word about a request: 0, or an error number."""
    payload = netlink.CODE.pack(-code)
    return netlink.HEAD.pack(netlink.HEAD.size + len(payload), kind, 0, 0, 0) + payload


# Answers a message, given its kind, its flags and all of it, with as many buffers as it takes.
Answers = Callable[[int, int, bytes], Iterator[bytes]]


class Door:
    """A netlink socket whose answers wait before `send` returns, as the kernel's do."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.waiting: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def setsockopt(self, *_: object) -> None:
        """Takes every option."""

    def settimeout(self, _: float) -> None:
        """Never waits."""

    def send(self, request: bytes) -> None:
        """Answer each message of a request."""
        at = 0
        while at < len(request):
            length, kind, flags, _, _ = netlink.HEAD.unpack_from(request, at)
            self.waiting += self.answers(kind, flags, request[at : at + length])
            at += length

    def recv(self, _size: int, _flags: int = 0) -> bytes:
        """The next buffer; nothing waits: EAGAIN, at once."""
        if not self.waiting:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return self.waiting.pop(0)


@dataclass
class Kept:
    """An entry of the table; `outside` is the port that the world sees, `seen_as` the address, `strict` that resets must fit."""

    flow: Flow
    remaining: int
    status: int = ctnetlink.CONFIRMED
    outside: int | None = None
    strict: bool = False
    seen_as: bytes | None = None

    @property
    def name(self) -> bytes:
        """What names it in a request."""
        return ctnetlink.origin(self.flow)

    def shown(self) -> bytes:
        """The entry as the kernel sends it."""
        back = self.flow.back()
        if self.outside is not None:
            back = back._replace(destination_port=self.outside)
        if self.seen_as is not None:
            back = back._replace(destination=self.seen_as)
        payload = self.name + ctnetlink._tuple(ctnetlink._REPLY, back)
        payload += netlink.attribute(ctnetlink._STATUS, struct.pack("!I", self.status))
        payload += netlink.attribute(ctnetlink._TIMEOUT, struct.pack("!I", self.remaining))
        if self.flow.protocol == TCP:
            payload += bytes.fromhex(
                f"3000 0480 2c00 0180 0500 0100 {ESTABLISHED:02x} 000000 0500 0200 07 000000"
                f"0500 0300 07 000000 0600 0400 {0x20 * self.strict:02x} 00 0000 0600 0500 00 00 0000"
            )
        return ctnetlink.message(_NEW, 0, payload)


@dataclass
class ConnectionTable:
    """The connection table behind its netlink socket."""

    entries: dict[bytes, Kept] = field(default_factory=dict)
    touched: list[Flow] = field(default_factory=list)
    refuses: int = 0
    """The error number that every request is answered with."""
    filters: bool = True
    """Whether it has heard of filters. (It sends everything even so: whoever reads must look.)"""
    silent: bool = False
    at_touch: Callable[[], None] = lambda: None

    def door(self) -> Door:
        """A socket to it."""
        return Door(self.answers)

    def keep(self, *entries: Kept) -> None:
        """Have these entries in the table."""
        self.entries |= {entry.name: entry for entry in entries}

    def answers(self, kind: int, flags: int, message: bytes) -> Iterator[bytes]:
        """As nf_conntrack_netlink does, one entry a buffer."""
        if self.silent:
            return
        if self.refuses:
            yield ending(self.refuses)
        elif kind == _NEW and flags & netlink.CREATE:
            (entry,) = ctnetlink.answers(message)
            assert isinstance(entry, ctnetlink.Entry)
            self.keep(Kept(_flow(entry.origin), entry.remaining, entry.status))
            yield ending(0)
        elif kind == _NEW:
            yield from self._touch(message[_NAME_AT:])
        elif kind == _DELETE:
            if self.entries.pop(message[_NAME_AT:], None) is None:
                yield ending(errno.ENOENT)
        elif flags & netlink.DUMP == netlink.DUMP:
            if not self.filters and len(message) > _NAME_AT:
                yield ending(errno.EINVAL)
                return
            yield from [entry.shown() for entry in self.entries.values()]
            yield ending(0, netlink.DONE)
        else:
            entry_there = self.entries.get(message[_NAME_AT:])
            yield entry_there.shown() if entry_there else ending(errno.ENOENT)

    def _touch(self, payload: bytes) -> Iterator[bytes]:
        length = netlink.ATTRIBUTE.unpack_from(payload)[0]
        name, change = payload[:length], payload[length:]
        self.at_touch()
        if name not in self.entries:
            yield ending(errno.ENOENT)
            return
        self.touched.append(self.entries[name].flow)
        if change == ctnetlink.LENIENT:
            self.entries[name].strict = False


def _flow(name: bytes) -> Flow:
    """The flow of TCP or UDP that an entry is named by."""
    ports = [int.from_bytes(name[at : at + 2], "big") for at in (40, 48)]
    return Flow(name[32], name[12:16], name[20:24], *ports)


class RoutingTable:
    """The routing table, asked who has an address; `settings` are those of interfaces it was told."""

    def __init__(self, *, local: bool) -> None:
        self.local = local
        self.refuses = 0
        self.told: list[bytes] = []

    def door(self) -> Door:
        """A socket to it."""
        return Door(self.answers)

    def answers(self, kind: int, flags: int, message: bytes) -> Iterator[bytes]:
        """The kind of route to an address, or the word about a setting."""
        if flags & netlink.ACK or self.refuses:
            self.told.append(message)
            yield ending(self.refuses)
        else:
            yield netlink.message(
                24, 0, struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 0, 0, 0, 2 if self.local else 1, 0)
            )


class OpenDoors:
    """Stands for `socket.socket`: some families and protocols lead to a stand-in, all others to the kernel.

    Of several that fit the one that names most counts.
    """

    def __init__(self) -> None:
        self.doors: dict[tuple[int, ...], Callable[[], Any]] = {}
        self._real = socket.socket

    def lead(self, *what: int, to: Callable[[], Any]) -> None:
        """Have sockets of this family, kind and protocol (as many as are given) come from there."""
        self.doors[what] = to

    def __call__(
        self, family: int = -1, kind: int = -1, protocol: int = -1, fileno: Any = None
    ) -> Any:
        """A socket."""
        for what, door in sorted(self.doors.items(), key=lambda one: len(one[0]), reverse=True):
            if (family, kind, protocol)[: len(what)] == what:
                return door()
        return self._real(family, kind, protocol, fileno)


def refused(code: int) -> Callable[[], Any]:
    """A door that the kernel does not open."""

    def shut() -> Any:
        raise OSError(
            code, "Protocol not supported" if code == errno.EPROTONOSUPPORT else "refused"
        )

    return shut


def opened(monkeypatch: pytest.MonkeyPatch) -> OpenDoors:
    """Have every socket come by way of the doors, which lead to the kernel until they are told otherwise."""
    doors = OpenDoors()
    monkeypatch.setattr("socket.socket", doors)
    return doors


def has_come(waiting: Any) -> None:
    """Wait until a socket has something to read, at most 10 s."""
    assert select.select([waiting], [], [], 10)[0], "nothing came"


class Policies:
    """The IPsec policies behind their netlink socket, and what becomes of packets that meet none."""

    def __init__(self) -> None:
        self.bodies: dict[bytes, bytes] = {}
        """What each policy was made of, by its selector, direction and mark."""
        self.default = 2  # XFRM_USERPOLICY_ACCEPT
        self.refuses: dict[int, int] = {}
        """The error number that each kind of message is answered with."""

    def door(self) -> Door:
        """A socket to it."""
        return Door(self.answers)

    def answers(self, kind: int, _flags: int, message: bytes) -> Iterator[bytes]:
        """As xfrm_user does; a dump in one buffer for each policy."""
        body = message[netlink.HEAD.size :]
        if kind in self.refuses:
            yield ending(self.refuses[kind])
        elif kind == xfrm._GET_POLICY:
            yield from [netlink.message(xfrm._NEW_POLICY, 0, one) for one in self.bodies.values()]
            yield ending(0, netlink.DONE)
        elif kind == xfrm._GET_DEFAULT:
            yield netlink.message(kind, 0, bytes((self.default, 2, 2)))
            yield ending(0)
        else:
            yield ending(self._change(kind, body))

    def _change(self, kind: int, body: bytes) -> int:
        """Make one change; its error number."""
        selector = body[: xfrm._SELECTOR.size]
        if kind == xfrm._SET_DEFAULT:
            self.default = body[0] or self.default
        elif kind == xfrm._DELETE_POLICY:
            named = selector + body[xfrm._SELECTOR.size + 8 :]
            return 0 if self.bodies.pop(named, None) else errno.ENOENT
        else:
            named = selector + body[xfrm._INFO :]
            if named in self.bodies:
                return errno.EEXIST
            self.bodies[named] = body
        return 0
