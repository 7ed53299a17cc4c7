"""May the gateway start on this machine? A judgement of what was seen here; it looks at nothing itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from appliance import (
    AddressConflict,
    ApplianceError,
    MissingCapability,
    MissingInterface,
    MissingKernelFeature,
    MissingProgram,
)
from appliance.addresses import Address
from appliance.config import reserved_names
from appliance.config.model import Config
from appliance.planning import virtual_macs
from appliance.site import locate
from appliance.site.locate import Addresses

CAPABILITIES = ("CAP_NET_ADMIN", "CAP_NET_RAW")


@dataclass(frozen=True)
class Observed:
    """What was seen on this machine and its LAN; what is left out was not looked at.

    `claimed`: why this network is another gateway's. `interfaces`: name to addresses. `up`: names of those
    whose link is up. `capabilities`: effective, by their kernel names. `programs`: name to whether it is
    installed. `lacking`: features that the kernel does not have. `arp`: who answers for an address, as a MAC.
    `vrids`: virtual router ids heard, with the addresses they came from.
    """

    claimed: str | None = None
    interfaces: Addresses | None = None
    up: frozenset[str] | None = None
    capabilities: frozenset[str] | None = None
    programs: Mapping[str, bool] = field(default_factory=dict)
    lacking: frozenset[str] = frozenset()
    arp: Mapping[Address, str] = field(default_factory=dict)
    vrids: Mapping[int, frozenset[Address]] = field(default_factory=dict)


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


def powerless(capabilities: frozenset[str]) -> Iterator[Problem]:
    """What a process with these capabilities lacks to be a gateway, or to take one away."""
    for capability in sorted(set(CAPABILITIES) - capabilities):
        yield Problem(
            MissingCapability,
            f"{capability} is missing: run as root, or in compose add `cap_add: [NET_ADMIN, NET_RAW]`",
        )


def _machine(observed: Observed) -> Iterator[Problem]:
    """Whose this network is, what the process may do, and what it finds installed."""
    if observed.claimed:
        yield Problem(ApplianceError, observed.claimed)
    if observed.capabilities is not None:
        yield from powerless(observed.capabilities)
    for feature in sorted(observed.lacking):
        yield Problem(
            MissingKernelFeature,
            f"the kernel lacks {feature}: on the host run `modprobe {feature}`, or use a kernel "
            "that has it",
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
    for part, address, interface in locate.networks(config, name, observed.interfaces):
        if isinstance(interface, MissingInterface):
            yield Problem(MissingInterface, str(interface))
            continue
        if part == "sync" and not reserved_names.conntrackd_reads(interface):
            yield Problem(MissingInterface, f"sync: {reserved_names.unreadable(interface)}")
        if observed.up is not None and interface not in observed.up:
            yield Problem(
                MissingInterface,
                f"{part}: {interface} is down: run `ip link set {interface} up`, or plug it in",
            )
        there = observed.interfaces[interface]
        if address is not None and address not in there:
            yield Problem(
                MissingInterface,
                f"nodes.{name}.{part}: {interface} lacks {address}, it has {locate.listed(there)}: run "
                f"`ip addr add {address} dev {interface}`, or change the file; in a container it is "
                f"`ipv4_address: {address.ip}` of that network in the compose file",
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
