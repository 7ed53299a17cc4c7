"""The demo: a fresh lab, pings through it, the course sheet, a power cut, and what that cost."""

import typer

from appliance import ApplianceError, system
from vgw_lab import faults
from vgw_lab.drills.course import Check, course
from vgw_lab.drills.drill import drill
from vgw_lab.reports import report
from vgw_lab.worlds import topology
from vgw_lab.worlds.namespaces import NamespaceLab
from vgw_lab.worlds.running import PING_TARGET

NAME = "demo"


def show(profile: str) -> None:
    """Run the demo in the foreground; it exits with 0 only if all that was promised was kept."""
    lab = NamespaceLab(NAME, topology.from_yaml(topology.gateway_yaml(profile)))
    if lab.up:
        raise ApplianceError("a demo runs already; wait for it, or `vgw lab down --name demo`")
    try:
        passed = _acts(lab)
    except KeyboardInterrupt:
        lab.end()
        typer.echo("Interrupted; nothing of the demo is left.", err=True)
        raise typer.Exit(130) from None
    finally:
        lab.end()
    if not passed:
        raise typer.Exit(1)


def _acts(lab: NamespaceLab) -> bool:
    stage = report.Stage()
    began = system.monotonic()
    with stage.act("making the lab: two gateways, two machines, a small internet"):
        lab.start(tied=True)
        master = lab.wait_healthy()
    stage.done(f"{master} is MASTER and holds {lab.topology.vgw.address.ip}")
    passed = True
    for machine in lab.topology.machines:
        answered = lab.pings(machine.name)
        stage.check(Check(f"from {machine.name}: ping {PING_TARGET}", _word(answered), answered))
        passed &= answered
    passed &= all(check.passed for check in course(lab, stage.check))
    fault = faults.fault("power-off")
    with stage.act(f"cutting the power of {master} under a probe each millisecond"):
        verdict = drill(lab, fault)
    seen = lab.capture()
    report.show_verdicts(lab, [verdict])
    stage.done(
        f"The internet saw {seen.translated} translated packets and {seen.untranslated} "
        f"untranslated ones. {system.monotonic() - began:.0f} s in all."
    )
    passed &= verdict.held and seen.untranslated == 0 and seen.translated > 0
    stage.done("All that was promised was kept." if passed else "Not all promises were kept.")
    return passed


def _word(answered: bool) -> str:
    return "answered" if answered else "no answer"
