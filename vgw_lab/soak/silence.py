"""I9, no silent outage: while machines behind get no answer, or two nodes hold the VGW, a health says so and why."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vgw_lab.measures.invariants import Violation

Span = tuple[float, float]

# An outage may be so long before it must be told, in seconds.
SILENT_SECONDS = 3.0
# What is told is a beat of the agent old, and a look of ours.
BEAT_SECONDS = 1.5
# Where the internet was away, flows of the way there need a moment to find it again.
AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Word:
    """What `vgw health` of a node says from a moment on: empty where all is well, None where it cannot be asked."""

    at: float
    node: str
    said: str | None


@dataclass(frozen=True)
class Struck:
    """When a fault was on, the words of which one is in what is said of it, and whether the internet was away.

    Without such words any cause will do, also for another fault at that time.
    """

    span: Span
    causes: tuple[str, ...] = ()
    cuts: bool = False


@dataclass(frozen=True)
class Outage:
    """From when to when something was not as a machine behind needs it, in words."""

    span: Span
    what: str


def judge(
    outages: Iterable[Outage], words: Sequence[Word], struck: Sequence[Struck], since: float
) -> Iterator[Violation]:
    """The outages that nobody told, or not with a cause that a person accepts; `since` is for the sentences."""
    cuts = [(fault.span[0], fault.span[1] + AGAIN_SECONDS) for fault in struck if fault.cuts]
    for outage in outages:
        for begin, end in without(outage.span, cuts):
            if end - begin > SILENT_SECONDS:
                yield from _judged(Outage((begin, end), outage.what), words, struck, since)


def _judged(
    outage: Outage, words: Sequence[Word], struck: Sequence[Struck], since: float
) -> Iterator[Violation]:
    begin, end = outage.span
    for from_, to in untold(words, (begin + SILENT_SECONDS, end)):
        if to - from_ > BEAT_SECONDS:
            sentence = (
                f"{outage.what} for {end - begin:.1f} s, from {begin - since:.1f} s on, and for {to - from_:.1f} s "
                f"no `vgw health` said so; said was: {_quoted(words, outage.span)}"
            )
            yield Violation("I9, untold", sentence, begin, end - begin)
            return
    accepted = [one.causes for one in struck if one.span[0] < end]
    said = [word.said for word in sayings(words, outage.span)]
    if said and accepted and all(accepted) and not _names(said, accepted):
        sentence = (
            f"{outage.what} for {end - begin:.1f} s, from {begin - since:.1f} s on, and the causes that were told "
            f"are others: {_quoted(words, outage.span)}"
        )
        yield Violation("I9, cause", sentence, begin, end - begin)


def _names(said: Iterable[str], accepted: Iterable[Iterable[str]]) -> bool:
    causes = [cause for one in accepted for cause in one]
    return any(re.search(cause, one, re.IGNORECASE) for cause in causes for one in said)


def without(span: Span, cuts: Iterable[Span]) -> list[Span]:
    """What is left of a span."""
    parts = [span]
    for begin, end in cuts:
        parts = [
            part
            for one in parts
            for part in ((one[0], min(one[1], begin)), (max(one[0], end), one[1]))
            if part[1] > part[0]
        ]
    return parts


def untold(words: Sequence[Word], span: Span) -> Iterator[Span]:
    """When in a span somebody could be asked, and nobody said that anything is wrong."""
    moments = sorted(
        {span[0], *(word.at for word in words if span[0] < word.at < span[1]), span[1]}
    )
    begin = None
    for at in moments:
        quiet = at < span[1] and _quiet(words, at)
        if quiet and begin is None:
            begin = at
        elif not quiet and begin is not None:
            yield begin, at
            begin = None


def _quiet(words: Sequence[Word], at: float) -> bool:
    said = now(words, at).values()
    return any(one is not None for one in said) and not any(said)


def now(words: Sequence[Word], at: float) -> dict[str, str | None]:
    """What each node says at a moment."""
    return {word.node: word.said for word in sorted(words, key=lambda one: one.at) if word.at <= at}


@dataclass(frozen=True)
class Saying:
    """What a node says is wrong."""

    node: str
    said: str


def sayings(words: Sequence[Word], span: Span) -> list[Saying]:
    """All that is said to be wrong in a span, each once."""
    early = now(words, span[0]).items()
    later = [(word.node, word.said) for word in words if span[0] < word.at <= span[1]]
    return [Saying(node, said) for node, said in dict.fromkeys([*early, *later]) if said]


def _quoted(words: Sequence[Word], span: Span) -> str:
    return "; ".join(f"{one.node}: {one.said}" for one in sayings(words, span)) or "nothing"
