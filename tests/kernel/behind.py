"""A machine behind the gateway, and the world outside, in one process: frames that it sends, and those that leave."""

import contextlib
import itertools
import socket
import struct
import subprocess
from types import TracebackType
from typing import Self

MACHINE, OUTSIDE, ROUTER = "192.168.100.10", "8.8.8.8", "203.0.113.1"
ICMP, TCP, UDP = 1, 6, 17
_ETH_P_IP = 0x0800
_ROUTERS_MAC = "02:00:00:00:00:fe"
_PORTS = itertools.count(20_000)


class Behind:
    """The other ends of the namespace's LAN and WAN; the router outside has a MAC, and answers nothing."""

    def __init__(self) -> None:
        neighbour = ["ip", "neigh", "replace", ROUTER, "lladdr", _ROUTERS_MAC]
        subprocess.run([*neighbour, "dev", "eth0", "nud", "permanent"], check=True)
        self._lan, self._wan = (
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_IP))
            for _ in range(2)
        )
        self._lan.bind(("peer-eth1", _ETH_P_IP))
        self._wan.bind(("peer-eth0", _ETH_P_IP))
        self._wan.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._lan.close()
        self._wan.close()

    def begins(
        self, protocol: int, *, ttl: int = 64, to: str = OUTSIDE, octets: int = 0
    ) -> list[str]:
        """Send the first packet of a flow; from which address it leaves, where it does, each time.

        All that happens to it happens before `send` returns.
        """
        self.left()
        gateway = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with gateway:
            gateway.bind(("eth1", 0))
            mac = gateway.getsockname()[4]
        frame = mac + bytes.fromhex("020000000010") + struct.pack("!H", _ETH_P_IP)
        self._lan.send(frame + packet(protocol, MACHINE, to, next(_PORTS), ttl, octets))
        return self.left()

    def left(self) -> list[str]:
        """The sources of what has left by the WAN since this was asked last."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, (_, _, kind, _, _) = self._wan.recvfrom(65536)
                if kind != socket.PACKET_OUTGOING:
                    found.append(socket.inet_ntoa(frame[26:30]))
        return found


def packet(protocol: int, source: str, to: str, port: int, ttl: int, octets: int) -> bytes:
    """A SYN to port 443, a datagram to 53, or a ping, with so many octets behind; may not be fragmented."""
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    body = {
        ICMP: struct.pack("!BBHHH", 8, 0, 0, port, 1),
        TCP: struct.pack("!HHIIBBHHH", port, 443, 1, 0, 5 << 4, 2, 64000, 0, 0),
        UDP: struct.pack("!HHHH", port, 53, 8 + octets, 0),
    }[protocol] + bytes(octets)
    pseudo = b"" if protocol == ICMP else ends + struct.pack("!HH", protocol, len(body))
    at = {ICMP: 2, TCP: 16, UDP: 6}[protocol]
    body = body[:at] + _checksum(pseudo + body) + body[at + 2 :]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0x4000, ttl, protocol, 0) + ends
    return head[:10] + _checksum(head) + head[12:] + body


def _checksum(octets: bytes) -> bytes:
    words = struct.unpack(f"!{(len(octets) + 1) // 2}H", octets + bytes(len(octets) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", total ^ 0xFFFF)
