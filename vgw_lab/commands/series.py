"""A series of drills: done one after the other, and told as a table, as JSON and as a page."""

import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from appliance import ApplianceError, __version__, system
from vgw_lab.drills import drill
from vgw_lab.drills.verdict import Verdict
from vgw_lab.faults.fault import Fault
from vgw_lab.measures import load
from vgw_lab.reports import host, report, sheet
from vgw_lab.worlds import labs
from vgw_lab.worlds.running import Lab


@dataclass(frozen=True)
class Series:
    """What is to be done; `every` is how many milliseconds are between two packets of the probe.

    `page` is the file of the report, if one is wanted; `words` are for it: what the pair is, what the
    probe asks, and which flows there are.
    """

    faults: Sequence[Fault]
    times: int
    burden: load.Load
    every: float = 1.0
    page: Path | None = None
    words: tuple[tuple[str, str], ...] = ()


@dataclass
class Outcome:
    """What a series came to: the verdicts there are, and why there are no more."""

    verdicts: list[Verdict] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether everything was done, and all promises were kept."""
        return not self.missing and all(verdict.held for verdict in self.verdicts)


def check_page(path: Path) -> None:
    """Raise ApplianceError where no report could be written to a file; said before anything is done."""
    try:
        from vgw_lab.reports import drill_plots  # noqa: F401, PLC0415 -- its import is the question
    except ImportError as error:
        raise ApplianceError(f"--report: {sheet.lacking(error.name)}") from None
    if path.exists() and not path.is_file():
        raise ApplianceError(f"--report: {path} is no file that a page could replace")
    try:
        system.try_out(path.parent)
    except OSError as error:
        raise ApplianceError(f"--report: {path} cannot be written: {error.strerror}") from None


def carry_out(lab: Lab, series: Series, as_json: bool) -> None:
    """Do the drills, tell what they cost, and end with exit code 1 where a promise was broken.

    What there is is told also when Ctrl-C or an error ends the series early.
    """
    say = (lambda _: None) if as_json else report.Stage().done
    outcome, began, wall = Outcome(), time.monotonic(), system.time_of_day(system.wall())
    with labs.alone(lab):
        nodes = _nodes(lab) if series.page else {}
        try:
            _do(lab, series, say, outcome)
        finally:
            if outcome.verdicts:
                _show(lab, outcome, as_json)
            if series.page is not None:
                head = {"began": wall, "seconds": time.monotonic() - began}
                _write(lab, series, outcome, head | {"nodes": nodes}, series.page)
                typer.echo(f"Written: {series.page}", err=as_json)
    if not outcome.held:
        raise typer.Exit(1)


def _do(lab: Lab, series: Series, say: Callable[[str], None], outcome: Outcome) -> None:
    for fault in series.faults:
        for number in range(1, series.times + 1):
            run = fault.name if series.times == 1 else f"{fault.name}, run {number}"
            try:
                verdict = drill.drill(lab, fault, say, series.burden, series.every)
            except KeyboardInterrupt:
                outcome.missing.append(
                    f"Ctrl-C ended it in {run}: of this and of later ones nothing is told"
                )
                typer.echo("Interrupted; what the drill did is put right again.", err=True)
                raise
            except ApplianceError as error:
                outcome.missing.append(f"{run} did not come to its end: {error}")
                raise
            outcome.verdicts.append(verdict)


def _show(lab: Lab, outcome: Outcome, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_data(lab, outcome), indent=2))
    else:
        report.show_verdicts(lab, outcome.verdicts)


def _data(lab: Lab, outcome: Outcome) -> dict[str, Any]:
    told = {"held": outcome.held, "missing": outcome.missing}
    return report.verdicts_as_data(lab, outcome.verdicts) | told


def _nodes(lab: Lab) -> dict[str, dict[str, str]]:
    return {spec.name: host.node(lab.node(spec.name).run) for spec in lab.topology.gateways}


def _write(lab: Lab, series: Series, outcome: Outcome, head: dict[str, Any], path: Path) -> None:
    from vgw_lab.reports import drill_page, drill_plots  # noqa: PLC0415 -- only a report draws

    data = {
        "vgw": __version__,
        "command": shlex.join(["vgw", *sys.argv[1:]]),
        "machine": host.described(),
        "asked": asked(lab, series, head["nodes"]),
        **head,
        **_data(lab, outcome),
    }
    by_drill: dict[str, list[dict[str, Any]]] = {}
    for row in data["verdicts"]:
        by_drill.setdefault(row["drill"], []).append(row)
    drawings = {name: drill_plots.draw(name, rows) for name, rows in by_drill.items()}
    try:
        system.replace(path, drill_page.page(data, drawings), 0o644)
    except OSError as error:
        raise ApplianceError(f"--report: {path} could not be written: {error.strerror}") from None


def asked(
    lab: Lab, series: Series, nodes: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, str]]:
    """What was asked for and of whom, as words and what they stand for."""
    topology = lab.topology
    drills = ", ".join(fault.name for fault in series.faults)
    often = "once" if series.times == 1 else f"{series.times} times"
    found = [
        ("drills", f"{drills}; {often}" if len(series.faults) == 1 else f"{drills}; each {often}"),
        ("profile", f"{topology.vgw.profile}, an advert each {topology.vgw.advert_interval:g} s"),
        *series.words,
        *((name, host.line(versions)) for name, versions in nodes.items() if versions),
    ]
    if series.burden.entries:
        found.append(("entries in the MASTER's table", f"{series.burden.entries:,}"))
    return found
