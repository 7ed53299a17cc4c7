"""May the gateway start on this machine? A judgement of what was seen here; it looks at nothing itself."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

from appliance import (
    AddressConflict,
    ApplianceError,
    MissingCapability,
    MissingInterface,
    MissingKernelFeature,
    MissingProgram,
    ReadOnlySysctl,
)
from appliance.config import reserved_names
from appliance.config.model import Config, Interfaces, Network, Node
from appliance.planning import virtual_macs

CAPABILITIES = ("CAP_NET_ADMIN", "CAP_NET_RAW")
KERNEL = ("nf_conntrack", "nf_nat", "nf_tables")

Addresses = Mapping[str, tuple[IPv4Interface, ...]]


@dataclass(frozen=True)
class Observed:
    """What was seen on this machine and its LAN; what is left out was not looked at.

    `interfaces`: name to addresses. `up`: names of those whose link is up. `capabilities`: effective,
    by their kernel names. `programs`: name to whether it is installed. `readonly_sysctls`: settings
    that must change and cannot. `kernel`: features that are there. `arp`: who answers for an
    address, as a MAC. `vrids`: virtual router ids heard, with the addresses they came from.
    """

    interfaces: Addresses | None = None
    up: frozenset[str] | None = None
    capabilities: frozenset[str] | None = None
    programs: Mapping[str, bool] = field(default_factory=dict)
    readonly_sysctls: frozenset[str] = frozenset()
    kernel: frozenset[str] | None = None
    arp: Mapping[IPv4Address, str] = field(default_factory=dict)
    vrids: Mapping[int, frozenset[IPv4Address]] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """A reason not to start: the error to raise, which has the exit code, and its sentence."""

    error: type[ApplianceError]
    message: str

    def __str__(self) -> str:
        return self.message


def judge(config: Config, name: str, observed: Observed) -> tuple[Problem, ...]:
    """All reasons for node `name` not to start; none means that it may."""
    return (
        *_machine(observed),
        *_networks(config, name, observed),
        *_router_ids(config, observed),
        *_answers(config, name, observed),
    )


def locate(config: Config, name: str, interfaces: Addresses) -> Interfaces:
    """The interfaces of node `name`, found by their name or by the subnet on them.

    Raises MissingInterface, with a line for each network that was not found.
    """
    found: dict[str, str] = {}
    missing = []
    interfaces = _lasting(interfaces)
    free = _free(config, interfaces)
    for part, network, address in _parts(config, config.nodes[name]):
        try:
            found[part] = _interface(part, network, interfaces, _meant(free, address))
        except MissingInterface as error:
            missing.append(str(error))
    if missing:
        raise MissingInterface("\n".join(missing))
    return Interfaces(lan=found["lan"], wan=found["wan"], sync=found["sync"])


def _parts(config: Config, node: Node) -> tuple[tuple[str, Network, IPv4Interface | None], ...]:
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


def _meant(free: Addresses, address: IPv4Interface | None) -> Addresses:
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
        f"there are {_listed(interfaces)}"
    )


def _by_name(part: str, name: str, interfaces: Addresses, meant: Addresses) -> str:
    if name in interfaces:
        return name
    near = list(meant) if len(meant) == 1 else difflib.get_close_matches(name, meant, n=1)
    raise MissingInterface(
        f"{part}.interface: there is no interface {name} here; there are {_listed(interfaces)}"
        + (f"; did you mean {near[0]}?" if near else "")
    )


def _listed(interfaces: Addresses) -> str:
    names = (
        f"{name} ({_addresses(addresses)})"
        for name, addresses in sorted(interfaces.items())
        if name != "lo"
    )
    return ", ".join(names) or "none but lo"


def _addresses(addresses: tuple[IPv4Interface, ...]) -> str:
    return ", ".join(map(str, addresses)) or "no address"


def _machine(observed: Observed) -> Iterator[Problem]:
    """What the process may do, and what it finds installed."""
    if observed.capabilities is not None:
        for capability in sorted(set(CAPABILITIES) - observed.capabilities):
            yield Problem(
                MissingCapability,
                f"{capability} is missing: run as root, or in compose add "
                "`cap_add: [NET_ADMIN, NET_RAW]`",
            )
    if observed.kernel is not None:
        for feature in sorted(set(KERNEL) - observed.kernel):
            yield Problem(
                MissingKernelFeature,
                f"the kernel lacks {feature}: on the host run `modprobe {feature}`, or use a kernel "
                "that has it",
            )
    for setting in sorted(observed.readonly_sysctls):
        yield Problem(
            ReadOnlySysctl,
            f"{setting} cannot be changed here: set it on the host with `sysctl -w`, or in compose "
            "under `sysctls:`",
        )
    for program, there in sorted(observed.programs.items()):
        if not there:
            yield Problem(
                MissingProgram,
                f"{program} is not installed: install the Debian package that holds it "
                "(setup/debian-packages.txt lists them)",
            )


def _networks(config: Config, name: str, observed: Observed) -> Iterator[Problem]:
    """Whether each interface is there, up, and has the node's address."""
    if observed.interfaces is None:
        return
    interfaces = _lasting(observed.interfaces)
    free = _free(config, interfaces)
    for part, network, address in _parts(config, config.nodes[name]):
        try:
            interface = _interface(part, network, interfaces, _meant(free, address))
        except MissingInterface as error:
            yield Problem(MissingInterface, str(error))
            continue
        if observed.up is not None and interface not in observed.up:
            yield Problem(
                MissingInterface,
                f"{part}: {interface} is down: run `ip link set {interface} up`, or plug it in",
            )
        there = interfaces[interface]
        if address is not None and address not in there:
            yield Problem(
                MissingInterface,
                f"nodes.{name}.{part}: {interface} lacks {address}, it has {_addresses(there)}: run "
                f"`ip addr add {address} dev {interface}`, or change the file",
            )


