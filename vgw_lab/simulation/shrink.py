"""The shortest history that still breaks the same invariant: fewer faults, then shorter ones at rounder times."""

from collections.abc import Iterator
from dataclasses import replace

from vgw_lab.simulation.faults import KINDS, Fault
from vgw_lab.simulation.histories import FIRST, History, Violation, shortened, tell
from vgw_lab.simulation.least import fewer, least

MOST_TRIES = 400


def shortest(history: History, violation: Violation) -> tuple[History, Violation]:
    """It, and how it breaks."""

    def breaks(candidate: History) -> Violation | None:
        found = tell(candidate)
        return found if found and found.invariant == violation.invariant else None

    return least(history, violation, _shorter, breaks, MOST_TRIES)


def _shorter(history: History) -> Iterator[History]:
    """What to try next, the greatest step first."""
    faults = history.faults
    for some in fewer(faults):
        yield shortened(history, some)
    if history.kind != "standard":
        yield replace(history, kind="standard")
    for index, fault in enumerate(faults):
        for simpler in _simpler(fault):
            yield shortened(history, [*faults[:index], simpler, *faults[index + 1 :]])


def _simpler(fault: Fault) -> Iterator[Fault]:
    if KINDS[fault.kind].end:
        for seconds in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
            if seconds < fault.seconds:
                yield replace(fault, seconds=seconds)
    for at in (FIRST, 10.0, 20.0, 30.0):
        if at < fault.at:
            yield replace(fault, at=at)
    for digits in (0, 1):
        if round(fault.at, digits) < fault.at:
            yield replace(fault, at=round(fault.at, digits))
