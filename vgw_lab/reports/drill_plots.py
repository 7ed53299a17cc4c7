"""The course of drills, drawn: when the probe was answered, and who held the VGW meanwhile."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vgw_lab.reports import drawing
from vgw_lab.reports.drawing import FAINT, INK, PASSES, SILENT, mark_fault

Row = Mapping[str, Any]
_NODES, _BOTH = ("#2f7fc1", "#d1741f"), "#12355b"
_BEFORE, _NEAR, _FAR = -0.4, 1.0, 12.0
_PROBE, _HELD = (-0.32, 0.40), (0.14, 0.16)  # bottom and height of each strip


def draw(drill: str, rows: Sequence[Row]) -> str:
    """All runs of one drill, a row each."""
    found = drawing.svg(f"drill-{drill}", lambda: _figure([row["timeline"] for row in rows], rows))
    assert found is not None  # there is a run at least
    return found


def _figure(lines: Sequence[Row], rows: Sequence[Row]) -> Figure:
    figure = Figure(figsize=(7.6, 1.35 + 0.62 * len(lines)), layout="constrained")
    near, whole = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    near.set_title("around the fault")
    near.set_xlim(_BEFORE, _reach(lines))
    whole.set_title("the whole drill")
    whole.set_xlim(min(_begin(line) for line in lines), max(line["end"] for line in lines))
    names = _names(lines)
    for panel in (near, whole):
        for place, line in enumerate(lines):
            _strips(panel, place, line, names)
        mark_fault(panel)
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
        panel.set_xlabel("seconds from the fault")
    for place, row in enumerate(rows):
        _tell_gap(near, place, row)
        at = row["timeline"]["mended"]
        whole.plot([at], [place + 0.42], marker="^", color=INK, markersize=5, clip_on=False)
    near.set_yticks(range(len(lines)), [f"run {place + 1}" for place in range(len(lines))])
    near.set_ylim(len(lines) - 0.45, -0.5)
    handles = [Patch(color=PASSES, label="answered"), Patch(color=SILENT, label="unanswered")]
    handles += [Patch(color=colour, label=f"held by {who}") for who, colour in names.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8.5)
    return figure


def _begin(line: Row) -> float:
    """Where the whole of a drill is drawn from: who held the VGW long before is of no interest."""
    return min(float(line["trains"][0][0]), _BEFORE)


def _reach(lines: Sequence[Row]) -> float:
    """How far the near panel goes: past what was silent after the fault, and no further than it must."""
    silences = [one for line in lines for one in line["silences"] if one[0] < line["mended"]]
    return min(max([_NEAR, *(1.35 * float(end) for _, end in silences)]), _FAR)


def _names(lines: Sequence[Row]) -> dict[str, str]:
    """A colour for each node, and one for both at a time; only of what was seen."""
    seen = [who for line in lines for _, who in line["held"] if who]
    alone = dict.fromkeys(who for who in seen if " and " not in who)
    both = dict.fromkeys((who for who in seen if " and " in who), _BOTH)
    return dict(zip(alone, _NODES, strict=False)) | both


def _strips(panel: Axes, place: int, line: Row, names: Mapping[str, str]) -> None:
    left, right = panel.get_xlim()
    probe, held = ((place + bottom, height) for bottom, height in (_PROBE, _HELD))
    panel.broken_barh([(a, b - a) for a, b in line["trains"]], probe, color=PASSES, linewidth=0)
    # At least so wide that a short one is seen.
    least = (right - left) / 250
    silent = [(a, max(b - a, least)) for a, b in line["silences"]]
    panel.broken_barh(silent, probe, color=SILENT, linewidth=0)
    for who, spans in _spans(line, left):
        panel.broken_barh(spans, held, color=names.get(who, FAINT), linewidth=0)


def _spans(line: Row, left: float) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """From when on each held the VGW, and for how long."""
    for (at, who), (end, _) in itertools.pairwise([*line["held"], (line["end"], "")]):
        begin = max(at, left)
        if who and end > begin:
            yield who, [(begin, end - begin)]


def _tell_gap(panel: Axes, place: int, row: Row) -> None:
    """The longest gap in words, beside the silence where there is room."""
    silences = [one for one in row["timeline"]["silences"] if one[0] < row["timeline"]["mended"]]
    if not row["gap"] or not silences:
        words, end = "none lost", 0.0
    else:
        words = f"{row['gap']:,.0f} ms"
        end = max(silences, key=lambda one: one[1] - one[0])[1]
    left, right = panel.get_xlim()
    inside = end > right - 0.2 * (right - left)
    panel.text(
        right if inside else max(end, 0) + (right - left) / 60,
        place + _PROBE[0] + _PROBE[1] / 2,
        f"{words} " if inside else words,
        va="center",
        ha="right" if inside else "left",
        color="white" if inside else INK,
        fontsize=8.5,
    )
