"""The report for people: one HTML page with everything in it, and the document with its drawings."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance import system
from appliance.lab.bench import tables
from appliance.lab.bench.plots import CAPTIONS
from appliance.lab.bench.setups import SETUPS
from appliance.lab.bench.tables import Table
from appliance.lab.bench.verdicts import Result

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
_STYLE = """\
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: #fff; color: #1d2733;
  font: 16px/1.5 "DejaVu Sans", Verdana, sans-serif; }
h1 { margin: 0 0 .2rem; font-size: 1.7rem; } h2 { margin: 2.2rem 0 .6rem; font-size: 1.2rem; }
table { width: 100%; border-collapse: collapse; font-size: .85rem; }
th { text-align: left; border-bottom: 2px solid #1d2733; } td { border-bottom: 1px solid #dfe5ea; }
th, td { padding: .25rem 1.2rem .25rem 0; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; } figure { margin: 1rem 0; }
figcaption, .note { color: #46525f; font-size: .85rem; margin: .4rem 0; }
.warn { background: #fdf1d8; border-left: 5px solid #d1741f; padding: .5rem 1rem; }
.held { color: #15703a; font-weight: bold; } .missed { color: #b03024; font-weight: bold; }
code { font-size: .9em; background: #f1f4f6; padding: .05rem .3rem; }
dt { font-weight: bold; margin-top: .7rem; } dd { margin-left: 1rem; }
"""
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
    parts = (f"{name} {value}" for name, value in result["machine"].items())
    return f"VGW {result['vgw']}; {'; '.join(parts)}; begun {result['began']}, {result['seconds']:.0f} s"


def page(result: Result, drawings: Mapping[str, str]) -> str:
    """The whole page, with its drawings in it."""
    first, *rest = tables.all_of(result) or [Table("Verdicts", "", (), ())]
    body = [
        "<h1>A gateway pair, measured beside others</h1>",
        f'<p class="note">{html.escape(machine(result))}<br>by <code>{html.escape(result["command"])}</code></p>',
        *(f'<p class="warn">{html.escape(sentence)}</p>' for sentence in warnings(result)),
        f"<p>{_METHOD}</p>",
        _table(first),
        *(_figure(name, svg) for name, svg in drawings.items()),
        *map(_table, rest),
        "<h2>What each set-up is</h2>",
        _setups(result),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>VGW: benchmarks</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _figure(name: str, svg: str) -> str:
    caption = html.escape(CAPTIONS[name])
    return (
        f"<h2>{_TITLES[name]}</h2>\n<figure>\n{svg}\n<figcaption>{caption}</figcaption>\n</figure>"
    )


def _table(table: Table) -> str:
    rights = [_is_number(column) for column in zip(*table.rows, strict=True)]
    cells = list(zip(table.heading, rights, strict=False))
    head = "".join(f"<th{_right(right)}>{html.escape(text)}</th>" for text, right in cells)
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td{_right(right)}>{_marked(text)}</td>"
            for text, right in zip(row, rights, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    note = f'<p class="note">{html.escape(table.note)} <code>{table.command}</code></p>'
    return (
        f"<h2>{html.escape(table.title)}</h2>\n<table>\n<tr>{head}</tr>\n{rows}\n</table>\n{note}"
    )


def _right(right: bool) -> str:
    return ' class="n"' if right else ""


def _is_number(column: tuple[str, ...]) -> bool:
    """Whether all cells of a column are single figures, perhaps with a unit."""
    return all(
        cell == tables.NONE or (cell[:1].isdigit() and len(cell.split()) <= 2) for cell in column
    )


def _marked(text: str) -> str:
    colours = {"held": "held", "MISSED": "missed", "no figure": "missed"}
    found = html.escape(text)
    return f'<span class="{colours[text]}">{found}</span>' if text in colours else found


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
