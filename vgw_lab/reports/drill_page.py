"""The report of drills: one HTML page with what was asked, promised and seen, and when."""

import html
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from vgw_lab.faults import FAULTS
from vgw_lab.reports import host, sheet

Report = Mapping[str, Any]
Row = Mapping[str, Any]
_PROMISES = (
    "The VGW moves where it must, and changes hands no more often than that takes.",
    "The probe's longest gap stays within what is allowed.",
    "No flow breaks or comes out from another address or port; where traffic can pass at all.",
    "Two nodes hold the VGW, or answer for it, for 0.6 s at most; a role and the addresses that a node holds "
    "differ for 1.5 s at most.",
    "No gateway sends a RST or an ICMP unreachable of its own into a flow.",
    "Nothing leaves by the WAN untranslated.",
    "The two connection tables are equal again 5 s after.",
)
_CAPTION = (
    "Above, the probe: when its packets were answered (green), and when not (red); nothing is drawn while it "
    "did not ask. Below, who held the VGW, as looked at each 0.1 s. To the left the fault from near, to the "
    "right the whole drill; the triangle is where the fault was put right."
)
# What a pair that somebody runs does not let us count.
_UNCOUNTED = {
    "install": "Of a pair that you run some things cannot be seen from here: what leaves by its WAN "
    "untranslated, ICMP unreachables, and which programs ended by themselves."
}


def page(report: Report, drawings: Mapping[str, str]) -> str:
    """The whole page; `drawings` has the course of each drill by its name."""
    body = [
        "<h1>A gateway pair, drilled</h1>",
        f'<p class="note">{html.escape(_measured(report))}<br>by <code>{html.escape(report["command"])}</code></p>',
        *map(sheet.warning, report["missing"]),
        _lead(report["verdicts"], report["profile"]),
        "<h2>What was asked</h2>",
        sheet.terms(report["asked"]),
        "<h2>What was promised, and what was seen</h2>",
        *_promised(report),
    ]
    for drill, runs in groupby(report["verdicts"], key=lambda row: str(row["drill"])):
        body += _drill(drill, list(runs), drawings.get(drill))
    return sheet.page("VGW: drills", body)


def _measured(report: Report) -> str:
    return (
        f"VGW {report['vgw']}; {host.line(report['machine'])}; begun {report['began']}, "
        f"{report['seconds']:.0f} s"
    )


def _lead(verdicts: Sequence[Row], profile: str) -> str:
    broken = sum(bool(row["broken"]) for row in verdicts)
    runs = f"{len(verdicts)} run{'s' if len(verdicts) != 1 else ''}"
    if not verdicts:
        return f'<p class="lead">No drill came to its end: nothing is said of profile {html.escape(profile)}.</p>'
    word = "broken" if broken else "held"
    said = f"in {broken} of {runs}" if broken else f"in {runs}"
    return (
        f'<p class="lead">The promise of profile {html.escape(profile)} was '
        f"{sheet.marked(word)} {said}.</p>"
    )


def _promised(report: Report) -> Iterator[str]:
    """The promise in words, then each run's figures beside it, and every sentence that a verdict has."""
    yield "<ul>\n" + "\n".join(f"<li>{html.escape(one)}</li>" for one in _PROMISES) + "\n</ul>"
    if report["engine"] in _UNCOUNTED:
        yield f'<p class="note">{_UNCOUNTED[report["engine"]]}</p>'
    verdicts = report["verdicts"]
    if not verdicts:
        return
    heading = (
        "drill",
        "promise",
        "MASTER",
        "lost",
        "gap",
        "allowed",
        "takeover",
        "formula",
        "changes",
    )
    rows = [_row(name, row) for name, row in _named(verdicts)]
    yield sheet.table("Promised and seen", (*heading, "return"), rows)
    yield (
        '<p class="note">Times in ms. gap: the longest time from a packet that was answered to the next such; '
        "allowed: what the profile allows, none where no traffic can pass. takeover: from the fault, or the "
        "advert that announces it, to the new MASTER's first advert; formula: what VRRP's own says. changes: "
        "how often the VGW changed hands, the way back included. return: the longest gap when the node came "
        "back.</p>"
    )
    yield from _sentences(
        "Broken", [f"{n}: {said}" for n, r in _named(verdicts) for said in r["broken"]]
    )
    yield from _sentences(
        "Known limits", [f"{n}: {said}" for n, r in _named(verdicts) for said in r["limits"]]
    )
    yield from _sentences("Seen besides", list(_besides(report)))


