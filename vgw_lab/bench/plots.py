"""The drawings of a report, as SVG texts by their names."""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vgw_lab.bench import figures
from vgw_lab.bench.outages import POWER_OFF
from vgw_lab.bench.silence import SILENT_DEATH
from vgw_lab.bench.tables import FAULTS
from vgw_lab.bench.verdicts import BARS, Result
from vgw_lab.reports import drawing
from vgw_lab.reports.drawing import FAINT, INK, PASSES, SILENT, mark_fault

# Warm for the set-ups of others, cold for ours; told apart by people who see few colours, too.
COLOURS = {
    "course": "#8c8c8c",
    "recipe": "#d1741f",
    "router-os": "#8e5a9b",
    "ours-standard": "#2f7fc1",
    "ours-fast": "#1f9e89",
    "ours-hot": "#12355b",
}
MARKS = {
    "course": "v",
    "recipe": "s",
    "router-os": "D",
    "ours-standard": "o",
    "ours-fast": "^",
    "ours-hot": "P",
}
_BEFORE, _AFTER = -0.4, 4.4


def draw(result: Result) -> dict[str, str]:
    """Every drawing that the result has figures for."""
    makers = {
        "outages": _outages,
        "flows-over-time": _flows_over_time,
        "gap-by-entries": _gap_by_entries,
        "ratios": _ratios,
    }
    drawn = {
        name: drawing.svg(name, lambda make=make: make(result))  # type: ignore[misc]
        for name, make in makers.items()
    }
    return {name: text for name, text in drawn.items() if text is not None}


def _setups(result: Result) -> list[str]:
    return [name for name in COLOURS if name in result["options"]["setups"]]


def _outages(result: Result) -> Figure | None:
    """A strip for each set-up under each fault: when traffic passed, and when it did not."""
    setups = [s for s in _setups(result) if figures.typical(result["outages"], s, POWER_OFF)]
    if not setups:
        return None
    figure = Figure(figsize=(9.2, 1.1 + 0.42 * len(setups)), layout="constrained")
    panels = figure.subplots(1, len(FAULTS), sharey=True, squeeze=False)[0]
    for panel, (fault, words) in zip(panels, FAULTS.items(), strict=True):
        panel.set_title(words)
        for place, setup in enumerate(setups):
            row = figures.typical(result["outages"], setup, fault)
            if row is not None:
                _strip(panel, place, row)
        mark_fault(panel)
        panel.set_xlim(_BEFORE, _AFTER)
        panel.set_xlabel("seconds from the fault")
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
    panels[0].set_yticks(range(len(setups)), setups)
    panels[0].set_ylim(len(setups) - 0.4, -0.6)
    return figure


def _strip(panel: Axes, place: int, row: Any) -> None:
    panel.barh(place, _AFTER - _BEFORE, left=_BEFORE, height=0.56, color=PASSES)
    began, gap = (row["began"] or 0) / 1000, row["gap"] / 1000
    # At least so wide that a short one is seen.
    panel.barh(place, max(gap, 0.02) if gap else 0, left=began, height=0.56, color=SILENT)
    words = f"{row['gap']:,.0f} ms" if gap else "none lost"
    # Beside the silence where there is room, within it where there is not.
    inside = began + gap > _AFTER - 1.3
    panel.text(
        began + gap / 2 if inside else max(began + gap, 0) + 0.1,
        place,
        words,
        va="center",
        ha="center" if inside else "left",
        color="white" if inside else INK,
        fontsize=8.5,
    )


