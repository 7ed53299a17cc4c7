"""Which flows two files let pass, and which of those that are there only the former one did. Pure.

In plain numbers, so that a table of 300,000 entries is judged in seconds by a process that imports little.
"""

from enum import StrEnum
from typing import NamedTuple

from appliance.conntrack.ctnetlink import Connection


class Lack(StrEnum):
    """Why a flow does not pass, as people are told of flows that ended."""

    PORT = "of ports that lead elsewhere or nowhere"
    RULE = "that forward drops"
    SOURCE = "whose source is translated otherwise or not at all"


class Span(NamedTuple):
    """Numbers from the first to the last: addresses of a network, or ports."""

    first: int
    last: int

    def has(self, number: int) -> bool:
        """Whether a number is one of them."""
        return self.first <= number <= self.last


class Redirection(NamedTuple):
    """A port outside that leads to a machine."""

    protocol: int
    port: int
    to: int
    to_port: int


class Translation(NamedTuple):
    """Inside addresses that leave as `to`, but for what goes to the excepted ones."""

    source: Span
    to: int
    excepted: tuple[Span, ...]


class PassRule(NamedTuple):
    """Whether new flows from here to there pass; an empty field asks for nothing."""

    accepts: bool
    source: Span | None
    destination: Span | None
    protocol: int | None
    ports: tuple[Span, ...]


class Passing(NamedTuple):
    """What one file lets pass between LAN and WAN. `own`: the pair's own addresses, whose flows are no business of this."""

    outside: int
    own: tuple[int, ...]
    redirections: tuple[Redirection, ...]
    translations: tuple[Translation, ...]
    rules: tuple[PassRule, ...]
    accepts_rest: bool


def ended(former: Passing, now: Passing, flow: Connection) -> Lack | None:
    """Why a flow must end: it passed by the former file, and does not now. None where it stays.

    What neither lets pass is none of ours, or is known to nobody here: it is left alone.
    """
    lack = lacking(now, flow)
    return lack if lack and not lacking(former, flow) else None


def lacking(passing: Passing, flow: Connection) -> Lack | None:
    """What is missing for a flow to pass; None where it passes."""
    if flow.answerer != flow.destination:
        way = (flow.protocol, flow.port, flow.answerer, flow.answering_port)
        leads = flow.destination == passing.outside and way in passing.redirections
        return None if leads else Lack.PORT
    if flow.source in passing.own or flow.destination in passing.own:
        return Lack.SOURCE
    if not _leaves(passing, flow):
        return Lack.SOURCE
    return None if _may(passing, flow) else Lack.RULE


def _leaves(passing: Passing, flow: Connection) -> bool:
    """Whether a flow from inside leaves as this one does: by such an address, or untranslated."""
    rules = [rule for rule in passing.translations if rule.source.has(flow.source)]
    if flow.answered != flow.source:
        return any(rule.to == flow.answered for rule in rules)
    reached = [_any_has(rule.excepted, flow.destination) for rule in rules]
    return bool(reached) and all(reached)


def _may(passing: Passing, flow: Connection) -> bool:
    """Whether `forward` lets a new flow of this kind pass: the first rule that fits decides."""
    for rule in passing.rules:
        if _fits(rule, flow):
            return rule.accepts
    return passing.accepts_rest


def _fits(rule: PassRule, flow: Connection) -> bool:
    return (
        (rule.protocol is None or rule.protocol == flow.protocol)
        and (rule.destination is None or rule.destination.has(flow.destination))
        and (rule.source is None or rule.source.has(flow.source))
        and (not rule.ports or _any_has(rule.ports, flow.port))
    )


def _any_has(spans: tuple[Span, ...], number: int) -> bool:
    return any(span.has(number) for span in spans)
