"""When a program that dies again and again is given up, and the node with it. Pure.

supervisord itself gives up a program only if it lives for less than `startsecs` four times in a row. How long it lives
before it fails depends on the processor: on a busy machine the agent's imports alone take longer than that.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Death:
    """How a program ended that should run on."""

    at: float
    """When, in seconds on a monotonic clock."""
    by_signal: bool
    """Whether a signal ended it, and not a decision of its own."""


@dataclass(frozen=True)
class Limit:
    """So many deaths within so many seconds are one too many."""

    deaths: int
    seconds: float
    words: str


# A start of 12 s, on a machine as busy as that, is still found to fail again and again.
BY_ITSELF = Limit(5, 60.0, "ended by itself")
# Mostly somebody's hand: a drill may kill a program each 3 s. A crash is a signal too, and one each 15 s is found.
# The agent's own new starts are 30 s apart, or more.
BY_SIGNAL = Limit(20, 300.0, "was killed")


def given_up(deaths: Sequence[Death], now: float) -> str:
    """Why a program that died like this is not started once more, in words; empty where it is."""
    for limit, by_signal in ((BY_ITSELF, False), (BY_SIGNAL, True)):
        recent = [
            one for one in deaths if one.by_signal is by_signal and now - one.at < limit.seconds
        ]
        if len(recent) >= limit.deaths:
            return f"it {limit.words} {len(recent)} times within {limit.seconds:.0f} s"
    return ""
