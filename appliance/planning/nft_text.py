"""The neutral ruleset in nft's words (nft(8)): a table of ours in each family, which replaces the former one whole. Pure."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from appliance import Unsupported
from appliance.addresses import Family, Prefix
from appliance.planning.ruleset import (
    PROTOCOLS,
    Accept,
    Action,
    Admit,
    Chain,
    ChainKind,
    ClampMss,
    Dnat,
    Drop,
    Hook,
    Mark,
    Match,
    NoTrack,
    Refresh,
    Rule,
    Ruleset,
    Show,
    Snat,
    Stop,
    Timer,
)

# Type and priority of a base chain (nft(8), "CHAINS"). Who translates first is heard alone, and of equals that is whoever
# came last: so ours come before the usual ones, at -100 and 100. The guard comes after all source NAT; others' destination
# NAT is at -90 at the latest (firewalld's).
_PLACE = {
    (ChainKind.RAW, Hook.PREROUTING): ("filter", "raw"),
    (ChainKind.RAW, Hook.OUTPUT): ("filter", "raw"),
    (ChainKind.FILTER, Hook.INPUT): ("filter", "filter"),
    (ChainKind.FILTER, Hook.FORWARD): ("filter", "filter"),
    (ChainKind.NAT, Hook.PREROUTING): ("nat", "dstnat - 1"),
    (ChainKind.NAT, Hook.POSTROUTING): ("nat", "srcnat - 1"),
    (ChainKind.GUARD, Hook.POSTROUTING): ("nat", "srcnat + 10"),
    (ChainKind.WITNESS, Hook.PREROUTING): ("nat", "dstnat + 20"),
    (ChainKind.WITNESS, Hook.POSTROUTING): ("nat", "srcnat - 10"),
    (ChainKind.FRAMES, Hook.INGRESS): ("filter", "filter"),
    (ChainKind.LAST, Hook.OUTPUT): ("filter", "300"),
}
# The families of our tables, by what they see; what is missing of the first leaves the machine without its firewall.
IP, COPIES, FRAMES = "inet", "ip", "netdev"
FAMILIES = (IP, COPIES, FRAMES)
# A family other than the first has one kind of chain alone.
_OWN_FAMILY = {ChainKind.LAST: COPIES, ChainKind.FRAMES: FRAMES}
_LOOPBACK = "127.0.0.1", "lo"
# A timer is a set with one element that expires, and this the element: the same number for each packet. A set takes nothing
# that is written in the rule, and what is read from the packet differs between IP and ARP.
_ELEMENT = "numgen inc mod 1"
# Room for those that have expired and are still to be collected, which the kernel does each second.
_ROOM = 64
# Of such a prefix nft loads three bytes; the kernel has a short way for one, two and four (nft_payload_fast_eval).
_THREE_BYTES = 24
# VRRP's first byte is version and type; 1, an advert, is the only type (RFC 3768, 5.3; RFC 9568, 5.2).
_ADVERT = 1
# Its priority, of who leaves (RFC 3768, 5.3.4; RFC 9568, 5.2.4).
_FAREWELL = 0
# The first octet of a control message of conntrackd's: version 1 and type 10 (its network.h).
_CONTROL = 0x1A
# Those whose header has a destination port.
_HAVE_PORTS = ("tcp", "udp")


@dataclass(frozen=True)
class _FamilyWords:
    """What nft calls the header of a family, its fields that count hops and octets, and the family's ICMP."""

    header: str
    hops: str
    length: str
    icmp: str


_FAMILIES = {Family.IPV4: _FamilyWords("ip", "ttl", "length", "icmp")}


def text(ruleset: Ruleset, table: str) -> str:
    """The whole ruleset as nft scripts, one behind the other. Raises Unsupported."""
    return "\n".join(scripts(ruleset, table).values())


def scripts(ruleset: Ruleset, table: str) -> dict[str, str]:
    """By family: the nft script that puts its table of this name in place of the former one, in one stroke.

    Raises Unsupported, for a rule without one of its conditions would say something else.
    """
    if unsaid := problems(ruleset):
        raise Unsupported("nft cannot say our ruleset: " + "; ".join(unsaid))
    parts = {
        family: tuple(chain for chain in ruleset.chains if _family(chain) == family)
        for family in FAMILIES
    }
    return {
        family: _script(family, table, ruleset.timers, chains)
        for family, chains in parts.items()
        if chains
    }


def _family(chain: Chain) -> str:
    return _OWN_FAMILY.get(chain.kind, IP)


def _script(family: str, table: str, timers: Sequence[Timer], chains: Sequence[Chain]) -> str:
    named = {name for chain in chains for rule in chain.rules for name in _timers(rule)}
    lines = [*_deletion(family, table), f"table {family} {table} {{"]
    for block in (
        *(_timer(timer) for timer in timers if timer.name in named),
        *map(_chain, chains),
    ):
        lines += [f"\t{line}".rstrip() for line in block]
    return "\n".join([*lines, "}", ""])


