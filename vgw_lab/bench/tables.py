"""The tables of a report, as data: the page, the document and the terminal each write them their way."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vgw_lab.bench import figures
from vgw_lab.bench.forwarding import MAPPINGS, WITH, WITHOUT
from vgw_lab.bench.outages import POWER_OFF
from vgw_lab.bench.router import FULL, MASQUERADE, PLAIN
from vgw_lab.bench.silence import SILENT_DEATH
from vgw_lab.bench.verdicts import Result
from vgw_lab.reports.sheet import NONE

FAULTS = {
    POWER_OFF: "power cut",
    SILENT_DEATH.name: "silent death",
    "clean-stop": "clean stop",
}


@dataclass(frozen=True)
class Table:
    """One table: its rows are texts; `section` is what measures it anew; the note says how to read it."""

    title: str
    section: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @property
    def command(self) -> str:
        """The command that measures it again."""
        return f"vgw bench --only {self.section}" if self.section else "vgw bench"


def number(value: float | None) -> str:
    """A figure with as many digits as it can bear; a dash for none."""
    if value is None:
        return NONE
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def all_of(result: Result) -> list[Table]:
    """Every table that the result has rows for, the verdicts first."""
    made = (bars(result), gaps(result), by_size(result), alive(result), ratios(result))
    rest = (mappings(result), replication(result), cost(result))
    return [table for table in (*made, *rest) if table.rows]


def bars(result: Result) -> Table:
    """The verdicts."""
    words = {True: "held", False: "MISSED", None: "no figure"}
    rows = tuple(
        (
            verdict["bar"],
            verdict["wanted"],
            number(verdict["found"]),
            f"{number(verdict['low'])} to {number(verdict['high'])}" if verdict["pairs"] else NONE,
            str(verdict["pairs"]),
            words[verdict["held"]],
        )
        for verdict in result["verdicts"]
    )
    note = "Ratios are medians over pairs of runs that lay side by side in time."
    heading = ("bar", "wanted", "found", "spread", "pairs", "verdict")
    return Table("Verdicts", "", heading, rows, note)


def gaps(result: Result) -> Table:
    """The gap of each set-up at each fault, with an empty table."""
    rows = []
    for setup in result["options"]["setups"]:
        for fault, words in FAULTS.items():
            found = figures.summary(figures.gaps(result["outages"], setup, fault))
            if found:
                rows.append((setup, words, *_summary(found)))
    heading = ("set-up", "fault", "median ms", "p95 ms", "longest ms", "runs")
    note = (
        "The longest silence that a datagram each millisecond from a machine behind the pair met; "
        "0 where none was lost."
    )
    return Table("Outage by fault", "outages", heading, tuple(rows), note)


def _summary(found: figures.Summary) -> tuple[str, ...]:
    return (*(f"{found[key]:,.0f}" for key in ("median", "p95", "max")), f"{found['n']:.0f}")


def by_size(result: Result) -> Table:
    """The gap after a power cut, and the longest stall, against the number of entries in the table."""
    rows, outages = [], result["outages"]
    for setup in result["options"]["setups"]:
        for size in figures.sizes(outages):
            found = figures.summary(figures.gaps(outages, setup, POWER_OFF, size))
            stalls = figures.summary(figures.gaps(outages, setup, POWER_OFF, size, "stall"))
            if found:
                waits = (f"{stalls[key]:,.0f}" if stalls else NONE for key in ("median", "max"))
                rows.append((setup, f"{size:,}", *_summary(found), *waits))
    heading = (
        "set-up",
        "entries",
        "median ms",
        "p95 ms",
        "longest ms",
        "runs",
        "TCP waits ms",
        "longest",
    )
    note = (
        "A power cut while the table holds so many idle entries besides the flows. The gap is that of a new "
        "or renewed UDP flow, which a node can pass without its state. The last columns say how long a TCP "
        "flow that lives has waited for its answer."
    )
    return Table("Outage by size of the table", "tables", heading, tuple(rows), note)


def alive(result: Result) -> Table:
    """How many flows of each kind lived through the power cuts."""
    rows, kinds = [], _kinds(result)
    for setup in result["options"]["setups"]:
        for size in figures.sizes(result["outages"]):
            found = figures.alive(result["outages"], setup, size)
            if found:
                cells = (_percent(*found[kind]) if kind in found else NONE for kind in kinds)
                rows.append((setup, f"{size:,}", *cells))
    note = (
        "Flows that live on after a power cut and come out with the same address and port. client: TCP "
        "whose client speaks; server: TCP whose client only listens; same port: both machines use it."
    )
    heading = ("set-up", "entries", *kinds)
    return Table(
        "Flows alive after a power cut", "outages --only tables", heading, tuple(rows), note
    )


def _kinds(result: Result) -> list[str]:
    return list(dict.fromkeys(kind for row in result["outages"] for kind in row["flows"]))


def _percent(flows: int, lived: int) -> str:
    """A share that says 100 only where it is all."""
    share = 100 * lived / flows
    return "100 %" if lived == flows else f"{min(share, 99.9):.1f} %"


def ratios(result: Result) -> Table:
    """Throughput of the variants, and of each by plain routing."""
    rows = []
    for value, words in (("gbits", "TCP, Gbit/s"), ("packets", "64-byte datagrams a second")):
        for variant in (PLAIN, MASQUERADE, FULL):
            values = [row[value] for row in result["throughput"] if row["variant"] == variant]
            pairs = figures.ratios(result["throughput"], "variant", value, variant, PLAIN)
            if values:
                share = "1" if variant == PLAIN else spread(pairs)
                rows.append((words, variant, number(statistics.median(values)), share))
    heading = ("traffic", "variant", "median", "by plain routing")
    note = (
        "Plain routing and the rule run on a node on which the product never was, with the same check of sources "
        "(`rp_filter` 1). One sender, the router and the receiver share this machine: trust the ratios."
    )
    return Table("Forwarding", "throughput", heading, tuple(rows), note)


def spread(values: Sequence[float]) -> str:
    """A median, and between what the values lie."""
    if not values:
        return NONE
    median = statistics.median(values)
    return f"{median:.2f} ({min(values):.2f} to {max(values):.2f}, {len(values)} pairs)"


def mappings(result: Result) -> Table:
    """What port forwards cost: rules to load, and new flows that come in through them."""
    rows = []
    for many in MAPPINGS:
        chosen = [row for row in result["mappings"] if row["variant"] == many]
        if chosen:
            pairs = figures.ratios(
                result["mappings"], "variant", "processor_rate", MAPPINGS[0], many
            )
            rows.append(
                (f"{many:,}", _median("load_ms")(chosen), _median("rate")(chosen), spread(pairs))
            )
    heading = ("mappings", "ruleset loads in ms", "new flows a second", "cost by 10 mappings")
    note = (
        "Each flow begins outside and goes through one of the mappings, all of them in turn. Cost is the "
        "processor's time for a flow; the time to load includes nft's own start."
    )
    return Table("Port forwards", "mappings", heading, tuple(rows), note)


def _median(key: str) -> Callable[[Sequence[dict[str, Any]]], str]:
    return lambda rows: number(statistics.median(row[key] for row in rows))


def replication(result: Result) -> Table:
    """New connections a second with replication and without, and what it sends."""
    rows = []
    for variant in (WITHOUT, WITH):
        chosen = [row for row in result["connections"] if row["variant"] == variant]
        if not chosen:
            continue
        sends = variant == WITH
        rows.append(
            (
                variant,
                _median("rate")(chosen),
                _median("processor_rate")(chosen),
                _median("sync_bytes")(chosen) if sends else "0",
                f"{100 * min(row['replicas'] for row in chosen):.1f} %" if sends else NONE,
            )
        )
    pairs, own = (
        spread(figures.ratios(result["connections"], "variant", rate, WITH, WITHOUT))
        for rate in ("rate", "processor_rate")
    )
    note = (
        f"With by without: {pairs}; by the processor's time alone, which no neighbour lengthens: {own}. As "
        "fast as one processor can begin flows; both nodes' conntrackd have the machine's others."
    )
    heading = (
        "variant",
        "new flows a second",
        "a second of the processor",
        "sync bytes a flow",
        "replicas, at least",
    )
    return Table("New connections", "connections", heading, tuple(rows), note)


def cost(result: Result) -> Table:
    """Processor time and memory of each program."""
    rows = tuple(
        (
            row["role"],
            row["program"],
            f"{row['idle_percent']:.1f} %",
            f"{row['learn_seconds']:.2f} s",
            f"{row['full_percent']:.1f} %",
            f"{row['empty_mb']:.0f} MB",
            f"{row['full_mb']:.0f} MB",
        )
        for row in result["cost"]
    )
    heading = (
        "role",
        "program",
        "idle",
        "to learn 100,000 flows",
        "with them",
        "memory",
        "with them",
    )
    note = "Share of one processor; memory in RAM, of which the Python programs share a part."
    return Table("What the daemons take (profile standard)", "cost", heading, rows, note)
