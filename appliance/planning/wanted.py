"""The nouns of planning: what can be wanted on a machine, and what must be known of it. Pure.

They stand below planner and drivers, so that a driver knows no template and no rule.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.addresses import Address, Family, Prefix
from appliance.config import reserved_names
from appliance.config.model import Interfaces
from appliance.planning.ruleset import Ruleset
from appliance.run_dir import RunDir

MAIN_TABLE = 254
BLACKHOLE = 0


@dataclass(frozen=True)
class Names:
    """What the kernel's objects of one gateway are called, so that a process without memory knows its own.

    Two gateways in one network would differ in all of them.
    """

    # The firewall's table, and the gateway's claim to its network.
    table: str = "vgw"
    # One bit of a packet's mark: our rules have seen it. Without it nothing from inside finds a way out.
    mark: int = 0x10000
    # On routes and routing rules: a protocol number outside those that iproute2 names.
    protocol: int = 201
    # Routing tables of ours, so that the machine's main table is never touched: for the node's own traffic,
    # by role, and for what is forwarded, the same in every role.
    own_table: int = 2010
    forward_table: int = 2011
    # The priority of the first routing rule; the others follow it.
    first_rule: int = 31500
    # The priority of the IPsec policies that block.
    policy: int = 31500
    # The interfaces that bear the virtual MACs.
    lan_link: str = reserved_names.LAN
    wan_link: str = reserved_names.WAN

    @property
    def links(self) -> frozenset[str]:
        """The names of all interfaces that are ours."""
        return frozenset({self.lan_link, self.wan_link})


@dataclass(frozen=True)
class Change:
    """What a driver would do: `sign` is + (add), - (remove) or ~ (alter), `what` a phrase for people.

    `payload` is the driver's own note of how to do it; nobody else reads it.
    """

    sign: str
    what: str
    payload: Any = None

    def __str__(self) -> str:
        return f"{self.sign} {self.what}"


@dataclass(frozen=True, order=True)
class Route:
    """A route of ours; `source` is the address that the node's own packets take on it."""

    table: int
    destination: Prefix
    gateway: Address
    interface: str
    source: Address | None = None

    def __str__(self) -> str:
        source = f" src {self.source}" if self.source else ""
        place = f"via {self.gateway} dev {self.interface} table {self.table}"
        return f"route {self.destination} {place}{source}"


@dataclass(frozen=True, order=True)
class RouteRule:
    """A routing rule of ours (ip-rule(8)): which packets look up which table.

    An empty field asks for nothing. `table` BLACKHOLE discards the packet; `specific_only` leaves
    the table's default route out, so that it serves what is on-link and no more.
    """

    priority: int
    table: int
    interface: str = ""
    mark: int = 0
    specific_only: bool = False

    def __str__(self) -> str:
        origin = f"iif {self.interface}" if self.interface else "from all"
        mark = f" fwmark {self.mark:#x}/{self.mark:#x}" if self.mark else ""
        only = " suppress_prefixlength 0" if self.specific_only else ""
        deed = "blackhole" if self.table == BLACKHOLE else f"lookup {self.table}"
        return f"rule {self.priority}: {origin}{mark} {deed}{only}"


@dataclass(frozen=True, order=True)
class Block:
    """What is sent to an address and lacks the ruleset's mark meets nobody: not even an answer."""

    address: Address
    mark: int

    def __str__(self) -> str:
        return f"policy dst {self.address}/{self.address.max_prefixlen} dir in mark 0/{self.mark:#x} action block"


@dataclass(frozen=True)
class AllowRest:
    """The allow-all policy of the lowest priority, for one address family."""

    family: Family

    def __str__(self) -> str:
        return f"policy dst {self.family.everybody} dir in action allow"


@dataclass(frozen=True)
class BlockByDefault:
    """The default `block` for packets that no policy matches."""

    def __str__(self) -> str:
        return "policy setdefault in block"


@dataclass(frozen=True, order=True)
class VirtualLink:
    """A macvlan interface on `parent` that has the pair's MAC, up in every role."""

    name: str
    parent: str
    mac: str

    def __str__(self) -> str:
        return f"link {self.name} on {self.parent} address {self.mac}"


@dataclass(frozen=True)
class File:
    """A file of ours, by its name in the run directory."""

    name: str
    text: str


@dataclass(frozen=True)
class Versions:
    """The version of keepalived, which reads what we render, as numbers, and what conntrackd may.

    `large_buffers`: conntrackd may have socket buffers above the system's limit. It ends where it asks
    for them in vain, as in a user namespace.
    """

    keepalived: tuple[int, ...] = (2, 2, 7)
    large_buffers: bool = True


@dataclass(frozen=True)
class Site:
    """What planning must know of this machine: its interfaces, the daemons' versions, the run directory.

    `sees_frames`: the firewall here has chains for what comes in by an interface.
    """

    interfaces: Interfaces
    versions: Versions
    run_dir: RunDir
    python: Path
    config_path: Path
    # Whether the network is this node's alone and ends with it, as a container's does.
    own_network: bool = False
    sees_frames: bool = True
    names: Names = Names()


@dataclass(frozen=True)
class Plan:
    """All that should be on the machine. An empty plan means: nothing of ours, forwarding off.

    `forwarding` names the interfaces whose packets may be passed on. The kernel asks the interface a
    packet came in by, so no other interface of the machine is touched. In a `closed` network nobody
    hears what comes in while it has no policies, as when it ends. `names` says which of the kernel's
    objects are the gateway's, also those that are to go.
    """

    ruleset: Ruleset | None = None
    links: tuple[VirtualLink, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[RouteRule, ...] = ()
    blocks: tuple[Block, ...] = ()
    closed: bool = False
    files: tuple[File, ...] = ()
    forwarding: tuple[str, ...] = ()
    names: Names = Names()

    @property
    def policies(self) -> tuple[Block | AllowRest | BlockByDefault, ...]:
        """The blocks, and in a closed network what closes it, in the order that cuts nobody off."""
        if not self.closed:
            return self.blocks
        return (*self.blocks, *map(AllowRest, Family), BlockByDefault())
