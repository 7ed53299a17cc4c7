"""The report for people: one HTML page with everything in it, and the document with its drawings."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance import system
from vgw_lab.bench import tables
from vgw_lab.bench.plots import CAPTIONS
from vgw_lab.bench.setups import SETUPS
from vgw_lab.bench.tables import Table
from vgw_lab.bench.verdicts import Result
from vgw_lab.reports import host, sheet

PAGE = "bench.html"
DOCUMENT = "benchmarks.md"
DRAWINGS = "benchmarks"
# Which section measures what a drawing shows.
_SECTIONS = {
    "outages": "outages",
    "flows-over-time": "outages --only tables",
    "gap-by-entries": "outages --only tables",
    "ratios": "throughput --only mappings --only connections",
}
_TITLES = {
    "outages": "Outages under the same faults",
    "flows-over-time": "Flows over time",
    "gap-by-entries": "The gap and the size of the table",
    "ratios": "Ratios",
}
_METHOD = (
    "All set-ups run in the same lab of network namespaces on one machine: the same addresses and wires, "
    "two machines behind, a small internet. A round meets each set-up once, in a lab of its own, before "
    "the next round begins. The gap is the longest silence of a datagram each millisecond."
)


def warnings(result: Result) -> Iterator[str]:
    """What a reader must know before any figure."""
    if result["quick"]:
        yield "A smoke run (--quick): it shows that the measuring works, and proves no figure."
    for sentence in result["missing"]:
        yield f"Missing: {sentence}"


def machine(result: Result) -> str:
    """What was measured on, in one line."""
    described = host.line(result["machine"])
    return f"VGW {result['vgw']}; {described}; begun {result['began']}, {result['seconds']:.0f} s"


def page(result: Result, drawings: Mapping[str, str]) -> str:
    """The whole page, with its drawings in it."""
    first, *rest = tables.all_of(result) or [Table("Verdicts", "", (), ())]
    body = [
        "<h1>A gateway pair, measured beside others</h1>",
        f'<p class="note">{html.escape(machine(result))}<br>by <code>{html.escape(result["command"])}</code></p>',
        *map(sheet.warning, warnings(result)),
        f"<p>{_METHOD}</p>",
        _table(first),
        *(_figure(name, svg) for name, svg in drawings.items()),
        *map(_table, rest),
        "<h2>What each set-up is</h2>",
        _setups(result),
    ]
    return sheet.page("VGW: benchmarks", body)


def _figure(name: str, svg: str) -> str:
    return f"<h2>{_TITLES[name]}</h2>\n{sheet.figure(_TITLES[name], svg, CAPTIONS[name])}"


def _table(table: Table) -> str:
    shown = sheet.table(table.title, table.heading, table.rows)
    note = f'<p class="note">{html.escape(table.note)} <code>{table.command}</code></p>'
    return f"<h2>{html.escape(table.title)}</h2>\n{shown}\n{note}"


def _setups(result: Result) -> str:
    lines = []
    for name in result["options"]["setups"]:
        setup = SETUPS[name]
        limits = f" {html.escape(setup.is_not)}" if setup.is_not else ""
        source = html.escape(setup.source)
        lines.append(
            f"<dt>{name}</dt>\n<dd>{html.escape(setup.what)}.{limits} Source: {source}.</dd>"
        )
    return "<dl>\n" + "\n".join(lines) + "\n</dl>"


def document(result: Result, drawings: Mapping[str, str]) -> str:
    """The same as Markdown, with the command beside each figure; drawings are files beside it."""
    parts = [
        "# Benchmarks",
        f"Written by `vgw bench --docs` from one run; do not edit. {machine(result)}. "
        f"Measured by `{result['command']}`, drawn by `vgw bench --from bench.json --docs docs`.",
        *(f"**{sentence}**" for sentence in warnings(result)),
        _METHOD,
    ]
    parts += [
        f"## {_TITLES[name]}\n\n![{_TITLES[name]}]({DRAWINGS}/{name}.svg)\n\n{CAPTIONS[name]} "
        f"`vgw bench --only {_SECTIONS[name]}`"
        for name in drawings
    ]
    parts += map(_markdown, tables.all_of(result))
    lines = []
    for name in result["options"]["setups"]:
        setup = SETUPS[name]
        limits = f" {setup.is_not}" if setup.is_not else ""
        lines.append(f"- **{name}**: {setup.what}.{limits} Source: {setup.source}.")
    return "\n\n".join([*parts, "## What each set-up is", "\n".join(lines)]) + "\n"


def _markdown(table: Table) -> str:
    lines = [table.heading, ("---",) * len(table.heading), *table.rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {table.title}\n\n{text}\n\n{table.note} `{table.command}`"


def write_page(result: Result, drawings: Mapping[str, str], out: Path) -> None:
    """Write the page, and the drawings as files beside it."""
    system.replace(out / PAGE, page(result, drawings), 0o644)
    _write_drawings(drawings, out)


def write_document(result: Result, drawings: Mapping[str, str], docs: Path) -> None:
    """Write the document and its drawings."""
    system.replace(docs / DOCUMENT, document(result, drawings), 0o644)
    _write_drawings(drawings, docs / DRAWINGS)


def _write_drawings(drawings: Mapping[str, str], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, svg in drawings.items():
        system.replace(directory / f"{name}.svg", svg, 0o644)
