"""Who is in the lab and how they are wired: pure data, all of it derived from the gateway YAML."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

from appliance import ApplianceError, vrrp
from appliance.config import gateway_file
from appliance.config.model import Config, DestinationNat, Vgw
from appliance.config.profiles import PROFILES

BRIDGES = ("lan", "wan", "sync")
INTERNET = "internet"
_TAKEN = (INTERNET, "world")
# A node's port on a bridge is called NODE-BRIDGE, and the kernel takes 15 characters.
_NODE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,9}")
# A node's interface to each bridge, where the file says a subnet instead of a name.
_USUAL_INTERFACES = {"lan": "eth1", "wan": "eth0", "sync": "eth2"}
# What a ping or a name look-up reaches for out of habit; the internet node owns them all.
PUBLIC = ("8.8.8.8", "8.8.4.4", "1.1.1.1")

_NODE_LINES = (
    "  master: {{priority: 100, lan: 192.168.100.2/24, {wan2}sync: 10.99.0.2/24{state}}}\n"
    "  backup: {{priority: 90, lan: 192.168.100.3/24, {wan3}sync: 10.99.0.3/24}}\n"
)
_GATEWAY_YAML = """\
vgw: {{address: 192.168.100.99/24, virtual_router_id: 51, profile: {profile}{hold}}}
lan: {{interface: eth1}}
wan: {{interface: eth0, address: 203.0.113.99/24, gateway: 203.0.113.1, probes: [203.0.113.1]}}
sync: {{interface: eth2}}
nodes:
{nodes}nat:
  source: [{{from: 192.168.100.0/24}}]
{destination}machines:
  noeud1: {{address: 192.168.100.10/24}}
  noeud2: {{address: 192.168.100.20/24}}
"""


def gateway_yaml(
    profile: str = "standard", node_wan: bool = True, destination: Iterable[DestinationNat] = ()
) -> str:
    """The lab's own configuration file; without `node_wan` only the MASTER has an outside address."""
    if profile not in PROFILES:
        raise ApplianceError(f"profile: '{profile}' is unknown; it is one of {', '.join(PROFILES)}")
    nodes = _NODE_LINES.format(
        wan2="wan: 203.0.113.2/24, " if node_wan else "",
        wan3="wan: 203.0.113.3/24, " if node_wan else "",
        # The course sheet's keepalived.conf says so; elsewhere the election decides.
        state=", initial_state: MASTER" if profile == "classic" else "",
    )
    hold = ", hold: 0" if PROFILES[profile]["failback"] == "gated" else ""
    rules = [rule.model_dump(mode="json") for rule in destination]
    inward = f"  destination: {json.dumps(rules)}\n" if rules else ""
    return _GATEWAY_YAML.format(profile=profile, hold=hold, nodes=nodes, destination=inward)


@dataclass(frozen=True)
class Wire:
    """One network interface of a node, the bridge it is plugged into, and its address, if any."""

    interface: str
    bridge: str
    address: IPv4Interface | None
    mac: str


@dataclass(frozen=True)
class NodeSpec:
    """One node: `wires` as a power-off takes them down, `runs` the words of another first process."""

    name: str
    kind: Literal["gateway", "machine", "internet"]
    wires: tuple[Wire, ...]
    default_via: IPv4Address | None = None
    loopback: tuple[str, ...] = ()
    priority: int = 0
    runs: tuple[str, ...] = ()

    def port(self, bridge: str) -> str:
        """The name of the node's port on a bridge, as the world sees it."""
        return f"{self.name}-{bridge}"


