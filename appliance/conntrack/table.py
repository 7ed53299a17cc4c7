"""The kernel's connection table by netlink: counts, the canary, and touching what has seen traffic.

Why touch: conntrackd hears of an entry when the kernel reports an event, and plain traffic is none. So
the replica of a long-lived flow would expire on the peer although the flow lives. An update that
changes nothing makes the kernel report the entry with the timer it has now, and conntrackd sends that.

Raw sockets, not pyroute2: reading a whole table through pyroute2 takes 20 times as long, and it costs
30 MB in a process that lives as long as the node. For the same reason this module opens its two files
itself: `system` brings all that starting programs needs.
"""

import errno
import math
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from appliance import (
    ApplianceError,
    CommandFailed,
    MissingCapability,
    MissingKernelFeature,
    netlink,
)
from appliance.conntrack import ctnetlink
from appliance.conntrack.ctnetlink import (
    KINDS,
    UDP,
    Connection,
    Entry,
    Flow,
    Refusal,
    Translated,
)

SETTINGS = Path("/proc/sys/net/netfilter")
_STATISTICS = Path("/proc/net/stat/nf_conntrack")
CANARY_TIMEOUT = 15  # seconds; a canary is planted more often than that, and leaves by itself

_SOL_NETLINK, _SHORT_ERRORS = (
    270,
    10,
)  # SOL_NETLINK, NETLINK_CAP_ACK: an error does not quote the request
_BUFFER = 65_536  # bytes; the kernel fills at most 32 KiB at a time
_ANSWER_PATIENCE = 10  # seconds for an answer that the kernel gives at once
_BATCH = 100  # touches in one message: a few milliseconds of work, 7 KB
_Seen = TypeVar("_Seen", Entry, Translated, Connection)
_UNFILTERED = (errno.EINVAL, errno.EOPNOTSUPP)


class Touched(NamedTuple):
    """What became of a pass: how many requests were sent, and how many entries had ended meanwhile."""

    sent: int
    gone: int


def count() -> int:
    """How many entries the table has now. Raises MissingKernelFeature without connection tracking."""
    return _number("nf_conntrack_count")


def limit() -> int:
    """How many entries the table may have; the host's own number. Raises MissingKernelFeature."""
    return _number("nf_conntrack_max")


def refused() -> int | None:
    """How many new flows found no free port or entry, of all processors together; None where unknown."""
    return _counted("insert_failed")


def dropped() -> int | None:
    """How many packets of new flows were dropped for want of room, of all processors; None where unknown."""
    return _counted("drop")


def _counted(what: str) -> int | None:
    try:
        return total(what, _STATISTICS.read_text(encoding="ascii"))
    except OSError:
        return None


def total(what: str, text: str) -> int:
    """The sum in /proc/net/stat/nf_conntrack: a line of names, then one of hexadecimal counts a CPU."""
    names, *counts = map(str.split, text.splitlines())
    place = names.index(what)
    return sum(int(one[place], 16) for one in counts)


def _number(name: str) -> int:
    path = SETTINGS / name
    try:
        return int(path.read_text(encoding="ascii"))
    except OSError as error:
        raise MissingKernelFeature(
            f"{path} cannot be read: {error.strerror}; load nf_conntrack on the host (`modprobe`)"
        ) from None


def canary(number: int) -> Flow:
    """The entry that stands for a number (modulo 50,000): UDP between two addresses of RFC 5737."""
    port = 10_000 + number % 50_000
    return Flow(UDP, bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2)), port, port)


def plant(number: int) -> None:
    """Make, or arm again, the canary: an entry that no traffic has; it shows that replication works.

    It expires after CANARY_TIMEOUT. Raises MissingCapability, and CommandFailed with the kernel's word.
    """
    with _door() as kernel:
        answer = _ask(kernel, ctnetlink.creation(canary(number), CANARY_TIMEOUT))
    if isinstance(answer, Refusal) and answer.code:
        raise _refused(f"to plant the canary {number} in the connection table", answer.code)


def planted(number: int) -> bool:
    """Whether the canary of this number is in the table. Raises MissingCapability, CommandFailed."""
    with _door() as kernel:
        answer = _ask(kernel, ctnetlink.question(ctnetlink.origin(canary(number))))
    if isinstance(answer, Refusal) and answer.code != errno.ENOENT:
        raise _refused(f"to look for the canary {number} in the connection table", answer.code)
    return isinstance(answer, Entry)


def rearmed(kind: str, timers: Mapping[str, int], since: float) -> Iterator[list[bytes]]:
    """Names of the IPv4 entries of a kind whose timer traffic has re-armed since a moment.

    The timer of their replica on the peer is behind. `kind` is a key of ctnetlink.KINDS, `timers` are the
    full timers in seconds by kind (and `tcp_unacknowledged`), `since` is a moment on time.monotonic()'s
    clock. Yields the names (CTA_TUPLE_ORIG) as they are read: a list, which may be empty, for each of
    the kernel's buffers; the kernel waits meanwhile. Entries that move while the table is read may be missed; the next pass
    finds them if they live. Raises MissingCapability, and CommandFailed with the kernel's word.
    """
    wanted = KINDS[kind]
    for entries in _dump(ctnetlink.dump(wanted.protocol, wanted.assured), ctnetlink.answers):
        period = time.monotonic() - since  # grows in a long pass, as the entries' ages do
        yield [
            entry.origin
            for entry in entries
            if wanted.has(entry) and ctnetlink.is_rearmed(entry.remaining, kind, timers, period)
        ]


