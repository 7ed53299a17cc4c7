"""The peer's VRRP adverts as they arrive: when the last one came, and whether it was a farewell."""

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from appliance import system
from appliance.addresses import Address
from appliance.wires import queue

RECENT = 10.0  # seconds for which a silence counts
_VRRP = 112
_RAW_SOCKETS = Path("/proc/net/raw")
_SO_TIMESTAMP = 29  # asm-generic/socket.h; the socket module does not name it
_TIME = struct.Struct("@ll")


@dataclass(frozen=True)
class Advert:
    """One advert: when the kernel received it, on the monotonic clock, and its priority (0: farewell).

    `silence` is how long none had come before it, or before one of the last `RECENT` seconds where that was
    longer; `ended` is when that one came.
    """

    at: float
    priority: int
    silence: float = 0.0
    ended: float = 0.0

    def next(self, at: float, priority: int) -> "Advert":
        """The one that follows it."""
        silence = at - self.at
        if silence >= self.silence or at - self.ended > RECENT:
            return Advert(at, priority, silence, at)
        return Advert(at, priority, self.silence, self.ended)


class Adverts:
    """A raw socket that the kernel fills and nobody waits for: it is read when the role changes.

    It is also read at each look, so that it never overflows.
    """

    def __init__(self, peer: Address, router_id: int) -> None:
        self.peer, self.router_id = str(peer), router_id
        self.last: Advert | None = None
        self.looked = system.monotonic()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, _VRRP)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMP, 1)

    def read(self) -> Advert | None:
        """The last advert of the peer's until now; None if there never was one."""
        looked, self.looked, wall = self.looked, system.monotonic(), system.wall()
        for packet, extra, _, (sender, _) in queue.waiting(lambda: self.socket.recvmsg(512, 64)):
            start = (packet[0] & 0xF) * 4
            if sender != self.peer or len(packet) < start + 3:
                continue
            if packet[start + 1] == self.router_id:
                at = arrival(wall - _stamp(extra), looked, self.looked)
                priority = packet[start + 2]
                self.last = self.last.next(at, priority) if self.last else Advert(at, priority)
        return self.last


def arrival(age: float, looked: float, now: float) -> float:
    """When it came, between the last look and now, in seconds on the monotonic clock.

    `age` is by the clock on the wall, which stamps it and may have been set meanwhile.
    """
    return max(looked, min(now, now - age))


def _stamp(extra: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMP):
            seconds, micro = _TIME.unpack(data[: _TIME.size])
            return float(seconds + micro / 1e6)
    return 0.0


def sockets(process: int) -> int | None:
    """How many raw sockets for VRRP a process has; None where that cannot be told."""
    places = set()
    try:
        listing = _RAW_SOCKETS.read_text(encoding="ascii")
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                places.add(os.readlink(entry))
    except OSError:
        return None
    return len({f"socket:[{inode}]" for inode in inodes(listing)} & places)


def inodes(listing: str) -> list[str]:
    """The inodes of the raw sockets for VRRP, in the text of /proc/net/raw.

    A raw socket's protocol stands where others have their port (raw_get_first in net/ipv4/raw.c).
    """
    rows = [line.split() for line in listing.splitlines()[1:]]
    return [row[9] for row in rows if int(row[1].rpartition(":")[2], 16) == _VRRP]
