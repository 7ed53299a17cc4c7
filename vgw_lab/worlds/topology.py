"""Who is in the lab and how they are wired: pure data, all of it derived from the gateway YAML."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any, Literal

import yaml

from appliance import ApplianceError, vrrp
from appliance.config.model import PROFILES, Failback

BRIDGES = ("lan", "wan", "sync")
INTERNET = "internet"
_TAKEN = (INTERNET, "world")
# A node's port on a bridge is called NODE-BRIDGE, and the kernel takes 15 characters.
_NODE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,9}")
_INTERFACE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")
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
machines:
  noeud1: {{address: 192.168.100.10/24}}
  noeud2: {{address: 192.168.100.20/24}}
"""


def gateway_yaml(profile: str = "standard", node_wan: bool = True) -> str:
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
    return _GATEWAY_YAML.format(profile=profile, hold=hold, nodes=nodes)


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
    """The whole lab; `text` is the YAML it was derived from, which the gateways read."""

    text: str
    profile: str
    vgw: IPv4Interface
    vrid: int
    wan_vip: IPv4Interface
    vrrp_version: int
    advert_interval: float
    failback: Failback
    virtual_mac: bool
    nodes: tuple[NodeSpec, ...]

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
        return vrrp.master_down_interval(self.vrrp_version, priority, self.advert_interval)

    def skew_time(self, standby: str) -> float:
        """Seconds that `standby` waits when the MASTER says that it leaves."""
        priority = self.node(standby).priority
        return vrrp.skew_time(self.vrrp_version, priority, self.advert_interval)


