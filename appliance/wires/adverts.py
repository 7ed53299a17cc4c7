"""The peer's VRRP adverts as they arrive: when the last one came, and whether it was a farewell."""

import contextlib
import socket
import struct
from dataclasses import dataclass

from appliance.addresses import Address

_VRRP = 112
_SO_TIMESTAMP = 29  # asm-generic/socket.h; the socket module does not name it
_TIME = struct.Struct("@ll")


@dataclass(frozen=True)
class Advert:
    """One advert: when the kernel received it, in seconds since 1970, and its priority (0: farewell)."""

    at: float
    priority: int


class Adverts:
    """A raw socket that the kernel fills and nobody waits for: it is read when the role changes.

    It is also read at each look, so that it never overflows.
    """

    def __init__(self, peer: Address, router_id: int) -> None:
        self.peer, self.router_id = str(peer), router_id
        self.last: Advert | None = None
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, _VRRP)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMP, 1)

    def read(self) -> Advert | None:
        """The last advert of the peer's until now; None if there never was one."""
        with contextlib.suppress(OSError):
            while True:
                packet, extra, _, (sender, _) = self.socket.recvmsg(512, 64)
                start = (packet[0] & 0xF) * 4
                if sender != self.peer or len(packet) < start + 3:
                    continue
                if packet[start + 1] == self.router_id:
                    self.last = Advert(_stamp(extra), packet[start + 2])
        return self.last


def _stamp(extra: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMP):
            seconds, micro = _TIME.unpack(data[: _TIME.size])
            return float(seconds + micro / 1e6)
    return 0.0
