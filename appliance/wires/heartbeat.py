"""The socket that carries the agents' beats over the sync link."""

import contextlib
import socket

from appliance.addresses import Address

_IP_FREEBIND = 15  # linux/in.h; the socket module does not name it


class Heart:
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

    def receive(self) -> list[bytes]:
        """All datagrams that have come from the peer's address; others are dropped."""
        found = []
        with contextlib.suppress(OSError):
            while True:
                datagram, sender = self.socket.recvfrom(4096)
                if sender == self.peer:
                    found.append(datagram)
        return found
