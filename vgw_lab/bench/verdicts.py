"""The bars that a run is held against, and a verdict on each; a figure that is missing is no success."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vgw_lab.bench import figures
from vgw_lab.bench.forwarding import WITH, WITHOUT
from vgw_lab.bench.outages import POWER_OFF
from vgw_lab.bench.router import FULL, PLAIN

MOST_ENTRIES = 300_000
OURS = ("ours-standard", "ours-fast", "ours-hot")
Result = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """One bar: what is measured, the least or the most that its median may be.

    It is looked at where its section was asked for, and all set-ups that it compares.
    """

    what: str
    section: str
    values: Callable[[Result], list[float]]
    least: float | None = None
    most: float | None = None
    setups: tuple[str, ...] = ()

    def asked(self, options: Mapping[str, Any]) -> bool:
        """Whether a run with these options can tell."""
        return self.section in options["sections"] and set(self.setups) <= set(options["setups"])

    def held(self, found: float) -> bool:
        """Whether a figure keeps the bar."""
        return (self.least is None or found >= self.least) and (
            self.most is None or found <= self.most
        )

    @property
    def wanted(self) -> str:
        """The bar as people read it."""
        return f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"


def _stalls(over: str, under: str) -> Callable[[Result], list[float]]:
    return lambda result: figures.stall_ratios(
        result["outages"], over, under, POWER_OFF, MOST_ENTRIES
    )


def _pairs(section: str, value: str, over: Any, under: Any) -> Callable[[Result], list[float]]:
    return lambda result: figures.ratios(result[section], "variant", value, over, under)


BARS = (
    Bar(
        f"longest wait of a TCP flow, {MOST_ENTRIES:,} entries, recipe : ours-standard",
        "tables",
        _stalls("recipe", "ours-standard"),
        least=4,
        setups=("recipe", "ours-standard"),
    ),
    Bar(
        f"longest wait of a TCP flow, {MOST_ENTRIES:,} entries, recipe : ours-hot",
        "tables",
        _stalls("recipe", "ours-hot"),
        least=100,
        setups=("recipe", "ours-hot"),
    ),
    Bar(
        "TCP throughput, full ruleset : plain routing",
        "throughput",
        _pairs("throughput", "gbits", FULL, PLAIN),
        least=0.90,
    ),
    Bar(
        "small packets a second, full ruleset : plain routing",
        "throughput",
        _pairs("throughput", "packets", FULL, PLAIN),
        least=0.85,
    ),
    Bar(
        "cost of a new inbound flow, 1,000 mappings : 10",
        "mappings",
        # Cost is the processor's time for a flow, the inverse of the rate.
        _pairs("mappings", "processor_rate", 10, 1000),
        most=1.05,
    ),
    Bar(
        "new connections a second, with : without replication",
        "connections",
        _pairs("connections", "rate", WITH, WITHOUT),
        least=0.8,
    ),
)


def judge(result: Result) -> list[dict[str, Any]]:
    """A verdict on each bar of the sections that were asked for; `held` is None without a figure."""
    options = result["options"]
    found = list(_flows(result)) if {"outages", "tables"} & set(options["sections"]) else []
    return found + [_verdict(bar, bar.values(result)) for bar in BARS if bar.asked(options)]


def _verdict(bar: Bar, values: list[float]) -> dict[str, Any]:
    median = statistics.median(values) if values else None
    return {
        "bar": bar.what,
        "wanted": bar.wanted,
        "found": median,
        "pairs": len(values),
        "low": min(values, default=None),
        "high": max(values, default=None),
        "held": None if median is None else bar.held(median),
    }


def _flows(result: Result) -> Iterator[dict[str, Any]]:
    """All flows of ours must live through each power cut, whatever their kind."""
    for setup in OURS:
        if setup not in result["options"]["setups"]:
            continue
        kinds = [
            kind
            for size in figures.sizes(result["outages"])
            for kind in figures.alive(result["outages"], setup, size).values()
        ]
        flows, lived = sum(kind[0] for kind in kinds), sum(kind[1] for kind in kinds)
        yield {
            "bar": f"flows alive after a power cut, {setup}",
            "wanted": "all, in every kind",
            "found": lived / flows if flows else None,
            "pairs": len(kinds),
            "low": min((kind[1] / kind[0] for kind in kinds), default=None),
            "high": max((kind[1] / kind[0] for kind in kinds), default=None),
            "held": lived == flows if flows else None,
        }


def failed(result: Result) -> bool:
    """Whether a bar was missed or has no figure; of a smoke run, whether a part of it did not work."""
    if result["quick"]:
        return bool(result["missing"])
    return not all(verdict["held"] for verdict in result["verdicts"])