def kept_beside_moved() -> Iterator[list[bytes]]:
    """The entries of TCP and UDP that kept their port outside while a sibling did not.

    Siblings begin at one port of one machine. Yields names as `rearmed` does, and raises what it raises.
    """
    moved = {
        entry.end
        for entries in _dump(ctnetlink.dump(None), ctnetlink.translations)
        for entry in entries
        if entry.moved
    }
    if moved:
        for entries in _dump(ctnetlink.dump(None), ctnetlink.translations):
            yield [entry.origin for entry in entries if not entry.moved and entry.end in moved]


def moved() -> Iterator[list[bytes]]:
    """The entries of TCP and UDP whose port the world sees as another one. As `kept_beside_moved`."""
    for entries in _dump(ctnetlink.dump(None), ctnetlink.translations):
        yield [entry.origin for entry in entries if entry.moved]


def connections() -> Iterator[list[Connection]]:
    """All IPv4 entries by their two directions, a list for each of the kernel's buffers. As `kept_beside_moved`."""
    return _dump(ctnetlink.dump(None), ctnetlink.connections)


def strict() -> Iterator[list[bytes]]:
    """The established TCP connections of which the kernel takes no RST but one that fits what it saw.

    Yields names as `rearmed` does, and raises what it raises.
    """
    wanted = KINDS["tcp_established"]
    for entries in _dump(ctnetlink.dump(wanted.protocol), ctnetlink.answers):
        yield [entry.origin for entry in entries if wanted.has(entry) and entry.strict]


def touch(batches: Iterable[Sequence[bytes]], rate: float, change: bytes = b"") -> Touched:
    """Update the named entries, at most `rate` a second; the kernel reports each.

    Takes what `rearmed` yields, and the one change that is made, if any. An entry that has ended
    meanwhile is counted, nothing more. Raises MissingCapability, and CommandFailed with the kernel's word, when the batches are through.
    """
    done, refused = _each(batches, lambda names: ctnetlink.touches(names, change), rate)
    if refused.code:
        deed = f"to update connections that the peer should know of ({done.sent})"
        raise _refused(deed, refused.code)
    return done


def remove(batches: Iterable[Sequence[bytes]]) -> Touched:
    """End the named entries. Takes and raises what `touch` does."""
    done, refused = _each(batches, ctnetlink.removals, math.inf)
    if refused.code:
        raise _refused(f"to remove connections from its table ({done.sent})", refused.code)
    return done


def _each(
    batches: Iterable[Sequence[bytes]], request: Callable[[Sequence[bytes]], bytes], rate: float
) -> tuple[Touched, Refusal]:
    """Ask the same for each named entry; with the last refusal of one that has not ended meanwhile."""
    sent, gone, refused = 0, 0, Refusal(0)
    with _door() as kernel:
        for names in batches:
            for start in range(0, len(names), _BATCH):
                batch = names[start : start + _BATCH]
                began = time.monotonic()
                kernel.send(request(batch))
                sent += len(batch)
                for answer in _waiting(kernel):
                    if answer.code == errno.ENOENT:
                        gone += 1
                    elif answer.code:
                        refused = answer
                time.sleep(max(0.0, began + len(batch) / rate - time.monotonic()))
    return Touched(sent, gone), refused


def _dump(
    request: bytes, read: Callable[[bytes], Iterator[_Seen | Refusal]]
) -> Iterator[list[_Seen]]:
    """The entries that a dump brings, a list for each buffer; a refused filter is left away."""
    with _door() as kernel:
        kernel.send(request)
        while True:
            answers = list(read(_receive(kernel)))
            yield [answer for answer in answers if not isinstance(answer, Refusal)]
            ends = [answer for answer in answers if isinstance(answer, Refusal)]
            if not ends:
                continue
            whole = ctnetlink.dump(None)
            if ends[-1].code in _UNFILTERED and request != whole:
                request = whole
                kernel.send(request)
            elif ends[-1].code:
                raise _refused("to show the connection table", ends[-1].code)
            else:
                return


def _door() -> socket.socket:
    try:
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETFILTER)
    except OSError as error:
        raise MissingKernelFeature(
            f"no netlink socket for the connection table: {error.strerror}; "
            "load nf_conntrack_netlink on the host (`modprobe`)"
        ) from None
    # The kernel's own time limit: with Python's, recv waits although MSG_DONTWAIT forbids it.
    kernel.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _ANSWER_PATIENCE, 0)
    )
    kernel.setsockopt(_SOL_NETLINK, _SHORT_ERRORS, 1)
    return kernel


def _ask(kernel: socket.socket, request: bytes) -> Entry | Refusal:
    kernel.send(request)
    return next(ctnetlink.answers(_receive(kernel)))


def _receive(kernel: socket.socket) -> bytes:
    try:
        return kernel.recv(_BUFFER)
    except BlockingIOError:
        raise CommandFailed(
            f"the kernel did not answer about the connection table for {_ANSWER_PATIENCE} s"
        ) from None
    except OSError as error:
        raise CommandFailed(
            f"the kernel did not answer about the connection table: {error.strerror}"
        ) from None


def _waiting(kernel: socket.socket) -> Iterator[Refusal]:
    """The errors that wait on the socket; the kernel has put them there before `send` returned."""
    while True:
        try:
            buffer = kernel.recv(_BUFFER, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        for answer in ctnetlink.answers(buffer):
            if isinstance(answer, Refusal):
                yield answer


def _refused(deed: str, code: int) -> ApplianceError:
    if code == errno.EPERM:
        return MissingCapability(
            f"the kernel refused {deed}: CAP_NET_ADMIN is missing; "
            "give it to the container (`cap_add: [NET_ADMIN]`)"
        )
    return CommandFailed(f"the kernel refused {deed}: {os.strerror(code)}")