def removal(family: str, table: str) -> str:
    """The nft script that takes the table away."""
    return "\n".join([*_deletion(family, table), ""])


def _deletion(family: str, table: str) -> list[str]:
    """nft deletes only what is there: so the table is declared first."""
    return [f"table {family} {table}", f"delete table {family} {table}"]


def problems(ruleset: Ruleset) -> tuple[str, ...]:
    """What nft has no words for: a sentence each."""
    timers = {timer.name for timer in ruleset.timers}
    return tuple(
        f"chain {chain.name}: {problem}"
        for chain in ruleset.chains
        for problem in _chain_problems(chain, timers)
    )


def _chain_problems(chain: Chain, timers: AbstractSet[str]) -> Iterator[str]:
    if (chain.kind, chain.hook) not in _PLACE:
        yield f"nothing of kind {chain.kind} is called at {chain.hook}"
    if bool(chain.interfaces) != (chain.kind is ChainKind.FRAMES):
        yield "frames are seen at an interface, and packets of IP at none"
    for number, rule in enumerate(chain.rules, 1):
        problems = [*_rule_problems(rule), *_frame_problems(chain, rule)]
        problems += [f"there is no timer {name}" for name in _timers(rule) if name not in timers]
        for problem in problems:
            yield f"rule {number} ({rule.why or 'no comment'}): {problem}"


def _rule_problems(rule: Rule) -> Iterator[str]:
    match = rule.match
    if match.family not in _FAMILIES:
        yield f"nobody has said yet what family {match.family} is called"
    for protocol in filter(None, (match.protocol, match.protocol_not)):
        if protocol not in PROTOCOLS:
            yield f"the number of protocol {protocol} is not known"
    if match.ports and match.protocol not in _HAVE_PORTS:
        yield f"protocol {match.protocol or 'any'} has no ports"
    if isinstance(rule.action, Dnat):
        for protocol in sorted({row[0] for row in rule.action.table} - set(_HAVE_PORTS)):
            yield f"protocol {protocol} has no ports to redirect"


def _frame_problems(chain: Chain, rule: Rule) -> Iterator[str]:
    """A chain of IP sees no ARP, and one of frames has no connection tracking, no route and no NAT; one alone makes copies."""
    frames = chain.kind is ChainKind.FRAMES
    if isinstance(rule.action, Show) and chain.kind is not ChainKind.LAST:
        yield "only what has passed all filters is shown"
    if rule.match.asked_for and not frames:
        yield "no packet of IP is an ARP request"
    if frames and not isinstance(rule.action, Accept | Drop | Refresh | Stop):
        yield f"{type(rule.action).__name__} is nothing that can be done with a frame"


def _timers(rule: Rule) -> tuple[str, ...]:
    """The timers that a rule names."""
    deed = (rule.action.timer,) if isinstance(rule.action, Refresh | Stop) else ()
    return (*rule.match.running, *rule.match.run_out, *deed)


def _timer(timer: Timer) -> list[str]:
    return [
        f"set {timer.name} {{",
        f"\ttypeof {_ELEMENT}; flags dynamic,timeout; timeout {round(timer.seconds * 1000)}ms; size {_ROOM};",
        "}",
    ]


def _chain(chain: Chain) -> list[str]:
    kind, priority = _PLACE[chain.kind, chain.hook]
    policy = "drop" if chain.drop_rest else "accept"
    return [
        f"chain {chain.name} {{",
        f"\ttype {kind} hook {chain.hook}{_devices(chain)} priority {priority}; policy {policy};",
        *(f"\t{_rule(rule)}" for rule in chain.rules),
        "}",
    ]


def _devices(chain: Chain) -> str:
    if not chain.interfaces:
        return ""
    return f" devices = {{ {', '.join(_names(chain.interfaces))} }}"


def _rule(rule: Rule) -> str:
    words = [
        *_match(rule.match),
        "counter" if rule.count else "",
        _action(rule.action, _FAMILIES[rule.match.family].header),
    ]
    if rule.why:
        words.append(f'comment "{rule.why}"')
    return " ".join(word for word in words if word)


def _match(match: Match) -> list[str]:
    words = [*_asked(match), *_way(match), *_protocol(match), *_headers(match)]
    if match.no_return_route:
        words.append(f"meta nfproto {match.family} fib saddr . mark . iif oif missing")
    if match.way_out:
        words.append(f"fib daddr . mark oifname {_one_of(_names(match.way_out))}")
    if match.ct_state:
        words.append(f"ct state {','.join(match.ct_state)}")
    if match.ct_redirected:
        words.append("ct status dnat")
    if match.ct_translated:
        words.append("ct status snat,dnat")
    words += [f"{_ELEMENT} @{name}" for name in match.running]
    words += [f"{_ELEMENT} != @{name}" for name in match.run_out]
    if match.per_second:
        words.append(f"limit rate {match.per_second}/second burst {match.per_second} packets")
    return words


