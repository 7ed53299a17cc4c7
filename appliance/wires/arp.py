"""ARP of a virtual MAC: when it came in last; a gratuitous one of our own, and a question (RFC 826, packet(7))."""

import contextlib
import socket
import struct
from collections.abc import Callable, Iterable

from appliance.addresses import Address
from appliance.wires import queue

ETH_P_ARP = 0x0806
_OUTGOING = 4  # PACKET_OUTGOING: our own


class Frames:
    """A packet socket on an interface of ours, which may go and come back, for ARP from one MAC.

    The kernel fills it and nobody waits for it. The MASTER's gratuitous ARPs come as broadcasts; a frame
    that has the interface's own MAC as its sender is given to that interface and to no other.
    """

    def __init__(self, interface: str, mac: str) -> None:
        self.interface, self.mac = interface, mac
        self.last: float | None = None
        self._sender = bytes.fromhex(mac.replace(":", ""))
        self._index = 0
        self._socket: socket.socket | None = None

    def read(self, now: float) -> float | None:
        """When the last such frame was there, as far as was looked; None if there never was one."""
        with contextlib.suppress(OSError):
            source = self._open()
            for _, (_, _, kind, _, sender) in queue.waiting(lambda: source.recvfrom(1)):
                if sender == self._sender and kind != _OUTGOING:
                    self.last = now
        return self.last

    def _open(self) -> socket.socket:
        index = socket.if_nametoindex(self.interface)
        if self._socket is None or index != self._index:
            if self._socket:
                self._socket.close()
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            self._socket.setblocking(False)
            self._socket.bind((self.interface, ETH_P_ARP))
            self._index = index
        return self._socket


def announce(interface: str, address: Address) -> None:
    """Send one gratuitous ARP for the address from the interface's own MAC (RFC 5227, section 3).

    Where the interface is gone or down there is nobody to tell.
    """
    _send(interface, [address], lambda own, one: _question(own, one.packed, one))


def ask(interface: str, addresses: Iterable[Address]) -> None:
    """Ask who has these addresses. Where the interface is gone or down there is nobody to ask."""
    _send(interface, addresses, question)


def _send(
    interface: str, addresses: Iterable[Address], frame: Callable[[bytes, Address], bytes]
) -> None:
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as link,
    ):
        link.bind((interface, ETH_P_ARP))
        own = link.getsockname()[4]
        for address in addresses:
            link.send(frame(own, address))


def question(own: bytes, address: Address) -> bytes:
    """A frame that asks who has the address and names no sender, so that no cache learns from it (RFC 5227, section 2.1.1)."""
    return _question(own, bytes(4), address)


def _question(own: bytes, sender: bytes, address: Address) -> bytes:
    head = b"\xff" * 6 + own + struct.pack("!H", ETH_P_ARP)
    words = (1, 0x0800, 6, 4, 1, own, sender, bytes(6), address.packed)
    return head + struct.pack("!HHBBH6s4s6s4s", *words)