def _flows_over_time(result: Result) -> Figure | None:
    """How many of a hundred flows are answered, around a power cut: empty table, and the fullest."""
    rows = result["outages"]
    sizes = figures.sizes(row for row in rows if row["pulse"])
    if not sizes:
        return None
    shown = [sizes[0], sizes[-1]] if len(sizes) > 1 else sizes
    figure = Figure(figsize=(9.2, 3.5), layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for panel, size in zip(panels, shown, strict=True):
        panel.set_title(f"power cut, {size:,} entries in the table")
        for setup in _setups(result):
            row = figures.typical(rows, setup, POWER_OFF, size)
            if row is not None:
                _pulse(panel, setup, row)
        mark_fault(panel)
        panel.set_xlim(-0.5, 7.5)
        panel.set_ylim(-3, 104)
        panel.set_xlabel("seconds from the fault")
        panel.grid(axis="y", color=FAINT, linewidth=0.5)
    panels[0].set_ylabel("flows answered, % in each 0.1 s")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    return figure


def _pulse(panel: Axes, setup: str, row: Any) -> None:
    at = [float(second) for second in row["pulse"]]
    share = [100 * number / row["watched"] for number in row["pulse"].values()]
    dashed = "-" if setup.startswith("ours") else (0, (5, 1.5))
    panel.step(
        at, share, where="post", color=COLOURS[setup], linestyle=dashed, linewidth=1.7, label=setup
    )


def _gap_by_entries(result: Result) -> Figure | None:
    """Gap and longest TCP wait after a power cut against the table's size, on a logarithmic scale."""
    sizes = figures.sizes(row for row in result["outages"] if row["fault"] == POWER_OFF)
    if len(sizes) < 2:
        return None
    figure = Figure(figsize=(9.2, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    titles = {"gap": "gap of the UDP probe", "stall": "longest wait of a TCP flow that lives"}
    for panel, (value, title) in zip(panels, titles.items(), strict=True):
        panel.set_title(title)
        setups = _setups(result)
        for place, setup in enumerate(setups):
            # Side by side, so that their spreads do not lie on each other.
            shift = 0.07 * (place - (len(setups) - 1) / 2)
            found = [figures.gaps(result["outages"], setup, POWER_OFF, n, value) for n in sizes]
            _by_size(panel, setup, [(n + shift, gaps) for n, gaps in enumerate(found) if gaps])
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:,.0f}")
        panel.yaxis.set_minor_formatter("")
        panel.set_ylim(0.8 * figures.RESOLUTION_MS, 30_000)
        panel.set_xticks(range(len(sizes)), [f"{size:,}" for size in sizes])
        panel.set_xlabel("entries in the MASTER's table")
        panel.grid(axis="y", color=FAINT, linewidth=0.5)
    panels[0].set_ylabel("ms after a power cut")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9)
    return figure


def _by_size(panel: Axes, setup: str, points: Sequence[tuple[float, Sequence[float]]]) -> None:
    """A set-up's medians, with what they lie between."""
    seen = [(at, _visible(values)) for at, values in points]
    middle = [statistics.median(values) for _, values in seen]
    panel.errorbar(
        [at for at, _ in seen],
        middle,
        yerr=[
            [m - min(values) for m, (_, values) in zip(middle, seen, strict=True)],
            [max(values) - m for m, (_, values) in zip(middle, seen, strict=True)],
        ],
        color=COLOURS[setup],
        marker=MARKS[setup],
        markersize=6,
        capsize=3,
        linewidth=1.4,
        label=setup,
    )


def _visible(gaps: Sequence[float]) -> list[float]:
    """A logarithmic scale has no 0: what is below the probe's resolution is drawn there."""
    return [max(gap, figures.RESOLUTION_MS) for gap in gaps]


def _ratio_rows(result: Result) -> Iterator[tuple[str, list[float], float]]:
    for bar in BARS:
        limit = bar.least if bar.least is not None else bar.most
        if bar.section != "tables" and limit is not None:
            values = bar.values(result)
            if values:
                yield bar.what, values, limit


def _ratios(result: Result) -> Figure | None:
    """Each pair's ratio as a dot, the median as a line, and the bar it is held against."""
    rows = list(_ratio_rows(result))
    if not rows:
        return None
    figure = Figure(figsize=(9.2, 1.2 + 0.55 * len(rows)), layout="constrained")
    panel = figure.subplots()
    for place, (_, values, limit) in enumerate(rows):
        panel.plot(values, [place] * len(values), "o", color=COLOURS["ours-standard"], alpha=0.45)
        median = statistics.median(values)
        label = "median" if place == 0 else None
        panel.plot(
            [median] * 2, [place - 0.28, place + 0.28], color=INK, linewidth=2.4, label=label
        )
        label = "bar" if place == 0 else None
        panel.plot(
            [limit] * 2,
            [place - 0.34, place + 0.34],
            color=SILENT,
            linewidth=1.4,
            ls=":",
            label=label,
        )
        panel.annotate(
            f"{median:.2f}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            annotation_clip=False,
        )
    panel.axvline(1, color=FAINT, linewidth=1, zorder=0)
    panel.set_yticks(range(len(rows)), [what for what, _, _ in rows])
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_xlim(left=0)
    panel.set_xlabel("ratio, pair by pair")
    panel.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper right", ncols=2, fontsize=9)
    return figure


CAPTIONS = {
    "outages": "When traffic passed (green) and when it did not (red), in the round of the middle gap of "
    f"each set-up. {FAULTS[SILENT_DEATH.name].capitalize()}: the links stay up and nothing passes, so "
    "nobody is told and every set-up has to wait for VRRP's timer.",
    "flows-over-time": "A hundred flows, half of them TCP and half UDP, that speak each 0.05 s. A flow "
    "counts while its answers come and it is seen from outside under the address and port it began with. A "
    "line ends where watching did: after 3 s and a second for 40,000 entries, or twice what VRRP's formula foretells.",
    "gap-by-entries": "Median, least and longest; none is drawn as 1 ms, what the probe can tell. The probe "
    "may pass as a new flow; an established TCP flow has to be known. What has to be committed at a takeover "
    "grows with the table; what is in the kernel already does not.",
    "ratios": "Dots are pairs of runs that lay side by side in time, with the order changed each round.",
}
