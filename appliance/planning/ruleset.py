"""A firewall in neutral words: what a back end must say, with no back end's syntax in it."""

from dataclasses import dataclass, field
from enum import StrEnum

from appliance.addresses import Address, Family, Prefix

# The protocols that a rule can name, by IANA's numbers.
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "vrrp": 112}


class Hook(StrEnum):
    """Where the kernel calls a chain: netfilter's five hooks, and an interface's for what comes in by it."""

    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"
    POSTROUTING = "postrouting"
    INGRESS = "ingress"


class ChainKind(StrEnum):
    """What a chain is for; a back end turns it into a table (iptables) or type and priority (nft).

    GUARD comes after source NAT and sees, as NAT does, the first packet of each flow. So does WITNESS, after destination
    NAT, and before source NAT. LAST comes after all filters. FRAMES sees whatever comes in by an interface, also ARP, which
    is no packet of IP.
    """

    RAW = "raw"
    FILTER = "filter"
    NAT = "nat"
    GUARD = "guard"
    WITNESS = "witness"
    LAST = "last"
    FRAMES = "frames"


class CtState(StrEnum):
    """The state that connection tracking gives a packet."""

    NEW = "new"
    ESTABLISHED = "established"
    RELATED = "related"
    INVALID = "invalid"


@dataclass(frozen=True)
class Accept:
    """Let the packet pass this chain."""


@dataclass(frozen=True)
class Drop:
    """Discard the packet without a word to anyone."""


@dataclass(frozen=True)
class NoTrack:
    """Keep the packet out of connection tracking and go on."""


@dataclass(frozen=True)
class Mark:
    """Set this bit of the packet's mark, for the routing rules to see, and go on."""

    bit: int


@dataclass(frozen=True)
class Admit:
    """Set this bit of the packet's mark and let the packet pass this chain."""

    bit: int


@dataclass(frozen=True)
class ClampMss:
    """Lower the TCP MSS option to what the route's MTU allows (RFC 4459, section 3.2), and go on."""


@dataclass(frozen=True)
class Snat:
    """Translate the source to `to`; keep the port where it is free, inside `ports` where given."""

    to: Address
    ports: tuple[int, int] | None = None


@dataclass(frozen=True)
class Dnat:
    """Translate the destination by a table: (protocol, port) to (address, port)."""

    table: tuple[tuple[str, int, Address, int], ...]


@dataclass(frozen=True)
class Refresh:
    """Start this timer anew, and go on."""

    timer: str


@dataclass(frozen=True)
class Stop:
    """Have this timer run out at once, and go on."""

    timer: str


@dataclass(frozen=True)
class Show:
    """Have a copy of the packet come in by the loopback interface, for chains of FRAMES there, and go on."""


Action = Accept | Drop | NoTrack | Mark | Admit | ClampMss | Snat | Dnat | Refresh | Stop | Show


@dataclass(frozen=True)
class Match:
    """What a packet must be; an empty field asks for nothing, a tuple for any one of its members."""

    # Whose addresses and header fields the fields below are; without any, packets of every family match.
    family: Family = Family.IPV4
    in_interface: tuple[str, ...] = ()
    out_interface: tuple[str, ...] = ()
    source: tuple[Prefix, ...] = ()
    source_not: tuple[Prefix, ...] = ()
    destination: tuple[Prefix, ...] = ()
    destination_not: tuple[Prefix, ...] = ()
    protocol: str | None = None
    protocol_not: str | None = None
    ports: tuple[tuple[int, int], ...] = ()
    ttl: int | None = None
    ttl_above: int | None = None
    octets_at_most: int | None = None  # the packet's length, with IP's header
    way_out: tuple[str, ...] = ()  # the interfaces that the route to its destination may lead by
    vrrp_version: int | None = None  # of an advert, VRRP's only type; names no protocol
    vrrp_farewell: bool | None = (
        None  # its sender leaves (priority 0), or it stays; names no protocol
    )
    tells_flows: bool = (
        False  # of conntrackd's, about entries, and no control message; names no protocol
    )
    asked_for: tuple[
        Address, ...
    ] = ()  # an ARP request (RFC 826) for one of these, of who has none of them, and no packet of IP
    running: tuple[str, ...] = ()  # all of these timers run
    run_out: tuple[str, ...] = ()  # none of these does
    ct_state: tuple[CtState, ...] = ()
    ct_redirected: bool = False  # the flow's destination was translated
    ct_translated: bool = False  # either of its ends was
    no_return_route: bool = False  # no route back to the source by the interface it came in on
    icmp_type: str | None = None
    icmp_code_not: int | None = None
    per_second: int | None = None


@dataclass(frozen=True)
class Rule:
    """One line of a chain: a match, an action, and the reason, which the back end keeps as comment."""

    action: Action
    match: Match = field(default_factory=Match)
    why: str = ""
    count: bool = False


@dataclass(frozen=True)
class Count:
    """What the counting rules of one chain that have one reason met, since the ruleset was loaded."""

    chain: str
    rule: str
    packets: int
    octets: int


@dataclass(frozen=True)
class FirstPackets:
    """How many flows from inside began since the ruleset was loaded: pings, and all others.

    What set out should leave by the WAN. A flow whose first packets are dropped counts with each of them.
    """

    pings_set_out: int
    pings_left: int
    flows_set_out: int
    flows_left: int


@dataclass(frozen=True)
class Timer:
    """What the kernel keeps for rules that refresh it: it runs for so many seconds after the last refreshing.

    Who put the rules has no part in it. With new rules none runs.
    """

    name: str
    seconds: float


@dataclass(frozen=True)
class Chain:
    """Rules at one hook; `drop_rest` is the policy for what no rule took, `interfaces` has those of FRAMES."""

    name: str
    hook: Hook
    kind: ChainKind
    rules: tuple[Rule, ...]
    drop_rest: bool = False
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ruleset:
    """A whole firewall, all of it ours."""

    chains: tuple[Chain, ...]
    timers: tuple[Timer, ...] = ()
