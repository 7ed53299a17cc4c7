"""A connection table for the tests: filled at will, read whole, and listened to."""

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.conntrack import ctnetlink, table
from appliance.conntrack.ctnetlink import CONFIRMED, UDP, Entry, Flow
from tests.waiting import PATIENCE, waited

NETFILTER = 12  # NETLINK_NETFILTER
SO_RCVBUFFORCE = 33  # asm-generic/socket.h; the socket module does not name it


def setting(name: str, value: int) -> None:
    Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").write_text(str(value))


def until(true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something is so; fail when the time is up."""
    waited(true, seconds, every=0.05, told=lambda: what)


def insert(text: str) -> None:
    subprocess.run(["conntrack", "-I", *text.split()], check=True, capture_output=True)


def fill(number: int, timeout: int, *, first: int = 0, status: int = CONFIRMED) -> None:
    """Make many entries at once: UDP from 10.x.x.x to one server."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as kernel:
        for start in range(first, first + number, 100):
            flows = (
                Flow(UDP, (10 << 24 | at).to_bytes(4, "big"), bytes((8, 8, 8, 8)), 5000, 53)
                for at in range(start, start + 100)
            )
            kernel.send(b"".join(ctnetlink.creation(flow, timeout, status) for flow in flows))
            with contextlib.suppress(BlockingIOError):
                while buffer := kernel.recv(65536, socket.MSG_DONTWAIT):
                    assert set(ctnetlink.answers(buffer)) == {(0,)}


def whole_table() -> dict[bytes, Entry]:
    """The entries by their names."""
    dump = table._dump(ctnetlink.dump(None), ctnetlink.answers)
    entries = [entry for buffer in dump for entry in buffer]
    return {entry.origin: entry for entry in entries}


@contextlib.contextmanager
def updates() -> Iterator[Callable[[], list[Entry]]]:
    """Listens as conntrackd does; gives the entries that were reported as updated since last asked."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as kernel:
        kernel.bind((0, 1 << 1))  # NFNLGRP_CONNTRACK_UPDATE
        # A pass of 1000 touches finds room also where nobody reads until it has ended.
        kernel.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)

        def heard() -> list[Entry]:
            found: list[Entry] = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    buffer = kernel.recv(65536, socket.MSG_DONTWAIT)
                    found += [a for a in ctnetlink.answers(buffer) if isinstance(a, Entry)]
            return found

        yield heard