def _named(verdicts: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    """Each run with its name: that of its drill, and a number where there are several."""
    for drill, runs in groupby(verdicts, key=lambda row: str(row["drill"])):
        several = list(runs)
        for number, row in enumerate(several, start=1):
            yield (f"{drill}, run {number}" if len(several) > 1 else drill), row


def _row(name: str, row: Row) -> tuple[str, ...]:
    before, after = row["before"], row["after"]
    return (
        name,
        "broken" if row["broken"] else "held",
        before if before == after else f"{before}, then {after}",
        f"{row['lost']:,}/{row['sent']:,}",
        _ms(row["gap"]),
        _ms(row["bar"]),
        _ms(row["takeover"]),
        _ms(row["prediction"]),
        sheet.NONE if row["turns"] is None else str(row["turns"]),
        _ms(row["return_gap"]),
    )


def _ms(value: float | None) -> str:
    return sheet.NONE if value is None else f"{value:,.0f}"


def _sentences(title: str, found: Sequence[str]) -> Iterator[str]:
    if found:
        listed = "\n".join(f"<li>{html.escape(one)}</li>" for one in found)
        yield f"<h3>{title}</h3>\n<ul>\n{listed}\n</ul>"


def _besides(report: Report) -> Iterator[str]:
    for name, row in _named(report["verdicts"]):
        for what, value in row["figures"].items():
            yield f"{name}: {what}: {value:g}"
        for node, programs in row["restarts"].items():
            for program, times in programs.items():
                yield f"{name}: {program} on {node} ended by itself: {times} times"
    for drill, remark in report["remarks"].items():
        yield f"{drill}: {remark}"
    for drill, figures in report["summary"].items():
        runs = sum(row["drill"] == drill for row in report["verdicts"])
        if runs > 1:
            gap = figures["gap"]
            yield (
                f"{drill}, {runs} times: longest gap {gap['median']:.0f} ms in the median, "
                f"{gap['min']:.0f} to {gap['max']:.0f} ms"
            )


def _drill(drill: str, runs: Sequence[Row], drawing: str | None) -> Iterator[str]:
    """One drill: its course, drawn; how the flows fared; and what happened when."""
    yield f"<h2>{html.escape(drill)}: {html.escape(FAULTS[drill].what)}</h2>"
    if drawing is not None:
        gaps = " and ".join(f"{row['gap']:,.0f}" for row in runs)
        title = f"{drill}: when the probe was answered; longest gap {gaps} ms"
        yield sheet.figure(title, drawing, _CAPTION)
    flows = list(_flows(runs))
    if flows:
        heading = ("flows", "before", "alive after", "and at the end", "moved", "longest wait ms")
        yield f"<h3>Flows, in {len(runs)} runs</h3>" if len(runs) > 1 else "<h3>Flows</h3>"
        yield sheet.table(f"{drill}: flows", heading, flows)
        yield (
            '<p class="note">before: those open at the fault; alive after: those of them that were answered '
            "after the takeover; at the end: and after the node's return. moved: seen from outside under "
            "another address or port.</p>"
        )
    for name, row in zip(_run_names(runs), runs, strict=True):
        events = list(_events(row))
        yield f"<h3>What happened{name}</h3>"
        yield sheet.table(f"{drill}{name}: events", ("s", "what"), events)


def _run_names(runs: Sequence[Row]) -> list[str]:
    return [f" in run {n}" for n in range(1, len(runs) + 1)] if len(runs) > 1 else [""]


def _flows(runs: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """By kind, over all runs: how many there were and lived on, after the takeover and the return."""
    kinds = dict.fromkeys(kind for row in runs for phase in row["flows"].values() for kind in phase)
    for kind in kinds:
        tallies = [
            {phase: kinds[kind] for phase, kinds in row["flows"].items() if kind in kinds}
            for row in runs
        ]
        alive = {
            phase: [one[phase]["alive"] for one in tallies if phase in one]
            for phase in ("takeover", "return")
        }
        every = [tally for one in tallies for tally in one.values()]
        yield (
            kind,
            f"{sum(next(iter(one.values()))['flows'] for one in tallies if one):,}",
            *(f"{sum(found):,}" if found else sheet.NONE for found in alive.values()),
            f"{sum(tally['changed'] for tally in every):,}",
            f"{max(tally['stall_ms'] for tally in every):,.0f}",
        )


def _events(row: Row) -> Iterator[tuple[str, str]]:
    """What was seen from the probe's first packet on, with the fault itself in between."""
    line = row["timeline"]
    first = line["trains"][0][0] if line["trains"] else 0.0
    found = [(at, what) for at, what in line["events"] if at >= first]
    found += [(0.0, f"the fault, at {row['before']}: {FAULTS[row['drill']].what}")]
    found += [(line["mended"], f"{row['before']} was put right")]
    for begin, end in _longest(line["silences"]):
        found.append((begin, f"no answer to the probe for {1000 * (end - begin):,.0f} ms"))
    return ((f"{round(at, 2) + 0:.2f}", what) for at, what in sorted(found, key=lambda one: one[0]))


def _longest(silences: Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    """Those that an eye can tell apart in a list: the ten longest."""
    return sorted(silences, key=lambda one: one[0] - one[1])[:10]
