"""The tables of a report on the terminal."""

from collections.abc import Iterable

from rich import box
from rich.table import Table as Grid

from vgw_lab.bench.tables import Table
from vgw_lab.reports import report

_COLOURS = {"held": "green", "MISSED": "red", "no figure": "red"}


def show(tables: Iterable[Table]) -> None:
    """Print them; the verdicts, which come first, last, where a reader looks."""
    listed = list(tables)
    out = report.console()
    for table in (*listed[1:], *listed[:1]):
        out.print(_grid(table))
        out.print(table.note + "\n", soft_wrap=True)


def _grid(table: Table) -> Grid:
    grid = Grid(
        title=table.title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        show_edge=False,
    )
    for heading in table.heading:
        grid.add_column(heading)
    for row in table.rows:
        grid.add_row(
            *(f"[{_COLOURS[text]}]{text}[/]" if text in _COLOURS else text for text in row)
        )
    return grid
