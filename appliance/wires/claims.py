"""Who says by ARP that an address is its own: a socket that hears it, and asks (RFC 826, RFC 5227; packet(7))."""

import array
import contextlib
import socket
import struct
from collections.abc import Collection, Mapping
from typing import NamedTuple

from appliance.addresses import Address
from appliance.wires import arp, queue

# Linux's number of the option (asm/socket.h) and of its instructions (linux/filter.h); the socket module names neither.
_SO_ATTACH_FILTER = 26
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_SENDER = 14  # where an ARP packet for IPv4 over Ethernet has its sender's address
_MOST_CLAIMS = 64  # claims that are kept: more come from nobody who means well


class Claim(NamedTuple):
    """Who claims an address: by its MAC."""

    address: Address
    mac: str


class Claims:
    """Hears claims for some addresses on an interface, which may go and come back; nobody waits for it.

    The kernel drops what claims another address before it is queued here.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._opened: tuple[int, tuple[Address, ...]] = (0, ())
        self._heard: dict[Claim, float] = {}

    def fileno(self) -> int:
        """For select; -1 where nothing is heard."""
        return self._socket.fileno() if self._socket else -1

    def ask(self, interface: str, addresses: Collection[Address]) -> None:
        """Ask who has them; where the interface is gone or down there is nobody to ask."""
        arp.ask(interface, addresses)

    def announce(self, interface: str, address: Address) -> None:
        """Claim one for this node, by the interface's own MAC."""
        arp.announce(interface, address)

    def hear(
        self, interface: str, addresses: Collection[Address], now: float
    ) -> Mapping[Claim, float]:
        """When each claim came last, as far as was looked; nothing where the interface is gone, or was made anew."""
        with contextlib.suppress(OSError):
            source = self._open(interface, tuple(sorted(addresses)))
            for packet in queue.waiting(lambda: source.recv(64)):
                self._take(packet, now)
        return self._heard

    def _take(self, packet: bytes, now: float) -> None:
        if len(packet) < _SENDER + 4:
            return
        claim = Claim(Address(packet[_SENDER : _SENDER + 4]), packet[8:_SENDER].hex(":"))
        if claim not in self._heard and len(self._heard) >= _MOST_CLAIMS:
            del self._heard[min(self._heard, key=self._heard.__getitem__)]
        self._heard[claim] = now

    def _open(self, interface: str, addresses: tuple[Address, ...]) -> socket.socket:
        wanted = _index(interface), addresses
        if self._socket is None or wanted != self._opened:
            if self._socket:
                self._socket.close()
            self._heard.clear()
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            self._socket.setblocking(False)
            _attach(self._socket, addresses)
            self._socket.bind((interface, arp.ETH_P_ARP))
            self._opened = wanted
        return self._socket


def _index(interface: str) -> int:
    """The kernel's number of an interface; 0 where there is none."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0


def _attach(link: socket.socket, addresses: tuple[Address, ...]) -> None:
    """Have the kernel pass on what one of these claims, and drop the rest (Documentation/networking/filter.rst)."""
    count = len(addresses)
    program = [(_LOAD_WORD, 0, 0, _SENDER)]
    program += [(_JUMP_IF_EQUAL, count - at, 0, int(one)) for at, one in enumerate(addresses)]
    program += [(_RETURN, 0, 0, 0), (_RETURN, 0, 0, 64)]
    code = array.array("B", b"".join(struct.pack("HBBI", *one) for one in program))
    place = struct.pack("HP", len(program), code.buffer_info()[0])
    link.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, place)
