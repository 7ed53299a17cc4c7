"""What an address is: the one family that this release carries, and the names of what there is of it. Pure.

Nobody else names a family's own types, so that a second one begins here.
"""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

Address = IPv4Address
AddressAndLength = IPv4Interface  # an address with the length of the prefix it lies in
Prefix = IPv4Network
DATAGRAM_HEADERS = 28  # bytes of a packet beside its UDP datagram (RFC 791, RFC 768)


class Family(StrEnum):
    """A family of addresses."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @property
    def everybody(self) -> str:
        """The prefix that holds all addresses of the family."""
        return {Family.IPV4: "0.0.0.0/0", Family.IPV6: "::/0"}[self]
