"""What a configuration lets pass, in the plain numbers by which flows are judged (`passing`). Pure."""

from collections.abc import Iterator

from appliance.addresses import Prefix
from appliance.config.model import Config, ForwardRule
from appliance.conntrack.passing import Passing, PassRule, Redirection, Span, Translation
from appliance.planning.ruleset import PROTOCOLS


def of(config: Config) -> Passing:
    """What this file lets pass between LAN and WAN."""
    return Passing(
        outside=int(config.wan.address.ip),
        own=tuple(sorted(_own(config))),
        redirections=tuple(
            Redirection(PROTOCOLS[one.protocol], one.port, int(one.to), one.to_port)
            for one in config.nat.destination
        ),
        translations=tuple(
            Translation(_span(one.from_), int(one.to), tuple(map(_span, one.except_)))
            for one in config.nat.source
        ),
        rules=tuple(map(_rule, config.forward.rules)),
        accepts_rest=config.forward.policy == "accept",
    )


def _own(config: Config) -> Iterator[int]:
    yield int(config.vgw.address.ip)
    yield int(config.wan.address.ip)
    for node in config.nodes.values():
        yield from (int(own.ip) for own in (node.lan, node.wan, node.sync) if own)


def _span(prefix: Prefix) -> Span:
    return Span(int(prefix.network_address), int(prefix.broadcast_address))


def _rule(rule: ForwardRule) -> PassRule:
    """A rule without `from` is about all inside prefixes; what is translated at all is asked elsewhere."""
    return PassRule(
        accepts=rule.action == "accept",
        source=_span(rule.from_) if rule.from_ else None,
        destination=_span(rule.to) if rule.to else None,
        protocol=PROTOCOLS[rule.protocol] if rule.protocol else None,
        ports=tuple(Span(*ports) for ports in rule.ports),
    )
