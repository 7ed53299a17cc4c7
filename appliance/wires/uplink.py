"""Does the way out work? Echo requests (RFC 792) from the node's own address, never from the WAN VIP."""

import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Iterable

from appliance.addresses import Address
from appliance.wires import queue

SAMPLE_INTERVAL = 0.3  # seconds between two samples
_SAMPLES = 3
_ENOUGH = 2  # of the last samples: as many decide
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_IP_FREEBIND = 15  # linux/in.h; the socket module does not name it


class Uplink:
    """Asks several targets at once, again and again; one answer makes a sample a good one.

    A single far target that is dead proves nothing, so only silence of all of them counts.
    """

    def __init__(self, own: Address, targets: Iterable[Address], now: float) -> None:
        self.targets = frozenset(map(str, targets))
        self.samples: deque[bool] = deque(maxlen=_SAMPLES)
        self.mark = os.getpid() & 0xFFFF
        self.number = 0
        self.last_answer = now
        self.sampled = now
        self.answered = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
        self.socket.bind((str(own), 0))

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    def sample(self, now: float) -> None:
        """End the former sample and begin the next one."""
        self.receive(now)
        if now - self.sampled > 2 * SAMPLE_INTERVAL:
            # Whoever did not ask, for it was not let run, cannot say that nobody answered.
            self.last_answer = now
        elif self.number:
            self.samples.append(self.answered)
        self.sampled = now
        self.answered = False
        self.number = self.number % 0xFFFF + 1
        for target in self.targets:
            with contextlib.suppress(OSError):
                self.socket.sendto(_request(self.mark, self.number), (target, 0))

    def receive(self, now: float) -> None:
        """Read the answers that have come; one to an earlier sample came too late."""
        for packet, (sender, _) in queue.waiting(lambda: self.socket.recvfrom(2048)):
            start = (packet[0] & 0xF) * 4
            if len(packet) < start + 8 or sender not in self.targets:
                continue
            kind, _, _, mark, number = struct.unpack("!BBHHH", packet[start : start + 8])
            if (kind, mark, number) == (_ECHO_REPLY, self.mark, self.number):
                self.answered, self.last_answer = True, now

    def quiet(self, now: float) -> float:
        """Seconds since the last answer, or since the start while there was none."""
        return round(now - self.last_answer, 3)

    def works(self) -> bool | None:
        """Whether the way out works, by two of the last three samples; None before there are two."""
        good = sum(self.samples)
        if good >= _ENOUGH:
            return True
        return False if len(self.samples) - good >= _ENOUGH else None


def _request(mark: int, number: int) -> bytes:
    head = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, mark, number)
    return head[:2] + struct.pack("!H", _checksum(head)) + head[4:]


def _checksum(message: bytes) -> int:
    """The Internet checksum of an even number of bytes (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(message) // 2}H", message))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
