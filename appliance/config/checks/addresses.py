"""Checks of addresses, subnets and interfaces: who has which, and whether they reach each other."""

from collections.abc import Iterator
from itertools import combinations, pairwise

from appliance.addresses import AddressAndLength
from appliance.config.model import Config
from appliance.config.owned_addresses import (
    PARTS,
    Owned,
    all_addresses,
    machine_addresses,
    node_addresses,
    setting,
    subnet,
    upstream,
    vip,
)
from appliance.config.places import Remark
from appliance.config.value_types import UNKNOWN

FLOATING = {"lan": "VGW", "wan": "WAN VIP"}


def addresses_are_hosts(config: Config) -> Iterator[Remark]:
    """A machine's address is neither its network's, nor everybody's, nor kept for something else."""
    for owned in all_addresses(config):
        if what := _no_host(owned.address):
            yield Remark(
                owned.path,
                f"{owned.address.ip} is {what}, not a usable host address; write an address that one "
                "machine can have",
            )


def _no_host(address: AddressAndLength) -> str:
    """What the address is instead of a host's; empty for a host's."""
    ip, network = address.ip, address.network
    kinds = (
        (ip.is_unspecified or int(ip) >> 24 == 0, "'this network' (0.0.0.0/8)"),
        (ip.is_loopback, "a loopback address (127.0.0.0/8)"),
        (ip.is_multicast, "a multicast address (224.0.0.0/4)"),
        (ip.is_reserved, "reserved (240.0.0.0/4)"),
        (network.prefixlen < 31 and ip == network.network_address, f"the name of {network} itself"),
        (network.prefixlen < 31 and ip == network.broadcast_address, f"the broadcast of {network}"),
    )
    return next((what for found, what in kinds if found), "")


def addresses_are_unique(config: Config) -> Iterator[Remark]:
    """Two machines with one address cut each other off; a VIP on a machine never moves."""
    seen: dict[object, Owned] = {}
    for owned in all_addresses(config):
        first = seen.setdefault(owned.ip, owned)
        if first is not owned:
            yield Remark(
                owned.path,
                f"{owned.ip} is already {first} in {{see}}; {_own_address(owned)}",
                see=first.path,
            )


def _own_address(owned: Owned) -> str:
    if owned.path[0] in ("vgw", "wan"):
        return "this address moves between the nodes, so write one that no machine has"
    return f"{owned.path[0][:-1]} {owned.path[1]} needs an address of its own"  # type: ignore[index]


def vips_are_on_link(config: Config) -> Iterator[Remark]:
    """A VIP outside the interface's subnet is out of reach for the machines beside it."""
    for part in FLOATING:
        floating, nodes = vip(config, part), node_addresses(config, part)
        if floating is None or not nodes or _no_host(floating.address):
            continue
        node = nodes[0]
        if floating.ip not in node.network:
            yield Remark(
                floating.path,
                f"{floating.ip} is not inside {node.network}, where {node} is; write an address of "
                f"{node.network}",
            )
        elif floating.network != node.network:
            yield Remark(floating.path, _odd_length(floating, node), "warning")


def _odd_length(floating: Owned, node: Owned) -> str:
    length, wanted = floating.network.prefixlen, node.network.prefixlen
    consequence = (
        "the holder of the address believes that more machines are on this link than there are, and "
        "reaches none of the others"
        if length < wanted
        else "if the node's own address is lost, the holder has no route to the rest of the subnet"
    )
    return (
        f"/{length} differs from the nodes' /{wanted}: {consequence}; write {floating.ip}/{wanted}"
    )


def gateway_is_on_link(config: Config) -> Iterator[Remark]:
    """The upstream gateway is a neighbour, or no packet finds the way out."""
    home = subnet(config, "wan")
    for gateway in upstream(config):
        if home is not None and gateway.ip not in home.network:
            yield Remark(
                gateway.path,
                f"{gateway.ip} is not inside {home.network}, where {home} is; write the router's "
                "address on that subnet",
            )


def nodes_are_on_one_link(config: Config) -> Iterator[Remark]:
    """Adverts have a TTL of 255 and are dropped once routed (RFC 9568, section 5.1.1.3)."""
    for part in PARTS:
        nodes = node_addresses(config, part)
        for first, other in pairwise(nodes):
            if first.network != other.network:
                yield Remark(
                    other.path,
                    f"{other.address} is not on the link of {first} ({first.network} in {{see}}): the "
                    "nodes must reach each other without a router; give both the same subnet",
                    see=first.path,
                )


