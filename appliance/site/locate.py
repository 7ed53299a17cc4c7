"""Which interface is which: by its name, or by the subnet on it. Pure."""

import difflib
from collections.abc import Iterator, Mapping

from appliance import MissingInterface
from appliance.addresses import AddressAndLength
from appliance.config import reserved_names
from appliance.config.model import Config, Interfaces, Network, Node

Addresses = Mapping[str, tuple[AddressAndLength, ...]]


def locate(config: Config, name: str, interfaces: Addresses) -> Interfaces:
    """The interfaces of node `name`, found by their name or by the subnet on them.

    Raises MissingInterface, with a line for each network that was not found.
    """
    found: dict[str, str] = {}
    missing = []
    for part, _, interface in networks(config, name, interfaces):
        if isinstance(interface, MissingInterface):
            missing.append(str(interface))
        else:
            found[part] = interface
    if missing:
        raise MissingInterface("\n".join(missing))
    return Interfaces(lan=found["lan"], wan=found["wan"], sync=found["sync"])


def networks(
    config: Config, name: str, interfaces: Addresses
) -> Iterator[tuple[str, AddressAndLength | None, str | MissingInterface]]:
    """Each network of node `name`: its name in the file, the node's address on it, and its interface.

    Where there is none, the error that tells why stands in the interface's place.
    """
    interfaces = _lasting(interfaces)
    free = _free(config, interfaces)
    for part, network, address in _parts(config, config.nodes[name]):
        try:
            yield part, address, _interface(part, network, interfaces, _meant(free, address))
        except MissingInterface as error:
            yield part, address, error


def listed(addresses: tuple[AddressAndLength, ...]) -> str:
    """An interface's addresses, for a message."""
    return ", ".join(map(str, addresses)) or "no address"


def _parts(config: Config, node: Node) -> tuple[tuple[str, Network, AddressAndLength | None], ...]:
    """Each network's name in the file, where to find it, and the address the node has on it."""
    return (
        ("lan", config.lan, node.lan),
        ("wan", config.wan, node.wan),
        ("sync", config.sync, node.sync),
    )


def _lasting(interfaces: Addresses) -> Addresses:
    """The interfaces here without those that we make ourselves, which the VGW may be on."""
    return {name: own for name, own in interfaces.items() if name not in reserved_names.NAMES}


def _free(config: Config, interfaces: Addresses) -> Addresses:
    """The interfaces here that the file gives no other part to play."""
    named = {"lo", config.lan.interface, config.wan.interface, config.sync.interface}
    return {name: addresses for name, addresses in interfaces.items() if name not in named}


def _meant(free: Addresses, address: AddressAndLength | None) -> Addresses:
    """Of these, the ones with an address in the right network; all where none has."""
    near = {
        name: addresses
        for name, addresses in free.items()
        if address and any(own.network == address.network for own in addresses)
    }
    return near or free


def _interface(part: str, network: Network, interfaces: Addresses, meant: Addresses) -> str:
    if network.interface is not None:
        return _by_name(part, network.interface, interfaces, meant)
    holders = [
        name
        for name, addresses in interfaces.items()
        if any(network.subnet and address.ip in network.subnet for address in addresses)
    ]
    if len(holders) == 1:
        return holders[0]
    if holders:
        raise MissingInterface(
            f"{part}.subnet: {', '.join(sorted(holders))} all have an address in {network.subnet}; "
            f"name the one you mean in {part}.interface"
        )
    raise MissingInterface(
        f"{part}.subnet: no interface has an address in {network.subnet}; "
        f"there are {_named(interfaces)}"
    )


def _by_name(part: str, name: str, interfaces: Addresses, meant: Addresses) -> str:
    if name in interfaces:
        return name
    near = list(meant) if len(meant) == 1 else difflib.get_close_matches(name, meant, n=1)
    raise MissingInterface(
        f"{part}.interface: there is no interface {name} here; there are {_named(interfaces)}"
        + (f"; did you mean {near[0]}?" if near else "")
    )


def _named(interfaces: Addresses) -> str:
    names = (
        f"{name} ({listed(addresses)})"
        for name, addresses in sorted(interfaces.items())
        if name != "lo"
    )
    return ", ".join(names) or "none but lo"
