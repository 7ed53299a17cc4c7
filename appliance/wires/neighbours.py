"""Where the peer is on the LAN, in the kernel's table of neighbours (ip-neighbour(8), arp(7))."""

import contextlib
import socket

from appliance import rtnetlink
from appliance.addresses import Address

_REACHABLE = 0x02  # NUD_REACHABLE
_VALID = 0xDE  # NUD_VALID: all states in which the entry's MAC is used


class Neighbour:
    """One neighbour, and its last known MAC."""

    def __init__(self, address: Address) -> None:
        self.address, self.mac = address, ""

    def keep(self, interface: str) -> None:
        """Have the kernel go on sending to its last known MAC, though it answers no question now.

        What it says by ARP corrects that at once. Without an interface, or before it was heard, nothing.
        """
        with contextlib.suppress(OSError):
            index = socket.if_nametoindex(interface)
            state, mac = rtnetlink.neighbour(index, self.address)
            if state & _VALID:
                self.mac = mac or self.mac
            if self.mac and not state & _REACHABLE:
                rtnetlink.put_neighbour(index, self.address, _REACHABLE, self.mac)
