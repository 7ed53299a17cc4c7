"""The tables of iptables-legacy as the kernel keeps them: asked for without a program (linux/netfilter_ipv4/ip_tables.h)."""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from appliance.filters.legacy_rules import HOOKS, LegacyTable

_GROWS = 5  # times that a table may while it is read
TABLE_NAMES = Path("/proc/net/ip_tables_names")
_GET_INFO, _GET_ENTRIES = 64, 65  # IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES
# ipt_getinfo: the table's name, its hooks as a mask, where each begins and its policy stands, rules, octets.
_TABLE_INFO = struct.Struct("=32sI5I5III")
_ENTRIES = struct.Struct("=32sI4x")  # ipt_get_entries, in front of the rules


def names() -> tuple[str, ...]:
    """The tables that somebody has made here; to ask for another one would make it."""
    try:
        return tuple(TABLE_NAMES.read_text(encoding="ascii").split())
    except FileNotFoundError:
        return ()  # the kernel has no such firewall


def tables() -> Iterator[LegacyTable]:
    """All of them. Raises OSError with the kernel's word."""
    present = names()
    if not present:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as door:
        for name in present:
            yield _whole(door, name)


def _whole(door: socket.socket, name: str) -> LegacyTable:
    """A table at one moment: one that grows while it is asked for is asked for again."""
    for _ in range(_GROWS):
        with contextlib.suppress(BlockingIOError):
            return _table(door, name)
    return _table(door, name)


def _table(door: socket.socket, name: str) -> LegacyTable:
    named = name.encode()
    told = _TABLE_INFO.unpack(_ask(door, _GET_INFO, _TABLE_INFO.pack(named, *[0] * 13)))
    mask, begins, ends, octets = told[1], told[2:7], told[7:12], told[13]
    answer = _ask(door, _GET_ENTRIES, _ENTRIES.pack(named, octets) + bytes(octets))
    places = [(hook, bit) for bit, hook in enumerate(HOOKS) if mask >> bit & 1]
    return LegacyTable(
        name,
        {hook: begins[bit] for hook, bit in places},
        {hook: ends[bit] for hook, bit in places},
        answer[_ENTRIES.size :],
    )


def _ask(door: socket.socket, what: int, question: bytes) -> bytes:
    """getsockopt(2) with a question in the buffer, which Python's own has no way to give."""
    # Few machines have such a table, and all would carry it.
    import ctypes  # noqa: PLC0415

    buffer = ctypes.create_string_buffer(question, len(question))
    size = ctypes.c_uint32(len(question))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.getsockopt(door.fileno(), socket.IPPROTO_IP, what, buffer, ctypes.byref(size)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return buffer.raw
