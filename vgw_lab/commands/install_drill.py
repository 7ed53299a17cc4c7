"""`vgw drill`: chosen faults on a pair that somebody runs, by consent and under live flows."""

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from appliance import ApplianceError
from vgw_lab.commands import options

if TYPE_CHECKING:
    from vgw_lab.faults.fault import Fault
    from vgw_lab.worlds.install import Install

# What can be done to a node by a command on it, and put right again.
DRILLS = ("switchover", "stop-keepalived", "kill-keepalived", "lan-down", "wan-down")
_EVERY_MS = 10.0


def drill_install(  # noqa: PLR0917 -- each is a word of the command line
    drills: Annotated[
        list[str] | None,
        typer.Argument(help=f"Of {', '.join(DRILLS)}, or `all`; else a switchover."),
    ] = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option(help="A command that leads to a node, as root: 'ssh root@gw1'. Two of them."),
    ] = None,
    machine: Annotated[
        str, typer.Option(help="One that leads to a machine behind the pair; else it is this one.")
    ] = "",
    target: Annotated[
        str, typer.Option(help="A host outside that answers pings and is a name server.")
    ] = "8.8.8.8",
    times: Annotated[int, typer.Option(min=1, max=100, help="How often each.")] = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: options.AsJson = False,
    page: options.Report = None,
) -> None:
    """Drill the pair you run: faults on its MASTER, measured from a machine behind it."""
    from vgw_lab.commands import series
    from vgw_lab.measures import load
    from vgw_lab.worlds.install import HERE, Install, Way

    chosen = _chosen(drills or [DRILLS[0]])
    ways = [Way(tuple(shlex.split(words))) for words in gateway or []]
    if len(ways) != 2:
        raise ApplianceError(
            "--gateway: two commands are needed, one for each node: "
            "--gateway 'ssh root@gw1' --gateway 'ssh root@gw2'"
        )
    if page is not None:
        series.check_page(page)
    install = Install(ways, Way(tuple(shlex.split(machine))), target)
    master = install.wait_healthy()
    typer.echo(plan(install, master, chosen, times), err=as_json)
    if dry_run:
        return
    if not yes:
        _ask()
    gateways = " and ".join(
        f"{spec.name} by {install.way(spec.name)}" for spec in install.topology.gateways
    )
    words = (
        ("the pair", f"VGW {install.topology.vgw.address.ip}: {gateways}"),
        ("probe", f"a ping each {_EVERY_MS:g} ms to {target} from {install.way(HERE)}"),
        ("flows", "questions for a name to the same host, by UDP and on one TCP connection"),
    )
    wanted = series.Series(chosen, times, load.Load(scale=1.0), _EVERY_MS, page, words)
    series.carry_out(install, wanted, as_json)


def _chosen(names: Sequence[str]) -> "list[Fault]":
    from vgw_lab import faults

    wanted = DRILLS if "all" in names else names
    if unknown := [name for name in wanted if name not in DRILLS]:
        raise ApplianceError(
            f"{unknown[0]}: no drill for a pair that runs; there are {', '.join(DRILLS)}, and a lab "
            "(`vgw lab up`) has more"
        )
    return [faults.fault(name) for name in wanted]


def plan(install: "Install", master: str, chosen: "Sequence[Fault]", times: int) -> str:
    """What would be done, in sentences."""
    from vgw_lab.worlds.install import CABLE_SECONDS, HERE

    topology = install.topology
    lines = [
        f"{master} is MASTER of {topology.vgw.address.ip} (profile {topology.vgw.profile}), "
        f"{install.other(master)} stands by; both were reached.",
        f"{install.target} is pinged all the while, and asked for a name by UDP and by TCP, from "
        f"{install.way(HERE)}.",
        "On the MASTER:",
    ]
    often = "" if times == 1 else f", {times} times"
    for fault in chosen:
        back = "; then it is put right"
        if fault.name == "switchover":
            back = ""
        elif fault.name.endswith("-down"):
            back = f"; the interface comes up again by itself within {CABLE_SECONDS} s"
        lines.append(f"  {fault.name}{often}: {fault.what}{back}")
    return "\n".join(lines)


def _ask() -> None:
    if not sys.stdin.isatty():
        raise ApplianceError("nobody is there to be asked; --yes says that it may be done")
    if not typer.confirm("Users of this gateway may notice. Do it?"):
        raise ApplianceError("nothing was done")
