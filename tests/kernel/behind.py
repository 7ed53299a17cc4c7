"""A machine behind the gateway, and the world outside, in one process: frames that they send, and those that come through."""

import contextlib
import itertools
import os
import socket
import struct
import subprocess
from typing import Self

from tests.waiting import PATIENCE

MACHINE, OUTSIDE, ROUTER, VIP = "192.168.100.10", "8.8.8.8", "203.0.113.1", "203.0.113.99"
ICMP, TCP, UDP = 1, 6, 17
_GATEWAY, _MAC, _ROUTERS_MAC = "192.168.100.2", bytes.fromhex("020000000010"), "02:00:00:00:00:fe"
_ETH_P_ALL, _ETH_P_IP, _ETH_P_ARP = 0x0003, 0x0800, 0x0806
_PORTS = itertools.count(20_000)


class Behind:
    """The other ends of the namespace's LAN and WAN; the router outside has a MAC, and answers when it is told to."""

    def __init__(self) -> None:
        for address, mac, interface in (
            (ROUTER, _ROUTERS_MAC, "eth0"),
            (MACHINE, _MAC.hex(":"), "eth1"),
        ):
            neighbour = ["ip", "neigh", "replace", address, "lladdr", mac]
            subprocess.run([*neighbour, "dev", interface, "nud", "permanent"], check=True)
        # One processor keeps frames in their order.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        self.lan, self.wan = End("eth1"), End("eth0")
        self._ports: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.lan.link.close()
        self.wan.link.close()

    def begins(
        self, protocol: int, *, ttl: int = 64, to: str = OUTSIDE, octets: int = 0
    ) -> list[str]:
        """Send the first packet of a flow; from which addresses something leaves until the gateway has dealt with it."""
        port = self._ports[protocol] = next(_PORTS)
        return self._through(packet(protocol, MACHINE, to, port, ttl, octets), self.lan)

    def gets_an_answer(self, protocol: int) -> bool:
        """Whether the answer to the flow of that protocol that began last comes through to the machine."""
        answer = packet(protocol, OUTSIDE, VIP, self._ports[protocol], back=True)
        return OUTSIDE in self._through(answer, self.wan)

    def pings(self, address: str) -> bool:
        """Whether the gateway answers the machine's ping of one of its addresses."""
        self.lan.sources()
        self.lan.send(packet(ICMP, MACHINE, address, next(_PORTS)))
        self.lan.settle()
        return address in self.lan.sources()

    def _through(self, sent: bytes, end: "End") -> list[str]:
        other = self.wan if end is self.lan else self.lan
        other.sources()
        end.send(sent)
        self.lan.settle()
        self.wan.settle()
        return other.sources()


class End:
    """The other end of one of the gateway's wires."""

    def __init__(self, interface: str) -> None:
        self.link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self.link.bind((f"peer-{interface}", _ETH_P_ALL))
        self.link.settimeout(PATIENCE)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as gateway:
            gateway.bind((interface, 0))
            self._gateway = gateway.getsockname()[4]
        self._heard: list[str] = []
        self._address = {"eth1": _GATEWAY, "eth0": "203.0.113.2"}[interface]
        self._own = {"eth1": MACHINE, "eth0": ROUTER}[interface]

    def send(self, sent: bytes) -> None:
        """Send a packet to the gateway."""
        self.link.send(self._gateway + _MAC + struct.pack("!H", _ETH_P_IP) + sent)

    def settle(self) -> None:
        """Wait for the answer to a question that the gateway gets after all that it has been sent."""
        self._ask(self._address)
        while self._hear() != self._address:
            pass

    def answers(self, address: str, fence: str) -> bool:
        """Whether the gateway answers ARP for an address, asked before a fence that it surely answers for."""
        self._ask(address)
        self._ask(fence)
        told = iter(self._hear, fence)
        return address in list(told)

    def _ask(self, address: str) -> None:
        self._say(_MAC, self._own, address)

    def announces(self, address: str, mac: str) -> None:
        """Somebody says by a gratuitous ARP that an address is his."""
        self._say(bytes.fromhex(mac.replace(":", "")), address, address)

    def _say(self, mac: bytes, own: str, address: str) -> None:
        ends = mac + socket.inet_aton(own) + bytes(6) + socket.inet_aton(address)
        question = struct.pack("!HHBBH", 1, _ETH_P_IP, 6, 4, 1) + ends
        self.link.send(b"\xff" * 6 + mac + struct.pack("!H", _ETH_P_ARP) + question)

    def sources(self) -> list[str]:
        """Who sent the packets that have come here since this was asked last."""
        self.link.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._hear()
        self.link.settimeout(PATIENCE)
        found, self._heard = self._heard, []
        return found

    def _hear(self) -> str:
        """For whom the next frame answers ARP; empty where it does not."""
        frame, (_, kind, way, _, _) = self.link.recvfrom(65536)
        if way == socket.PACKET_OUTGOING:
            return ""
        if kind == _ETH_P_IP:
            self._heard.append(socket.inet_ntoa(frame[26:30]))
        return socket.inet_ntoa(frame[28:32]) if (kind, frame[21]) == (_ETH_P_ARP, 2) else ""


def packet(
    protocol: int,
    source: str,
    to: str,
    port: int,
    ttl: int = 64,
    octets: int = 0,
    *,
    back: bool = False,
    service: int = 53,
) -> bytes:
    """A SYN to port 443, a datagram to a service, or a ping, with so many octets behind, or the answer; may not be fragmented."""
    ends = socket.inet_aton(source) + socket.inet_aton(to)
    tcp, udp = ((443, port), (service, port)) if back else ((port, 443), (port, service))
    flags, echo = (0x12, 0) if back else (0x02, 8)
    body = {
        ICMP: struct.pack("!BBHHH", echo, 0, 0, port, 1),
        TCP: struct.pack("!HHIIBBHHH", *tcp, 1, int(back) * 2, 5 << 4, flags, 64000, 0, 0),
        UDP: struct.pack("!HHHH", *udp, 8 + octets, 0),
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