def _asked(match: Match) -> list[str]:
    if not match.asked_for:
        return []
    wanted = _one_of(list(map(str, match.asked_for)))
    # Who says an address of its own asks for none (RFC 5227, section 3).
    return [f"arp operation request arp daddr ip {wanted} arp saddr ip != {wanted}"]


def _protocol(match: Match) -> list[str]:
    words = []
    if match.protocol and match.ports:
        words.append(f"{match.protocol} dport {_one_of([_span(p) for p in match.ports])}")
    elif match.protocol:
        # By number, for nft looks names up in /etc/protocols, which a small machine may lack.
        words.append(f"meta l4proto {PROTOCOLS[match.protocol]}")
    if match.protocol_not:
        words.append(f"meta l4proto != {PROTOCOLS[match.protocol_not]}")
    return words


def _headers(match: Match) -> list[str]:
    """What stands in the headers of IP and of the protocol above it."""
    words, say = [], _FAMILIES[match.family]
    if match.ttl is not None:
        words.append(f"{say.header} {say.hops} {match.ttl}")
    if match.ttl_above is not None:
        words.append(f"{say.header} {say.hops} > {match.ttl_above}")
    if match.octets_at_most is not None:
        words.append(f"{say.header} {say.length} <= {match.octets_at_most}")
    if match.vrrp_version is not None:
        words.append(f"@th,0,8 {match.vrrp_version << 4 | _ADVERT:#x}")
    if match.vrrp_farewell is not None:
        words.append(f"@th,16,8 {'' if match.vrrp_farewell else '!= '}{_FAREWELL}")
    if match.tells_flows:
        words.append(f"@th,64,8 != {_CONTROL:#x}")
    if match.icmp_type:
        words.append(f"{say.icmp} type {match.icmp_type}")
    if match.icmp_code_not is not None:
        words.append(f"{say.icmp} code != {match.icmp_code_not}")
    return words


def _way(match: Match) -> list[str]:
    """From where to where; an interface last, for the kernel copies its name each time it is asked for."""
    source, destination = (f"{_FAMILIES[match.family].header} {end}addr" for end in "sd")
    words = _networks(source, "", match.source) + _networks(source, "!= ", match.source_not)
    words += _networks(destination, "", match.destination)
    words += _networks(destination, "!= ", match.destination_not)
    if match.in_interface:
        words.append(f"iifname {_one_of(_names(match.in_interface))}")
    if match.out_interface:
        words.append(f"oifname {_one_of(_names(match.out_interface))}")
    return words


def _networks(field: str, negation: str, networks: Sequence[Prefix]) -> list[str]:
    if not networks:
        return []
    if len(networks) == 1 and networks[0].prefixlen == _THREE_BYTES:
        mask, address = networks[0].netmask, networks[0].network_address
        return [f"{field} & {mask} {negation or '== '}{address}"]
    names = [str(n.network_address) if n.prefixlen == n.max_prefixlen else str(n) for n in networks]
    return [f"{field} {negation}{_one_of(names)}"]


def _names(interfaces: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in interfaces]


def _one_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "{ " + ", ".join(names) + " }"


def _span(ports: tuple[int, int]) -> str:
    low, high = ports
    return str(low) if low == high else f"{low}-{high}"


def _action(action: Action, header: str) -> str:
    match action:
        case Accept():
            return "accept"
        case Drop():
            return "drop"
        case NoTrack():
            return "notrack"
        case Mark(bit):
            return f"meta mark set meta mark or {bit:#x}"
        case Admit(bit):
            return f"{_action(Mark(bit), header)} accept"
        case ClampMss():
            return "tcp flags syn / syn,rst tcp option maxseg size set rt mtu"
        case Refresh(timer):
            return f"update @{timer} {{ {_ELEMENT} }}"
        case Stop(timer):
            return f"delete @{timer} {{ {_ELEMENT} }}"
        case Show():
            address, interface = _LOOPBACK
            return f'dup to {address} device "{interface}"'
        case Snat(to, ports):
            ports_bind = "meta l4proto { 6, 17 } " if ports else ""
            return f"{ports_bind}snat {header} to {to}" + (f":{_span(ports)}" if ports else "")
        case Dnat(table):
            rows = ", ".join(
                f"{PROTOCOLS[protocol]} . {port} : {to} . {to_port}"
                for protocol, port, to, to_port in table
            )
            return f"dnat {header} to meta l4proto . th dport map {{ {rows} }}"