@dataclass(frozen=True)
class Topology:
    """The whole lab; `text` is the YAML that the gateways read, `config` what it says."""

    text: str
    config: Config
    nodes: tuple[NodeSpec, ...]

    @property
    def vgw(self) -> Vgw:
        """The virtual gateway: its address, its profile and what that sets."""
        return self.config.vgw

    @property
    def wan_vip(self) -> IPv4Interface:
        """The floating address outside."""
        return self.config.wan.address

    @cached_property
    def gateways(self) -> tuple[NodeSpec, ...]:
        """The two nodes of the pair, the one of higher priority first."""
        pair = [node for node in self.nodes if node.kind == "gateway"]
        return tuple(sorted(pair, key=lambda node: -node.priority))

    @cached_property
    def machines(self) -> tuple[NodeSpec, ...]:
        """The machines behind the gateway, in the order of the file."""
        return tuple(node for node in self.nodes if node.kind == "machine")

    @cached_property
    def hidden(self) -> tuple[IPv4Network, ...]:
        """The prefixes that must never be seen on the WAN: the LAN and the sync link."""
        return tuple(
            sorted(
                {
                    wire.address.network
                    for node in self.nodes
                    for wire in node.wires
                    if wire.address and wire.bridge in ("lan", "sync")
                }
            )
        )

    def node(self, name: str) -> NodeSpec:
        """The node of that name. Raises ApplianceError, with the names there are."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise ApplianceError(f"{name}: no such node in the lab; there are {names}")

    def master_down_interval(self, standby: str) -> float:
        """Seconds of silence after which `standby` takes over, by the protocol's formula."""
        priority = self.node(standby).priority
        return vrrp.master_down_interval(self.vgw.vrrp_version, priority, self.vgw.advert_interval)

    def skew_time(self, standby: str) -> float:
        """Seconds that `standby` waits when the MASTER says that it leaves."""
        priority = self.node(standby).priority
        return vrrp.skew_time(self.vgw.vrrp_version, priority, self.vgw.advert_interval)


def from_yaml(text: str | bytes, source: str = "gateway.yaml") -> Topology:
    """The lab that fits a gateway configuration; `source` is the file's name, for messages.

    Raises ConfigErrors where a gateway would refuse the file, ApplianceError for a name that no node of
    a lab can have.
    """
    config = gateway_file.parse(text, source)
    for name in (*config.nodes, *config.machines):
        if not _NODE_NAME.fullmatch(name) or name in _TAKEN:
            raise ApplianceError(
                f"{source}: '{name}' is no name for a node of the lab; use up to 10 of a-z, 0-9 and -, "
                f"but not {' or '.join(_TAKEN)}"
            )
    written = text if isinstance(text, str) else text.decode()
    nodes = (*_gateways(config), *_machines(config), _internet(config))
    return Topology(written, config, nodes)


def _gateways(config: Config) -> Iterator[NodeSpec]:
    networks = {"lan": config.lan, "wan": config.wan, "sync": config.sync}
    for number, (name, node) in enumerate(config.nodes.items(), 2):
        addresses = {"lan": node.lan, "wan": node.wan, "sync": node.sync}
        wires = tuple(
            Wire(
                networks[bridge].interface or _USUAL_INTERFACES[bridge],
                bridge,
                addresses[bridge],
                _mac(bridge, number),
            )
            for bridge in BRIDGES
        )
        yield NodeSpec(name, "gateway", wires, priority=node.priority)


def _machines(config: Config) -> Iterator[NodeSpec]:
    places = {name: (one.interface, one.address) for name, one in config.machines.items()}
    for number, (name, place) in enumerate((places or _usual_machines(config)).items(), 10):
        interface, address = place
        wire = Wire(interface, "lan", address, _mac("lan", number))
        yield NodeSpec(name, "machine", (wire,), default_via=config.vgw.address.ip)


def _usual_machines(config: Config) -> dict[str, tuple[str, IPv4Interface]]:
    """Noeud1 and Noeud2 for a file that names no machine: without one there is nothing to see."""
    vgw = config.vgw.address
    taken = {vgw.ip, *(node.lan.ip for node in config.nodes.values())}
    first = vgw.network.network_address
    hosts = (first + offset for offset in (10, 20, *range(1, vgw.network.num_addresses - 1)))
    free = (host for host in hosts if host in vgw.network and host not in taken)
    return {
        name: ("eth0", IPv4Interface(f"{host}/{vgw.network.prefixlen}"))
        for name, host in zip(("noeud1", "noeud2"), free, strict=False)
    }


def _internet(config: Config) -> NodeSpec:
    address = IPv4Interface(f"{config.wan.gateway}/{config.wan.address.network.prefixlen}")
    wire = Wire("eth0", "wan", address, _mac("wan", 1))
    return NodeSpec(INTERNET, "internet", (wire,), loopback=PUBLIC)


def _mac(bridge: str, number: int) -> str:
    """A locally administered address that a node keeps when it is switched off and on."""
    return f"02:00:00:00:{BRIDGES.index(bridge):02x}:{number:02x}"
