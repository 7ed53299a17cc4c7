"""From the configuration to the firewall: who may enter, and what is forwarded."""

from appliance.addresses import Prefix
from appliance.config.model import Config, ForwardRule, Node
from appliance.planning import lease, services
from appliance.planning.nat import (
    host,
    inside,
    leak_guard,
    networks_within,
    reached_untranslated,
    redirected,
    translated,
    untranslated,
)
from appliance.planning.ruleset import (
    Accept,
    Admit,
    Chain,
    ChainKind,
    ClampMss,
    CtState,
    Drop,
    Hook,
    Mark,
    Match,
    NoTrack,
    Rule,
    Ruleset,
)
from appliance.planning.virtual_macs import Sides
from appliance.planning.witness import leaving, setting_out

PINGS_PER_SECOND = 50
FRAGMENTATION_NEEDED = 4  # a code of ICMP's destination unreachable (RFC 792)
KNOWN = (CtState.ESTABLISHED, CtState.RELATED)


def ruleset(config: Config, name: str, sides: Sides, mark: int, *, leased: bool = True) -> Ruleset:
    """The firewall of one node: the same in every role, so that a takeover changes no rule.

    `mark` is the bit that tells the routing rules of a packet that came by here. `leased`: the kernel can see what
    crosses an interface, and so withhold a frozen node's answers.

    Its doctrine: what is not named is dropped without an answer, for a reset or an ICMP error sent
    by a node that does not know a flow yet would end a flow that its peer carries.
    """
    node, peer = config.nodes[name], config.nodes[config.peer_of(name)]
    advert = _advert(config, peer, sides)
    frames = (lease.shown(sides), *lease.frames(config, advert, sides)) if leased else ()
    return Ruleset(
        (
            _arriving(config, peer, sides, mark),
            _departing(config, sides),
            redirected(config, sides),
            setting_out(sides, (lease.begins_no_flow(), *_new_flows(config, sides))),
            _input(config, peer, sides),
            _forwarded(config, node, peer, sides),
            leaving(sides, inside(config)),
            translated(config, node, peer, sides),
            leak_guard(config, sides),
            *frames,
        ),
        lease.timers(config),
    )


def _advert(config: Config, peer: Node, interfaces: Sides) -> Match:
    # TTL 255 proves that the sender is on this link (RFC 5082; RFC 9568, section 5.1.1.3).
    # keepalived logs each advert of another version, and is late with its own meanwhile.
    return Match(
        in_interface=interfaces.lan,
        source=host(peer.lan.ip),
        protocol="vrrp",
        ttl=255,
        vrrp_version=config.vgw.vrrp_version,
    )


def _sync_message(config: Config, peer: Node, interfaces: Sides) -> Match:
    port = config.sync.port
    return Match(
        in_interface=interfaces.sync,
        source=host(peer.sync.ip),
        protocol="udp",
        ports=((port, port + 1),),
    )


def _arriving(config: Config, peer: Node, interfaces: Sides, mark: int) -> Chain:
    advert, sync = _advert(config, peer, interfaces), _sync_message(config, peer, interfaces)
    port = config.sync.port
    lan_sources = tuple(sorted({config.vgw.address.network, *inside(config)}))
    return Chain(
        "arriving",
        Hook.PREROUTING,
        ChainKind.RAW,
        (
            *_in_order(config, interfaces, lan_sources, mark),
            # A full connection table must not be able to silence VRRP or the replication.
            Rule(NoTrack(), advert, "VRRP needs no tracking"),
            *lease.heard(advert),
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
            *services.addressless(config, interfaces),
            Rule(
                Drop(),
                Match(in_interface=interfaces.lan, source_not=lan_sources),
                "forged source on the LAN (BCP 38)",
                count=True,
            ),
            Rule(
                Mark(mark),
                Match(in_interface=(*interfaces.lan, *interfaces.wan, *interfaces.sync)),
                "seen by us: may look for a way out",
            ),
            Rule(
                Drop(),
                Match(
                    in_interface=interfaces.wan,
                    source=networks_within(config),
                    source_not=reached_untranslated(config),
                ),
                "a source of ours from outside (BCP 38)",
                count=True,
            ),
            # A look-up of the way back for each packet would be the kernel's second: rp_filter makes it.
            # An interface with a virtual MAC has no routes, so there the source alone must do.
            Rule(
                Accept(),
                Match(in_interface=(*interfaces.lan, *interfaces.wan)),
                "its source may come in here",
            ),
            Rule(
                Drop(),
                Match(no_return_route=True),
                "no way back to the source by this interface (BCP 38)",
                count=True,
            ),
        ),
    )


def _in_order(
    config: Config, interfaces: Sides, lan_sources: tuple[Prefix, ...], mark: int
) -> tuple[Rule, Rule]:
    """Two rules that accept nearly all packets, so that such a packet is compared with one rule only.

    The rules below give the same verdict: without these two only the speed changes (decision 0020).
    """
    lan = Match(in_interface=interfaces.lan, source=lan_sources, protocol_not="vrrp")
    wan = Match(
        in_interface=interfaces.wan, source_not=networks_within(config), protocol_not="vrrp"
    )
    return (
        Rule(Admit(mark), lan, "from the LAN and in order"),
        Rule(Admit(mark), wan, "from the WAN and in order"),
    )


