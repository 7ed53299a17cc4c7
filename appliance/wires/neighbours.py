"""Where the peer is on the LAN, in the kernel's table of neighbours (ip-neighbour(8), arp(7))."""

import contextlib
import socket

from appliance.addresses import Address
from appliance.rtnetlink import IPRoute, NetlinkError

_REACHABLE = 0x02  # NUD_REACHABLE
_VALID = 0xDE  # NUD_VALID: all states in which the entry's MAC is used


class Neighbour:
    """One neighbour, and its last known MAC."""

    def __init__(self, address: Address) -> None:
        self.address, self.mac = str(address), ""

    def keep(self, interface: str) -> None:
        """Have the kernel go on sending to its last known MAC, though it answers no question now.

        What it says by ARP corrects that at once. Without an interface, or before it was heard, nothing.
        """
        with contextlib.suppress(OSError, NetlinkError), IPRoute() as ip:
            index = socket.if_nametoindex(interface)
            for item in ip.get_neighbours(family=socket.AF_INET, dst=self.address, ifindex=index):
                if item["state"] & _VALID:
                    self.mac = item.get("NDA_LLADDR") or self.mac
                if item["state"] & _REACHABLE:
                    return
            if self.mac:
                place = {"dst": self.address, "lladdr": self.mac, "ifindex": index}
                ip.neigh("replace", **place, state=_REACHABLE)
