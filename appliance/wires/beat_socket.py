"""The socket that carries the agents' beats over the sync link."""

import contextlib
import socket

from appliance.addresses import DATAGRAM_HEADERS, Address
from appliance.wires import queue

_IP_FREEBIND = 15  # linux/in.h; the socket module names none of these
_IP_MTU_DISCOVER, _PMTUDISC_PROBE, _IP_MTU = 10, 3, 14
_LONGEST = 65_535
# Usual lengths of a packet on links, tunnels and overlays, in bytes.
_LENGTHS = (9000, 4000, 1500, 1492, 1480, 1460, 1450, 1420, 1400, 1350, 1280, 1000, 576)


class Beats:
    """A UDP socket between the two nodes' sync addresses, on one port at both ends.

    It needs no address to be there, so it outlives a link that goes; `send` and `receive` never raise.
    """

    def __init__(self, own: Address, peer: Address, port: int) -> None:
        self.own, self.peer, self.port = (str(own), port), (str(peer), port), port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A node may start before its sync link has come up with the address.
        self.socket.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
        self.socket.bind(self.own)

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    def send(self, datagram: bytes) -> None:
        """Send one beat; a link that is down swallows it."""
        with contextlib.suppress(OSError):
            self.socket.sendto(datagram, self.peer)

    def stretch(self, datagram: bytes) -> int:
        """Send it in packets of several lengths, unfragmented; the longest is what the interface takes.

        Spaces make it longer, which JSON passes over. Returns that longest in bytes, 0 where there is no way.
        """
        with contextlib.suppress(OSError):
            most = self._mtu()
            usual = self.socket.getsockopt(socket.SOL_IP, _IP_MTU_DISCOVER)
            self.socket.setsockopt(socket.SOL_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
            for length in (most, *(one for one in _LENGTHS if one < most)):
                self.send(datagram.ljust(length - DATAGRAM_HEADERS))
            self.socket.setsockopt(socket.SOL_IP, _IP_MTU_DISCOVER, usual)
            return most
        return 0

    def _mtu(self) -> int:
        """The longest packet that the interface on the way to the peer takes."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asks:
            asks.connect(self.peer)
            return min(asks.getsockopt(socket.SOL_IP, _IP_MTU), _LONGEST)

    def receive(self) -> list[bytes]:
        """The datagrams that have come from the peer's address; others are dropped."""
        come = queue.waiting(lambda: self.socket.recvfrom(_LONGEST))
        return [datagram for datagram, sender in come if sender == self.peer]
