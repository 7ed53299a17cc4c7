"""How every drawing looks, and how it becomes an SVG text that can stand within a page."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, FAINT, PASSES, SILENT = "#1d2733", "#c9d1d9", "#cfe3d4", "#c0392b"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "legend.frameon": False,
    "svg.fonttype": "path",
}


def svg(name: str, make: Callable[[], Figure | None]) -> str | None:
    """What `make` draws; None where it has nothing to draw.

    The name makes the same figures the same text, and the names within one page differ.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = make()
        if figure is None:
            return None
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    # Without the XML heading it can stand within a page.
    return "<svg" + text.getvalue().partition("<svg")[2]


def mark_fault(panel: Axes) -> None:
    """The moment of the fault, from which seconds count."""
    panel.axvline(0, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
