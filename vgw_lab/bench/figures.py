"""Statistics of a run: summaries, and ratios taken pair by pair from rounds that were interleaved."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# What the probe can tell: it sends a datagram each millisecond.
RESOLUTION_MS = 1.0
Row = Mapping[str, Any]
Summary = dict[str, float]


def summary(values: Sequence[float]) -> Summary:
    """Number, median, 95th percentile, least and largest; empty for none."""
    if not values:
        return {}
    return {
        "n": len(values),
        "median": statistics.median(values),
        "p95": percentile(values, 95),
        "min": min(values),
        "max": max(values),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that so many percent of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1]


def ratios(rows: Iterable[Row], key: str, value: str, over: Any, under: Any) -> list[float]:
    """The value where `key` is `over` by the value where it is `under`, for each round that has both."""
    by_round: dict[int, dict[Any, float]] = defaultdict(dict)
    for row in rows:
        by_round[row["round"]][row[key]] = row[value]
    return [
        pair[over] / pair[under]
        for _, pair in sorted(by_round.items())
        if over in pair and pair.get(under)
    ]


def gaps(
    rows: Iterable[Row], setup: str, fault: str, entries: int = 0, value: str = "gap"
) -> list[float]:
    """The gaps of a set-up in milliseconds, in the order of the rounds; or its stalls, where it has one."""
    return [
        row[value]
        for row in rows
        if (row["setup"], row["fault"], row["entries"]) == (setup, fault, entries)
        and row[value] is not None
    ]


def stall_ratios(
    rows: Iterable[Row], over: str, under: str, fault: str, entries: int
) -> list[float]:
    """One set-up's stall by another's, round by round; one below the probe's resolution counts as that."""
    chosen = [
        {**row, "stall": max(row["stall"], RESOLUTION_MS)}
        for row in rows
        if (row["fault"], row["entries"]) == (fault, entries) and row["stall"] is not None
    ]
    return ratios(chosen, "setup", "stall", over, under)


def alive(rows: Iterable[Row], setup: str, entries: int) -> dict[str, tuple[int, int]]:
    """By kind, over all rounds: how many flows there were at a power cut, and how many lived on."""
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        if (row["setup"], row["entries"]) != (setup, entries):
            continue
        for kind, (flows, lived) in row["flows"].items():
            before, after = found.get(kind, (0, 0))
            found[kind] = (before + flows, after + lived)
    return found


def sizes(rows: Iterable[Row]) -> list[int]:
    """The table sizes that were measured, in order."""
    return sorted({row["entries"] for row in rows})


def typical(rows: Iterable[Row], setup: str, fault: str, entries: int = 0) -> Row | None:
    """The round whose gap lies in the middle; the shorter one of two."""
    chosen = [
        row
        for row in rows
        if (row["setup"], row["fault"], row["entries"]) == (setup, fault, entries)
    ]
    return sorted(chosen, key=lambda row: row["gap"])[(len(chosen) - 1) // 2] if chosen else None
