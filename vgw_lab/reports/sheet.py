"""The look of every report for people: one HTML page with everything in it, and its pieces.

It needs no script and fetches nothing; it can be read on a phone, by a screen reader, and printed.
"""

import html
from collections.abc import Iterable, Sequence

# What stands where there is no figure.
NONE = "-"
_COLOURS = {"held": "held", "broken": "missed", "MISSED": "missed", "no figure": "missed"}
_STYLE = """\
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: #fff; color: #1d2733;
  font: 16px/1.5 "DejaVu Sans", Verdana, sans-serif; }
h1 { margin: 0 0 .2rem; font-size: 1.7rem; } h2 { margin: 2.2rem 0 .6rem; font-size: 1.2rem; }
h3 { margin: 1.4rem 0 .4rem; font-size: 1rem; }
table { width: 100%; border-collapse: collapse; font-size: .85rem; }
th { text-align: left; border-bottom: 2px solid #1d2733; } td { border-bottom: 1px solid #dfe5ea; }
th, td { padding: .25rem 1.2rem .25rem 0; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; } figure { margin: 1rem 0; }
figcaption, .note { color: #46525f; font-size: .85rem; margin: .4rem 0; overflow-wrap: anywhere; }
.warn { background: #fdf1d8; border-left: 5px solid #d1741f; padding: .5rem 1rem; }
.held { color: #15703a; font-weight: bold; } .missed { color: #b03024; font-weight: bold; }
.lead { font-size: 1.1rem; margin: 1rem 0; }
code { font-size: .9em; background: #f1f4f6; padding: .05rem .3rem; }
dt { font-weight: bold; margin-top: .7rem; } dd { margin-left: 1rem; overflow-wrap: anywhere; }
@media (min-width: 40rem) { .terms { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem; }
  .terms dt, .terms dd { margin: 0; } }
.wide { overflow-x: auto; }
@media (max-width: 40rem) { body { padding: 1rem; } .wide svg { min-width: 36rem; } }
@media print { body { max-width: none; padding: 0; font-size: 11px; } .wide { overflow: visible; }
  .wide svg { min-width: 0; } h2, h3 { break-after: avoid; } tr, figure, .warn { break-inside: avoid; }
  * { print-color-adjust: exact; } }
"""


def lacking(package: str | None) -> str:
    """What to tell where a package that draws is missing."""
    return (
        f"the Python package '{package}' is missing; "
        "`pip install --editable '.[bench]'` in the checkout brings it"
    )


def page(title: str, body: Iterable[str]) -> str:
    """The whole page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def warning(sentence: str) -> str:
    """What a reader must know before any figure."""
    return f'<p class="warn">{html.escape(sentence)}</p>'


def figure(title: str, svg: str, caption: str) -> str:
    """A drawing and what is seen in it; who cannot see it hears its title."""
    spoken = f'<svg role="img" aria-label="{html.escape(title)}" '
    drawn = _wide(title, svg.replace("<svg ", spoken, 1))
    return f"<figure>\n{drawn}\n<figcaption>{html.escape(caption)}</figcaption>\n</figure>"


def table(title: str, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, with columns of figures to the right and verdicts in their colours."""
    columns = list(zip(*rows, strict=True)) or [()] * len(heading)
    rights = [' class="n"' if column and _is_number(column) else "" for column in columns]
    head = "".join(
        f'<th scope="col"{right}>{html.escape(text)}</th>'
        for text, right in zip(heading, rights, strict=True)
    )
    lines = "\n".join(
        "<tr>"
        + "".join(
            f"<td{right}>{marked(text)}</td>" for text, right in zip(row, rights, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return _wide(title, f"<table>\n<tr>{head}</tr>\n{lines}\n</table>")


def terms(pairs: Iterable[Sequence[str]]) -> str:
    """Words, and what they stand for."""
    found = "\n".join(
        f"<dt>{html.escape(what)}</dt>\n<dd>{html.escape(value)}</dd>" for what, value in pairs
    )
    return f'<dl class="terms">\n{found}\n</dl>'


def marked(text: str) -> str:
    """A text; a verdict in its colour."""
    found = html.escape(text)
    return f'<span class="{_COLOURS[text]}">{found}</span>' if text in _COLOURS else found


def _wide(title: str, what: str) -> str:
    """What a small screen moves sideways, also by the keys."""
    name = html.escape(title)
    return f'<div class="wide" role="region" aria-label="{name}" tabindex="0">\n{what}\n</div>'


def _is_number(column: Sequence[str]) -> bool:
    """Whether all cells of a column are single figures, perhaps with a unit."""
    return all(
        cell == NONE or (cell.removeprefix("-")[:1].isdigit() and len(cell.split()) <= 2)
        for cell in column
    )
