"""From the configuration to the firewall: who may enter, what is forwarded, what is translated."""

from ipaddress import IPv4Address, IPv4Network

from appliance.model import Config, ForwardRule, Interfaces, Node, SourceNat
from appliance.ruleset import (
    Accept,
    Chain,
    ClampMss,
    CtState,
    Dnat,
    Drop,
    Hook,
    Kind,
    Mark,
    Match,
    NoTrack,
    Rule,
    Ruleset,
    Snat,
)

PINGS_PER_SECOND = 50
FRAGMENTATION_NEEDED = 4  # a code of ICMP's destination unreachable (RFC 792)
# The mark of a packet that our rules have seen: without it nothing from inside finds a way out.
SEEN = 0x10000
KNOWN = (CtState.ESTABLISHED, CtState.RELATED)


def ruleset(config: Config, name: str, interfaces: Interfaces) -> Ruleset:
    """The firewall of one node: the same in every role, so that a takeover changes no rule.

    Its doctrine: what is not named is dropped without an answer, for a reset or an ICMP error sent
    by a node that does not know a flow yet would end a flow that its peer carries.
    """
    node, peer = config.nodes[name], config.nodes[config.peer_of(name)]
    return Ruleset(
        (
            _arriving(config, peer, interfaces),
            _departing(config, interfaces),
            _redirected(config, interfaces),
            _input(config, peer, interfaces),
            _forwarded(config, node, peer, interfaces),
            _translated(config, node, peer, interfaces),
            _leak_guard(config, interfaces),
        )
    )


def _host(address: IPv4Address) -> tuple[IPv4Network, ...]:
    return (IPv4Network(address),)


def _inside(config: Config) -> tuple[IPv4Network, ...]:
    return tuple(sorted({rule.from_ for rule in config.nat.source}))


def _node_addresses(config: Config) -> tuple[IPv4Network, ...]:
    """The pair's own LAN addresses, which are inside but are nobody's to translate."""
    owned = {node.lan.ip for node in config.nodes.values()} | {config.vgw.address.ip}
    return tuple(IPv4Network(address) for address in sorted(owned))


def _advert(peer: Node, interfaces: Interfaces) -> Match:
    # TTL 255 proves that the sender is on this link (RFC 5082; RFC 9568, section 5.1.1.3).
    return Match(in_interface=interfaces.lan, source=_host(peer.lan.ip), protocol="vrrp", ttl=255)


def _sync_message(config: Config, peer: Node, interfaces: Interfaces) -> Match:
    port = config.sync.port
    return Match(
        in_interface=interfaces.sync,
        source=_host(peer.sync.ip),
        protocol="udp",
        ports=((port, port + 1),),
    )


def _arriving(config: Config, peer: Node, interfaces: Interfaces) -> Chain:
    advert, sync = _advert(peer, interfaces), _sync_message(config, peer, interfaces)
    port = config.sync.port
    lan_sources = tuple(sorted({config.vgw.address.network, *_inside(config)}))
    return Chain(
        "arriving",
        Hook.PREROUTING,
        Kind.RAW,
        (
            # A full connection table must not be able to silence VRRP or the replication.
            Rule(NoTrack(), advert, "VRRP needs no tracking"),
            Rule(Accept(), advert, "VRRP from the peer"),
            Rule(Drop(), Match(protocol="vrrp"), "VRRP from anybody else", count=True),
            Rule(NoTrack(), sync, "state replication needs no tracking"),
            Rule(Accept(), sync, "state replication from the peer"),
            Rule(
                Drop(),
                Match(in_interface=interfaces.sync, protocol="udp", ports=((port, port + 1),)),
                "state replication from anybody else",
                count=True,
            ),
            Rule(
                Drop(),
                Match(in_interface=interfaces.lan, source_not=lan_sources),
                "forged source on the LAN (BCP 38)",
                count=True,
            ),
            *(
                Rule(Mark(SEEN), Match(in_interface=name), "seen by us: may look for a way out")
                for name in (interfaces.lan, interfaces.wan, interfaces.sync)
            ),
            Rule(
                Drop(),
                Match(no_return_route=True),
                "no way back to the source by this interface (BCP 38)",
                count=True,
            ),
        ),
    )


def _departing(config: Config, interfaces: Interfaces) -> Chain:
    port = config.sync.port
    return Chain(
        "departing",
        Hook.OUTPUT,
        Kind.RAW,
        (
            Rule(
                NoTrack(),
                Match(out_interface=interfaces.lan, protocol="vrrp"),
                "VRRP needs no tracking",
            ),
            Rule(
                NoTrack(),
                Match(out_interface=interfaces.sync, protocol="udp", ports=((port, port + 1),)),
                "state replication needs no tracking",
            ),
            *(_no_error(name) for name in (interfaces.lan, interfaces.wan)),
        ),
    )


def _no_error(interface: str) -> Rule:
    # All but "too big", without which path MTU discovery (RFC 1191) finds a black hole.
    error = Match(
        out_interface=interface,
        icmp_type="destination-unreachable",
        icmp_code_not=FRAGMENTATION_NEEDED,
    )
    return Rule(Drop(), error, "would end a flow that the peer can carry", count=True)


