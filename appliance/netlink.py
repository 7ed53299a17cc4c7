"""Netlink's own words: messages, attributes, and the kernel's answer that is an error (netlink(7)). Pure.

Numbers of the header and of attributes' headers are the machine's own, not the network's.
"""

import struct
from collections.abc import Iterator

ROUTE, XFRM, NETFILTER = 0, 6, 12  # NETLINK_ROUTE, _XFRM, _NETFILTER: whom a socket speaks to
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300  # NLM_F_*
REPLACE, EXCLUSIVE, CREATE = 0x100, 0x200, 0x400  # the same, of what makes something
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
ERROR, DONE = 2, 3  # NLMSG_*: the kernel's word about a request; the end of a dump
NESTED = 0x8000  # NLA_F_NESTED
_KIND_MASK = 0x3FFF  # NLA_TYPE_MASK

HEAD = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
CODE = struct.Struct("=i")


def message(kind: int, flags: int, payload: bytes) -> bytes:
    """One request; what its kind wants before the attributes stands at the payload's head."""
    return HEAD.pack(HEAD.size + len(payload), kind, REQUEST | flags, 0, 0) + payload


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = ATTRIBUTE.size + len(payload)
    return ATTRIBUTE.pack(length, kind) + payload + bytes(-length % 4)


def messages(buffer: bytes) -> Iterator[tuple[int, int, int]]:
    """The messages of a buffer: each one's kind, where its payload begins, and where it ends."""
    at = 0
    while at + HEAD.size <= len(buffer):
        length, kind, _, _, _ = HEAD.unpack_from(buffer, at)
        yield kind, at + HEAD.size, at + length
        at += (length + 3) & ~3


def refusal(buffer: bytes, at: int) -> int:
    """The error number (errno(3)) in the payload of ERROR or DONE; 0 for done."""
    return -int(CODE.unpack_from(buffer, at)[0])


def interrupted(buffer: bytes, at: int) -> bool:
    """Whether the list that this message is of changed while the kernel told it; `at` is the payload's place."""
    return bool(HEAD.unpack_from(buffer, at - HEAD.size)[2] & _INTERRUPTED)


def attributes(payload: bytes, at: int = 0) -> dict[int, bytes]:
    """The attributes of a message, or of a nested attribute, by their kinds; they begin at `at`."""
    return dict(_each(payload, at))


def listed(payload: bytes) -> tuple[bytes, ...]:
    """The members of an attribute that is a list: they are all of one kind."""
    return tuple(member for _, member in _each(payload, 0))


def _each(payload: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + ATTRIBUTE.size <= len(payload):
        length, kind = ATTRIBUTE.unpack_from(payload, at)
        yield kind & _KIND_MASK, payload[at + ATTRIBUTE.size : at + length]
        at += max(length + 3 & ~3, ATTRIBUTE.size)
