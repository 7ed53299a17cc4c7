"""Addresses, and the families there are of them. Pure."""

from enum import StrEnum


class Family(StrEnum):
    """A family of addresses."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @property
    def everybody(self) -> str:
        """The prefix that holds all addresses of the family."""
        return {Family.IPV4: "0.0.0.0/0", Family.IPV6: "::/0"}[self]