def nodes_have_wan_alike(config: Config) -> Iterator[Remark]:
    """Either both nodes have an address outside or only the WAN VIP is there."""
    nodes = config.nodes
    without = [name for name, node in nodes.items() if node.wan is None]
    if 0 < len(without) < len(nodes):
        having = next(name for name in nodes if name not in without)
        for name in without:
            yield Remark(
                ("nodes", name),
                f"{name} has no wan address and {having} has one; give one to both or to neither",
            )


def networks_can_be_found(config: Config) -> Iterator[Remark]:
    """An interface is known by its name or by the subnet on it; one of the two says it."""
    for part in PARTS:
        network = getattr(config, part)
        if network is UNKNOWN:
            continue
        by_name, by_subnet = network.interface is not None, network.subnet is not None
        if by_name == by_subnet:
            has = "both interface and subnet" if by_name else "neither interface nor subnet"
            yield Remark((part,), f"has {has}; keep one, such as interface: eth1")


def wan_can_be_found(config: Config) -> Iterator[Remark]:
    """An interface without an address cannot be found by its subnet."""
    if config.wan.interface is None and config.wan.subnet is not None:
        for name, node in config.nodes.items():
            if node.wan is None:
                yield Remark(
                    ("wan", "subnet"),
                    f"{config.wan.subnet} cannot be found on node {name}, which has no wan address; "
                    "write wan.interface instead",
                )
                return


def subnets_hold_nodes(config: Config) -> Iterator[Remark]:
    """A subnet to look for is one that the node has an address in."""
    for part in PARTS:
        wanted = setting(config, part, "subnet")
        for owned in node_addresses(config, part):
            if wanted is not None and owned.ip not in wanted:
                yield Remark(
                    (part, "subnet"),
                    f"{wanted} does not hold {owned.ip}, which is {owned} in {{see}}; write "
                    f"{owned.network}",
                    see=owned.path,
                )
                break


def interfaces_differ(config: Config) -> Iterator[Remark]:
    """Two networks on one interface would let packets pass around the gateway."""
    seen: dict[str, str] = {}
    for part in PARTS:
        name = setting(config, part, "interface")
        if name is None:
            continue
        first = seen.setdefault(name, part)
        if first != part:
            yield Remark(
                (part, "interface"),
                f"{name} is already {first}.interface in {{see}}; each network needs an interface of "
                "its own",
                see=(first, "interface"),
            )


def subnets_differ(config: Config) -> Iterator[Remark]:
    """Overlapping subnets leave the kernel no way to tell the networks apart."""
    homes = [home for part in PARTS if (home := subnet(config, part))]
    for one, other in combinations(homes, 2):
        if one.network.overlaps(other.network):
            yield Remark(
                other.path,
                f"{other.network} overlaps {one.network}, where {one} in {{see}} is; give each network "
                "a subnet of its own",
                see=one.path,
            )


def machines_reach_the_vgw(config: Config) -> Iterator[Remark]:
    """A default gateway is a neighbour."""
    home = subnet(config, "lan")
    for machine in machine_addresses(config):
        if home is not None and machine.network != home.network:
            yield Remark(
                machine.path,
                f"{machine.address} is not in the LAN {home.network}, where its gateway is; write an "
                f"address of the LAN, ending in /{home.network.prefixlen}",
            )


def probes_are_others(config: Config) -> Iterator[Remark]:
    """An address of the pair answers even when the way out is cut."""
    ours = {address.ip: address for address in reversed(all_addresses(config))}
    for index, probe in enumerate(config.wan.probes):
        found = ours.get(probe)
        if found is not None and found.path != ("wan", "gateway"):
            yield Remark(
                ("wan", "probes", index),
                f"{probe} is {found} in {{see}}, which answers even when the way out is cut; write the "
                "upstream gateway or an address behind it",
                see=found.path,
            )


ADDRESS_CHECKS = (
    addresses_are_hosts,
    addresses_are_unique,
    vips_are_on_link,
    gateway_is_on_link,
    nodes_are_on_one_link,
    nodes_have_wan_alike,
    networks_can_be_found,
    wan_can_be_found,
    subnets_hold_nodes,
    interfaces_differ,
    subnets_differ,
    machines_reach_the_vgw,
    probes_are_others,
)