def from_yaml(text: str, source: str = "gateway.yaml") -> Topology:
    """The lab that fits a gateway configuration.

    Only what the lab itself needs is read; the gateways check the file in full when they start.
    Raises ApplianceError naming `source` and the key that is missing or malformed.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ApplianceError(f"{source}: not YAML: {error}") from None
    return _Reader(document, source).topology(text)


class _Reader:
    """Reads the few keys that the lab needs, and says which one it missed."""

    def __init__(self, document: Any, source: str) -> None:
        self.document = document
        self.source = source

    def value(self, path: str, default: Any = ...) -> Any:
        found = self.document
        for key in path.split("."):
            found = found.get(key, ...) if isinstance(found, dict) else ...
            if found is ...:
                break
        if found is not ...:
            return found
        if default is ...:
            raise ApplianceError(
                f"{self.source}: {path}: missing; the lab cannot be wired without it"
            )
        return default

    def interface(self, path: str) -> IPv4Interface:
        return self.parse(path, str(self.value(path)))

    def parse(self, path: str, value: str) -> IPv4Interface:
        try:
            address = IPv4Interface(value)
        except ValueError:
            address = None
        if address is None or "/" not in value:
            raise ApplianceError(
                f"{self.source}: {path}: '{value}' is no address with prefix length; "
                "write it like 192.168.100.99/24"
            )
        return address

    def section(self, path: str) -> dict[str, Any]:
        found = self.value(path, {})
        if not isinstance(found, dict):
            raise ApplianceError(f"{self.source}: {path}: a map of names is wanted, not '{found}'")
        for name in found:
            if not _NODE_NAME.fullmatch(str(name)) or name in _TAKEN:
                raise ApplianceError(
                    f"{self.source}: {path}: '{name}' is no name for a node of the lab; use up to "
                    f"10 of a-z, 0-9 and -, but not {' or '.join(_TAKEN)}"
                )
        return found

    def name_of(self, path: str, default: str) -> str:
        found = str(self.value(path, None) or default)
        if not _INTERFACE_NAME.fullmatch(found):
            raise ApplianceError(f"{self.source}: {path}: '{found}' is no name for an interface")
        return found

    def number(self, path: str, default: Any = ...) -> float:
        found = self.value(path, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise ApplianceError(f"{self.source}: {path}: a number is wanted, not '{found}'")
        return found

    def failback(self, default: str) -> Failback:
        found = self.value("vgw.failback", default)
        if found not in list(Failback):
            known = ", ".join(Failback)
            raise ApplianceError(
                f"{self.source}: vgw.failback: '{found}' is unknown; it is one of {known}"
            )
        return Failback(found)

    def topology(self, text: str) -> Topology:
        profile = str(self.value("vgw.profile", "standard"))
        if profile not in PROFILES:
            raise ApplianceError(
                f"{self.source}: vgw.profile: '{profile}' is unknown; "
                f"it is one of {', '.join(PROFILES)}"
            )
        preset = PROFILES[profile]
        if len(self.section("nodes")) != 2:
            raise ApplianceError(f"{self.source}: nodes: a pair is two nodes, no more and no less")
        return Topology(
            text=text,
            profile=profile,
            vgw=self.interface("vgw.address"),
            vrid=int(self.number("vgw.virtual_router_id")),
            wan_vip=self.interface("wan.address"),
            vrrp_version=int(self.number("vgw.vrrp_version", preset["vrrp_version"])),
            advert_interval=float(self.number("vgw.advert_interval", preset["advert_interval"])),
            failback=self.failback(preset["failback"]),
            virtual_mac=self.value("vgw.virtual_mac", preset.get("virtual_mac", False)) is True,
            nodes=(*self.gateways(), *self.machines(), self.internet()),
        )

    def gateways(self) -> Iterator[NodeSpec]:
        names = {
            "lan": self.name_of("lan.interface", "eth1"),
            "wan": self.name_of("wan.interface", "eth0"),
            "sync": self.name_of("sync.interface", "eth2"),
        }
        for number, name in enumerate(self.section("nodes"), 2):
            wires = tuple(
                Wire(names[bridge], bridge, self.wire_address(name, bridge), _mac(bridge, number))
                for bridge in BRIDGES
            )
            priority = int(self.number(f"nodes.{name}.priority"))
            yield NodeSpec(name, "gateway", wires, priority=priority)

    def wire_address(self, name: str, bridge: str) -> IPv4Interface | None:
        path = f"nodes.{name}.{bridge}"
        none = bridge == "wan" and self.value(path, None) is None
        return None if none else self.interface(path)

    def machines(self) -> Iterator[NodeSpec]:
        vgw = self.interface("vgw.address")
        places = {
            name: (
                self.name_of(f"machines.{name}.interface", "eth0"),
                self.interface(f"machines.{name}.address"),
            )
            for name in self.section("machines")
        }
        places = places or self.usual_machines(vgw)
        for number, (name, (interface, address)) in enumerate(places.items(), 10):
            wire = Wire(interface, "lan", address, _mac("lan", number))
            yield NodeSpec(name, "machine", (wire,), default_via=vgw.ip)

    def usual_machines(self, vgw: IPv4Interface) -> dict[str, tuple[str, IPv4Interface]]:
        """Noeud1 and Noeud2 for a file that names no machine: without one there is nothing to see."""
        taken = {vgw.ip, *(self.interface(f"nodes.{n}.lan").ip for n in self.section("nodes"))}
        first = vgw.network.network_address
        hosts = (first + offset for offset in (10, 20, *range(1, vgw.network.num_addresses - 1)))
        free = (host for host in hosts if host in vgw.network and host not in taken)
        return {
            name: ("eth0", IPv4Interface(f"{host}/{vgw.network.prefixlen}"))
            for name, host in zip(("noeud1", "noeud2"), free, strict=False)
        }

    def internet(self) -> NodeSpec:
        prefix = self.interface("wan.address").network.prefixlen
        address = self.parse("wan.gateway", f"{self.value('wan.gateway')}/{prefix}")
        wire = Wire("eth0", "wan", address, _mac("wan", 1))
        return NodeSpec(INTERNET, "internet", (wire,), loopback=PUBLIC)


def _mac(bridge: str, number: int) -> str:
    """A locally administered address that a node keeps when it is switched off and on."""
    return f"02:00:00:00:{BRIDGES.index(bridge):02x}:{number:02x}"
