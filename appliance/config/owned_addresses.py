"""Who has which address by the file: views on a Config in which some values may be UNKNOWN."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from appliance.addresses import Address, AddressAndLength, Prefix
from appliance.config.model import Config
from appliance.config.places import Path
from appliance.config.value_types import UNKNOWN, UnknownValueError

PARTS = ("lan", "wan", "sync")

T = TypeVar("T")


@dataclass(frozen=True)
class Owned:
    """An address, with its prefix length, and the path where the file gives it to somebody."""

    path: Path
    address: AddressAndLength

    @property
    def ip(self) -> Address:
        """The address alone."""
        return self.address.ip

    @property
    def network(self) -> Prefix:
        """The subnet that the prefix length says."""
        return self.address.network

    def __str__(self) -> str:
        return ".".join(map(str, self.path))


def known(read: Callable[[], T]) -> T | None:
    """What `read` returns; None where that is UNKNOWN, or cannot be had without it."""
    try:
        value = read()
    except UnknownValueError:
        return None
    return None if value is UNKNOWN else value


def setting(config: Config, part: str, key: str) -> Any:
    """A key of a network of the file, such as lan.interface; None where it is not known."""
    return known(lambda: getattr(getattr(config, part), key))


def vip(config: Config, part: str) -> Owned | None:
    """The floating address on a network: the VGW on the LAN, the WAN VIP on the WAN."""
    path, read = {
        "lan": (("vgw", "address"), lambda: config.vgw.address),
        "wan": (("wan", "address"), lambda: config.wan.address),
    }.get(part, ((), lambda: None))
    address = known(read)
    return None if address is None else Owned(path, address)


def node_addresses(config: Config, part: str) -> list[Owned]:
    """The nodes' own addresses on a network."""
    return [
        Owned(("nodes", name, part), address)
        for name, node in (known(lambda: config.nodes) or {}).items()
        if (address := getattr(node, part)) is not None and address is not UNKNOWN
    ]


def machine_addresses(config: Config) -> list[Owned]:
    """The addresses of the machines behind."""
    return [
        Owned(("machines", name, "address"), machine.address)
        for name, machine in (known(lambda: config.machines) or {}).items()
        if machine.address is not UNKNOWN
    ]


def upstream(config: Config) -> list[Owned]:
    """The upstream gateway, as a list of one or none."""
    gateway = known(lambda: config.wan.gateway)
    return [] if gateway is None else [Owned(("wan", "gateway"), AddressAndLength(gateway))]


def all_addresses(config: Config) -> list[Owned]:
    """Each address that one machine has, or that floats between the two nodes; the VIPs last."""
    fixed = [address for part in PARTS for address in node_addresses(config, part)]
    floating = [address for part in PARTS if (address := vip(config, part))]
    return [*upstream(config), *fixed, *machine_addresses(config), *floating]


def subnet(config: Config, part: str) -> Owned | None:
    """Who says what the subnet of a network is: the first node on it, or else its VIP."""
    nodes = node_addresses(config, part)
    return nodes[0] if nodes else vip(config, part)
