"""What sets out from inside, and what leaves: counted by rules that see the first packet of each flow alone, so they cost the others nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from appliance.addresses import Prefix
from appliance.planning.ruleset import Accept, Chain, ChainKind, Hook, Match, Rule
from appliance.planning.virtual_macs import Sides

SETTING_OUT, LEAVING = "setting-out", "leaving"
PINGS, FLOWS = "pings", "flows"
_PING = "icmp"
# Groups, and what is reserved (RFC 5771, RFC 1112): nobody forwards that.
_NO_HOST = (Prefix("224.0.0.0/3"),)
# A greater one may be told to be smaller, and be sent again: so says path MTU discovery (RFC 1191).
_FITS_EVERYWHERE = 1280


def setting_out(sides: Sides, verdicts: Iterable[Rule]) -> Chain:
    """What comes in and should leave by the WAN, if nobody but `verdicts`, our own rules for new flows, had a say.

    Whoever translates the destination comes before, and what was translated so is not seen here.
    """
    rules = tuple(rule for verdict in verdicts for rule in _mirrored(verdict, sides))
    return Chain(SETTING_OUT, Hook.PREROUTING, ChainKind.WITNESS, rules)


def leaving(sides: Sides, inside: tuple[Prefix, ...]) -> Chain:
    """What has passed all filters but those of the last places, and is about to be translated."""
    match = Match(out_interface=sides.wan, source=inside)
    return Chain(LEAVING, Hook.POSTROUTING, ChainKind.WITNESS, tuple(_counted(match)))


def _mirrored(verdict: Rule, sides: Sides) -> Iterator[Rule]:
    """The same decision where the way out is not chosen yet: what is accepted is counted, what is dropped is not."""
    match = replace(verdict.match, out_interface=())
    if not isinstance(verdict.action, Accept):
        yield Rule(Accept(), match, "dropped on its way")
        return
    yield from _counted(
        replace(
            match,
            destination_not=_NO_HOST,
            ttl_above=1,
            octets_at_most=_FITS_EVERYWHERE,
            way_out=sides.wan,
        )
    )


def _counted(match: Match) -> Iterator[Rule]:
    if match.protocol in (None, _PING):
        yield Rule(Accept(), replace(match, protocol=_PING), PINGS, count=True)
    if match.protocol is None:
        match = replace(match, protocol_not=_PING)
    if match.protocol != _PING:
        yield Rule(Accept(), match, FLOWS, count=True)
