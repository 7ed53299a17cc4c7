"""What is translated, and the last look at what leaves: the part of the firewall about addresses."""

from appliance.addresses import Address, Prefix
from appliance.config.model import Config, Node, SourceNat
from appliance.planning.ruleset import (
    Chain,
    ChainKind,
    CtState,
    Dnat,
    Drop,
    Hook,
    Match,
    Rule,
    Snat,
)
from appliance.planning.virtual_macs import Sides


def host(address: Address) -> tuple[Prefix, ...]:
    """One address as a match wants it."""
    return (Prefix(address),)


def inside(config: Config) -> tuple[Prefix, ...]:
    """The prefixes that are translated."""
    return tuple(sorted({rule.from_ for rule in config.nat.source}))


def networks_within(config: Config) -> tuple[Prefix, ...]:
    """All networks that have no business outside: behind the gateway, and the link between the nodes."""
    sync = {node.sync.network for node in config.nodes.values()}
    return tuple(sorted({*inside(config), config.vgw.address.network, *sync}))


def reached_untranslated(config: Config) -> tuple[Prefix, ...]:
    """What lies outside though its prefix may be one of ours: destinations that are not translated."""
    return tuple(sorted({prefix for rule in config.nat.source for prefix in rule.except_}))


def _node_addresses(config: Config) -> tuple[Prefix, ...]:
    """The pair's own LAN addresses, which are inside but are nobody's to translate."""
    owned = {node.lan.ip for node in config.nodes.values()} | {config.vgw.address.ip}
    return tuple(Prefix(address) for address in sorted(owned))


def redirected(config: Config, interfaces: Sides) -> Chain:
    """The ports of the WAN VIP that lead to machines behind."""
    table = tuple(
        (rule.protocol, rule.port, rule.to, rule.to_port)
        for rule in sorted(config.nat.destination, key=lambda rule: (rule.protocol, rule.port))
    )
    match = Match(in_interface=interfaces.wan, destination=host(config.wan.address.ip))
    rules = (Rule(Dnat(table), match, "nat.destination"),) if table else ()
    return Chain("redirected", Hook.PREROUTING, ChainKind.NAT, rules)


def _snat(rule: SourceNat, config: Config, interfaces: Sides) -> list[Rule]:
    match = Match(
        out_interface=interfaces.wan,
        source=(rule.from_,),
        source_not=_node_addresses(config),
        destination_not=rule.except_,
    )
    # A range of ports binds what has ports; the rest, such as ping, is translated without one.
    spans = (rule.ports, None) if rule.ports else (None,)
    return [Rule(Snat(rule.to, span), match, "nat.source") for span in spans]


def translated(config: Config, node: Node, peer: Node, interfaces: Sides) -> Chain:
    """What leaves with the WAN VIP as its source, or with the VGW towards a machine behind."""
    rules = [line for rule in config.nat.source for line in _snat(rule, config, interfaces)]
    if config.nat.destination and config.nat.neighbours == "vgw":
        rules.append(_as_vgw(config, interfaces))
    if node.wan is None:
        match = Match(out_interface=interfaces.wan, source=host(peer.sync.ip))
        rules.append(Rule(Snat(config.wan.address.ip), match, "the peer's own way out"))
    return Chain("translated", Hook.POSTROUTING, ChainKind.NAT, tuple(rules))


def _as_vgw(config: Config, interfaces: Sides) -> Rule:
    """Where what carries the LAN translates the WAN's subnet once more, its answers would find no way back here."""
    match = Match(
        out_interface=interfaces.lan,
        source=(config.wan.address.network,),
        ct_redirected=True,
    )
    return Rule(Snat(config.vgw.address.ip), match, "nat.neighbours")


def leak_guard(config: Config, interfaces: Sides) -> Chain:
    """The last look at a flow's first packet: an inside source here means that it was not translated."""
    return Chain("leak-guard", Hook.POSTROUTING, ChainKind.GUARD, untranslated(config, interfaces))


def untranslated(
    config: Config, interfaces: Sides, states: tuple[CtState, ...] = ()
) -> tuple[Rule, ...]:
    """A rule for each network within, against what would leave with a source of it."""
    return tuple(_guard(network, config, interfaces, states) for network in networks_within(config))


def _guard(network: Prefix, config: Config, interfaces: Sides, states: tuple[CtState, ...]) -> Rule:
    excepted = {
        prefix
        for rule in config.nat.source
        if rule.from_.overlaps(network)
        for prefix in rule.except_
    }
    match = Match(
        out_interface=interfaces.wan,
        source=(network,),
        destination_not=tuple(sorted(excepted)),
        ct_state=states,
    )
    return Rule(Drop(), match, "untranslated", count=True)
