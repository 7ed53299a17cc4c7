"""The commands for drills: `vgw lab drill …` and `vgw lab drills`."""

import json
from typing import Annotated

import typer

from vgw_lab import WATCH_SECONDS
from vgw_lab.commands import options
from vgw_lab.commands.options import AsJson, Name


def run_drill(  # noqa: PLR0917 -- each is a word of the command line
    context: typer.Context,
    fault: options.Drill = "power-off",
    times: Annotated[int, typer.Option(min=1, max=1000, help="How often each.")] = 1,
    flows: options.Flows = False,
    scale: options.Scale = 1.0,
    background: options.Background = 0,
    watch: options.Watch = WATCH_SECONDS,
    name: Name = "lab",
    as_json: AsJson = False,
    page: options.Report = None,
) -> None:
    """Inject a fault into the MASTER, measure what it costs, and put it right again."""
    from vgw_lab import faults
    from vgw_lab.commands import series
    from vgw_lab.measures import load
    from vgw_lab.worlds import labs

    if page is not None:
        series.check_page(page)
    burden = load.Load(scale if flows else 0.0, background, watch)
    lab = labs.open_lab(name, context.obj)
    chosen = faults.chosen(lab, fault)
    if fault == "all":
        for left_out, why in faults.left_out(lab).items():
            typer.echo(f"{left_out} is left out: {why}", err=True)
    words = [
        ("the pair", f"lab '{lab.name}' of {lab.engine}, VGW {lab.topology.vgw.address.ip}"),
        ("probe", f"a datagram each 1 ms from {lab.topology.machines[0].name} to 8.8.8.8 and back"),
    ]
    if flows:
        words.append(("flows", f"{load.total(scale):,} by TCP and UDP, and those that come in"))
    series.carry_out(
        lab, series.Series(chosen, times, burden, page=page, words=tuple(words)), as_json
    )


def list_drills(as_json: AsJson = False) -> None:
    """List the drills there are: what fails, and which rows of the failure matrix they show."""
    from vgw_lab.faults import FAULTS
    from vgw_lab.reports import report

    if as_json:
        listed = [{"drill": f.name, "what": f.what, "rows": f.rows} for f in FAULTS.values()]
        typer.echo(json.dumps(listed, indent=2))
    else:
        report.show_faults(FAULTS.values())