def _departing(config: Config, interfaces: Sides) -> Chain:
    port = config.sync.port
    advert = Match(out_interface=interfaces.lan, protocol="vrrp")
    message = Match(out_interface=interfaces.sync, protocol="udp", ports=((port, port),))
    beat = Match(out_interface=interfaces.sync, protocol="udp", ports=((port + 1, port + 1),))
    # All but "too big", without which path MTU discovery (RFC 1191) finds a black hole.
    error = Match(
        out_interface=(*interfaces.lan, *interfaces.wan),
        icmp_type="destination-unreachable",
        icmp_code_not=FRAGMENTATION_NEEDED,
    )
    return Chain(
        "departing",
        Hook.OUTPUT,
        ChainKind.RAW,
        (
            *lease.says_nothing(config, advert, message),
            Rule(NoTrack(), advert, "VRRP needs no tracking"),
            lease.advertised(advert),
            Rule(
                NoTrack(),
                Match(out_interface=interfaces.sync, protocol="udp", ports=((port, port + 1),)),
                "state replication needs no tracking",
            ),
            lease.beaten(beat),
            Rule(Drop(), error, "would end a flow that the peer can carry", count=True),
            *untranslated(config, interfaces),
        ),
    )


def _input(config: Config, peer: Node, interfaces: Sides) -> Chain:
    return Chain(
        "input",
        Hook.INPUT,
        ChainKind.FILTER,
        (
            Rule(Accept(), Match(in_interface=("lo",))),
            Rule(Accept(), _advert(config, peer, interfaces), "VRRP from the peer"),
            Rule(
                Accept(), _sync_message(config, peer, interfaces), "state replication from the peer"
            ),
            lease.answers_nobody(config),
            Rule(Accept(), Match(ct_state=KNOWN)),
            Rule(
                Accept(),
                Match(icmp_type="echo-request", per_second=PINGS_PER_SECOND),
                "ping",
            ),
            Rule(Accept(), Match(protocol="ipv6-icmp"), "IPv6 cannot work without (RFC 4890)"),
            *services.opened(config, interfaces),
            Rule(Drop(), Match(), "everything else", count=True),
        ),
        drop_rest=True,
    )


def _forward_rule(rule: ForwardRule, config: Config, interfaces: Sides) -> Rule:
    return Rule(
        Accept() if rule.action == "accept" else Drop(),
        Match(
            in_interface=interfaces.lan,
            out_interface=interfaces.wan,
            source=(rule.from_,) if rule.from_ else inside(config),
            destination=(rule.to,) if rule.to else (),
            protocol=rule.protocol,
            ports=rule.ports,
            ct_state=(CtState.NEW,),
        ),
        "written under forward.rules",
        count=rule.action == "drop",
    )


def _new_flows(config: Config, interfaces: Sides) -> tuple[Rule, ...]:
    """What becomes of new flows from inside, by the file."""
    rules = [_forward_rule(rule, config, interfaces) for rule in config.forward.rules]
    if config.forward.policy == "accept":
        match = Match(
            in_interface=interfaces.lan,
            out_interface=interfaces.wan,
            source=inside(config),
            ct_state=(CtState.NEW,),
        )
        rules.append(Rule(Accept(), match, "new flows from inside"))
    return tuple(rules)


def _forwarded(config: Config, node: Node, peer: Node, interfaces: Sides) -> Chain:
    rules = [
        Rule(Drop(), Match(ct_state=(CtState.INVALID,)), "belongs to no flow", count=True),
        Rule(ClampMss(), Match(protocol="tcp"), "path MTU discovery alone does not always work"),
        Rule(Accept(), Match(ct_state=KNOWN, ct_translated=True)),
        # The chains at postrouting see the first packet of a flow alone.
        *untranslated(config, interfaces, (CtState.ESTABLISHED,)),
        Rule(Accept(), Match(ct_state=KNOWN)),
        lease.begins_no_flow(),
    ]
    if config.nat.destination:
        rules.append(
            Rule(
                Accept(),
                Match(
                    in_interface=interfaces.wan,
                    out_interface=interfaces.lan,
                    ct_state=(CtState.NEW,),
                    ct_redirected=True,
                ),
                "a port opened under nat.destination",
            )
        )
    rules += _new_flows(config, interfaces)
    if node.wan is None:
        rules.append(Rule(Accept(), _peers_own_traffic(peer, interfaces), "the peer's own way out"))
    rules.append(Rule(Drop(), Match(), "everything else", count=True))
    return Chain("forwarded", Hook.FORWARD, ChainKind.FILTER, tuple(rules), drop_rest=True)


def _peers_own_traffic(peer: Node, interfaces: Sides) -> Match:
    """What a BACKUP without an address outside sends by way of this node."""
    return Match(
        in_interface=interfaces.sync, out_interface=interfaces.wan, source=host(peer.sync.ip)
    )