def _input(config: Config, peer: Node, interfaces: Interfaces) -> Chain:
    services = tuple(
        Rule(
            Accept(),
            Match(
                source=(rule.from_,),
                protocol=rule.protocol,
                ports=rule.ports,
                ct_state=(CtState.NEW,),
            ),
            "opened under input",
        )
        for rule in config.input
    )
    return Chain(
        "input",
        Hook.INPUT,
        Kind.FILTER,
        (
            Rule(Accept(), Match(in_interface="lo")),
            Rule(Accept(), _advert(peer, interfaces), "VRRP from the peer"),
            Rule(
                Accept(), _sync_message(config, peer, interfaces), "state replication from the peer"
            ),
            Rule(Accept(), Match(ct_state=KNOWN)),
            Rule(
                Accept(),
                Match(icmp_type="echo-request", per_second=PINGS_PER_SECOND),
                "ping",
            ),
            Rule(Accept(), Match(protocol="ipv6-icmp"), "IPv6 cannot work without (RFC 4890)"),
            *services,
            Rule(Drop(), Match(), "everything else", count=True),
        ),
        drop_rest=True,
    )


def _forward_rule(rule: ForwardRule, config: Config, interfaces: Interfaces) -> Rule:
    return Rule(
        Accept() if rule.action == "accept" else Drop(),
        Match(
            in_interface=interfaces.lan,
            out_interface=interfaces.wan,
            source=(rule.from_,) if rule.from_ else _inside(config),
            destination=(rule.to,) if rule.to else (),
            protocol=rule.protocol,
            ports=rule.ports,
            ct_state=(CtState.NEW,),
        ),
        "written under forward.rules",
        count=rule.action == "drop",
    )


def _forwarded(config: Config, node: Node, peer: Node, interfaces: Interfaces) -> Chain:
    rules = [
        Rule(Drop(), Match(ct_state=(CtState.INVALID,)), "belongs to no flow", count=True),
        Rule(ClampMss(), Match(protocol="tcp"), "path MTU discovery alone does not always work"),
        Rule(Accept(), Match(ct_state=KNOWN)),
    ]
    if config.nat.destination:
        rules.append(
            Rule(
                Accept(),
                Match(
                    in_interface=interfaces.wan,
                    out_interface=interfaces.lan,
                    ct_state=(CtState.NEW,),
                    ct_translated=True,
                ),
                "a port opened under nat.destination",
            )
        )
    rules += [_forward_rule(rule, config, interfaces) for rule in config.forward.rules]
    if config.forward.policy == "accept":
        rules.append(
            Rule(
                Accept(),
                Match(
                    in_interface=interfaces.lan,
                    out_interface=interfaces.wan,
                    source=_inside(config),
                    ct_state=(CtState.NEW,),
                ),
                "new flows from inside",
            )
        )
    if node.wan is None:
        rules.append(Rule(Accept(), _peers_own_traffic(peer, interfaces), "the peer's own way out"))
    rules.append(Rule(Drop(), Match(), "everything else", count=True))
    return Chain("forwarded", Hook.FORWARD, Kind.FILTER, tuple(rules), drop_rest=True)


def _peers_own_traffic(peer: Node, interfaces: Interfaces) -> Match:
    """What a BACKUP without an address outside sends by way of this node."""
    return Match(
        in_interface=interfaces.sync, out_interface=interfaces.wan, source=_host(peer.sync.ip)
    )


def _redirected(config: Config, interfaces: Interfaces) -> Chain:
    table = tuple(
        (rule.protocol, rule.port, rule.to, rule.to_port)
        for rule in sorted(config.nat.destination, key=lambda rule: (rule.protocol, rule.port))
    )
    match = Match(in_interface=interfaces.wan, destination=_host(config.wan.address.ip))
    rules = (Rule(Dnat(table), match, "nat.destination"),) if table else ()
    return Chain("redirected", Hook.PREROUTING, Kind.NAT, rules)


def _snat(rule: SourceNat, config: Config, interfaces: Interfaces) -> list[Rule]:
    match = Match(
        out_interface=interfaces.wan,
        source=(rule.from_,),
        source_not=_node_addresses(config),
        destination_not=rule.except_,
    )
    # A range of ports binds what has ports; the rest, such as ping, is translated without one.
    spans = (rule.ports, None) if rule.ports else (None,)
    return [Rule(Snat(rule.to, span), match, "nat.source") for span in spans]


def _translated(config: Config, node: Node, peer: Node, interfaces: Interfaces) -> Chain:
    rules = [line for rule in config.nat.source for line in _snat(rule, config, interfaces)]
    if node.wan is None:
        match = Match(out_interface=interfaces.wan, source=_host(peer.sync.ip))
        rules.append(Rule(Snat(config.wan.address.ip), match, "the peer's own way out"))
    return Chain("translated", Hook.POSTROUTING, Kind.NAT, tuple(rules))


def _leak_guard(config: Config, interfaces: Interfaces) -> Chain:
    """The last look at what leaves: an inside source here means that translation did not happen."""
    sync = {node.sync.network for node in config.nodes.values()}
    networks = {*_inside(config), config.vgw.address.network, *sync}
    return Chain(
        "leak-guard",
        Hook.POSTROUTING,
        Kind.GUARD,
        tuple(_guard(network, config, interfaces) for network in sorted(networks)),
    )


def _guard(network: IPv4Network, config: Config, interfaces: Interfaces) -> Rule:
    excepted = {
        prefix
        for rule in config.nat.source
        if rule.from_.overlaps(network)
        for prefix in rule.except_
    }
    match = Match(
        out_interface=interfaces.wan, source=(network,), destination_not=tuple(sorted(excepted))
    )
    return Rule(Drop(), match, "untranslated", count=True)