def _router_ids(config: Config, observed: Observed) -> Iterator[Problem]:
    """Whether a stranger on the LAN sends adverts with our virtual router id."""
    ours = config.vgw.virtual_router_id
    pair = {node.lan.ip for node in config.nodes.values()}
    strangers = sorted(observed.vrids.get(ours, frozenset()) - pair)
    if strangers:
        yield Problem(
            AddressConflict,
            f"virtual_router_id {ours} is used by {', '.join(map(str, strangers))}; choose another",
        )


def _answers(config: Config, name: str, observed: Observed) -> Iterator[Problem]:
    """Whether a stranger answers for an address of ours.

    The peer may, for the two VIPs: it is known by its adverts, or by the MAC of its own address.
    """
    node, peer = config.nodes[name], config.nodes[config.peer_of(name)]
    heard = observed.vrids.get(config.vgw.virtual_router_id, frozenset())
    peers_macs = {observed.arp.get(own.ip) for own in (peer.lan, peer.wan) if own} - {None}
    if config.vgw.virtual_mac:
        peers_macs |= set(virtual_macs.macs(config))
    # A peer without an address of its own outside is known by what it answers for on the LAN.
    peer_is_master = peer.lan.ip in heard or observed.arp.get(config.vgw.address.ip) in peers_macs
    for path, address in (("vgw.address", config.vgw.address), ("wan.address", config.wan.address)):
        mac = observed.arp.get(address.ip)
        if mac and not peer_is_master and mac not in peers_macs:
            yield Problem(
                AddressConflict,
                f"{path}: {address.ip} answers ARP from {mac}: already in use by a machine that is "
                "not the peer; give one of them another address",
            )
    for part, own in (("lan", node.lan), ("wan", node.wan), ("sync", node.sync)):
        if own and (mac := observed.arp.get(own.ip)):
            yield Problem(
                AddressConflict,
                f"nodes.{name}.{part}: {own.ip} answers ARP from {mac}: already in use by another "
                "machine; give one of them another address",
            )
