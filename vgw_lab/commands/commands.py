"""The commands of the lab: `vgw lab …`, `vgw demo`, `vgw drill` and `vgw bench`."""

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from appliance import ApplianceError, NotConverged
from vgw_lab.bench.command import bench
from vgw_lab.commands import drill_commands, install_drill, options, soak_command
from vgw_lab.commands.options import AsJson, Name

if TYPE_CHECKING:
    from vgw_lab.worlds.capture import Capture
    from vgw_lab.worlds.running import Entrance, Lab

app = typer.Typer(
    help="The commands of `vgw` that the lab brings.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
lab_app = typer.Typer(
    name="lab",
    help="The pair, two machines and a small internet, in network namespaces or in containers.",
    no_args_is_help=True,
)
app.add_typer(lab_app)
app.command("drill")(install_drill.drill_install)
app.command("bench")(bench)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


def run(words: Sequence[str]) -> None:
    """Run `vgw WORDS` and end the process; errors of the appliance's kind are the caller's to tell."""
    app(list(words), prog_name="vgw")


@lab_app.callback()
def choose(
    context: typer.Context,
    engine: Annotated[
        str | None,
        typer.Option(
            envvar="VGW_LAB_ENGINE",
            help="What nodes are made of: namespaces or containers; a lab that is up is found "
            "without it.",
        ),
    ] = None,
) -> None:
    """Hear which engine the verb is for."""
    from vgw_lab.worlds import labs

    context.obj = labs.known(engine)


@lab_app.command()
def up(
    context: typer.Context,
    profile: Annotated[
        str | None,
        typer.Option(help="How fast the pair is: standard (the default), fast, hot, classic."),
    ] = None,
    name: Name = "lab",
    config: Annotated[
        Path | None, typer.Option(help="A gateway YAML of your own, instead of a profile.")
    ] = None,
    node_wan: Annotated[
        bool | None,
        typer.Option(help="Whether each gateway has a WAN address of its own (it has)."),
    ] = None,
    engine: options.Engine = None,
    build: Annotated[
        bool, typer.Option("--build", help="Build the containers' images anew, from this source.")
    ] = False,
) -> None:
    """Make the lab and wait until the pair works."""
    from appliance import system
    from vgw_lab.worlds import entry, labs

    _check_name(name)
    chosen = labs.known(engine) or context.obj
    former = labs.find(name, chosen or labs.NAMESPACES)
    if former.up:
        labs.refuse_other(former, profile, config)
        typer.echo(f"Lab '{name}' is up already; `vgw lab down{entry.option(name)}` ends it.")
        return
    lab = labs.plan(name, chosen, profile, node_wan, config)
    lab.prepare(lambda sentence: typer.echo(sentence, err=True), build)
    started = system.monotonic()
    try:
        lab.start()
        master = lab.wait_healthy()
    except KeyboardInterrupt:
        lab.end()
        typer.echo(f"Interrupted; nothing of lab '{name}' is left.", err=True)
        raise typer.Exit(130) from None
    except NotConverged:
        typer.echo(
            f"Lab '{name}' stays for a look; `vgw lab down{entry.option(name)}` ends it.", err=True
        )
        raise
    seconds = system.monotonic() - started
    typer.echo(f"Lab '{name}' is up after {seconds:.1f} s: {master} is MASTER, 8.8.8.8 answers.")
    typer.echo(_what_next(lab, master))


@lab_app.command()
def down(context: typer.Context, name: Name = "lab") -> None:
    """End the lab; nothing of it is left on the machine."""
    from vgw_lab.worlds import labs

    lab = labs.find(name, context.obj)
    if not lab.up:
        typer.echo(f"Lab '{name}' is not up; there is nothing to end.")
        return
    try:
        seen = lab.capture()
    except ApplianceError as error:
        typer.echo(f"What the internet saw is not known: {error}", err=True)
        seen = None
    lab.end()
    typer.echo(f"Lab '{name}' is gone.")
    if seen is not None:
        _judge(seen)


@lab_app.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def execute(
    context: typer.Context,
    node: Annotated[
        str, typer.Argument(help="A node; in namespaces also `world`, for the bridges.")
    ],
    command: Annotated[
        list[str] | None, typer.Argument(help="The program and its arguments; else a shell.")
    ] = None,
    name: Name = "lab",
) -> None:
    """Run a program on a node: `vgw lab exec noeud1 -- ping 8.8.8.8`."""
    words = list(command or [])
    if words[:1] == ["--"]:
        del words[0]
    _become(_open(context, name).enter(node, words))


@lab_app.command()
def status(context: typer.Context, name: Name = "lab", as_json: AsJson = False) -> None:
    """Say which nodes are on, who holds the VGW, and what the internet has seen."""
    from vgw_lab.reports import report

    found = report.status(_open(context, name))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        report.show_status(found)


@lab_app.command()
def stop(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="A node.")],
    name: Name = "lab",
) -> None:
    """Cut a node's power."""
    _open(context, name).node(node).stop()
    typer.echo(f"{node} is off.")


@lab_app.command()
def start(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="A node.")],
    name: Name = "lab",
) -> None:
    """Switch a node on again."""
    _open(context, name).node(node).start()
    typer.echo(f"{node} is on.")


lab_app.command("drill")(drill_commands.run_drill)
lab_app.command("drills")(drill_commands.list_drills)
lab_app.command("soak")(soak_command.soak)


@lab_app.command()
def course(context: typer.Context, name: Name = "lab") -> None:
    """Go through the course sheet's checks."""
    from vgw_lab.drills import course
    from vgw_lab.reports import report
    from vgw_lab.worlds import labs

    lab = _open(context, name)
    with labs.alone(lab):
        checks = course.course(lab, report.Stage().check)
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


@lab_app.command()
def logs(
    context: typer.Context,
    node: Annotated[str, typer.Argument(help="A node.")],
    name: Name = "lab",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
) -> None:
    """Print what the programs of a node printed, since the lab came up."""
    lab = _open(context, name)
    if follow:
        _become(lab.follow(node))
    typer.echo(lab.log(node), nl=False)


@lab_app.command()
def capture(context: typer.Context, name: Name = "lab", as_json: AsJson = False) -> None:
    """Count the packets that the internet saw, translated and, which must be none, untranslated."""
    from dataclasses import asdict

    seen = _open(context, name).capture()
    if as_json:
        typer.echo(json.dumps(asdict(seen)))
        return
    _judge(seen)


def _open(context: typer.Context, name: str) -> "Lab":
    """The lab that a verb is for, which must be up."""
    from vgw_lab.worlds import labs

    return labs.open_lab(name, context.obj)


def _become(entrance: "Entrance") -> NoReturn:
    """Replace this process by a program in the lab."""
    sys.stdout.flush()
    os.execve(entrance.argv[0], entrance.argv, entrance.variables)


def _judge(seen: "Capture") -> None:
    typer.echo(
        f"The internet saw {seen.translated} translated packets "
        f"and {seen.untranslated} untranslated ones."
    )
    if seen.untranslated:
        pairs = ", ".join(f"{source} to {target}" for source, target in seen.offenders)
        raise NotConverged(f"untranslated packets left by the WAN: {pairs}")


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ApplianceError(
            f"--name: '{name}' is no name for a lab; use up to 31 of a-z, 0-9 and -"
        )


def _what_next(lab: "Lab", master: str) -> str:
    from vgw_lab.worlds import entry

    option = entry.option(lab.name)
    machine = lab.topology.machines[0].name if lab.topology.machines else master
    lines = (
        (f"vgw lab exec{option} {machine} -- ping 8.8.8.8", "a machine behind the pair"),
        (
            f"vgw lab exec{option} {master} -- ip addr",
            f"{master} holds {lab.topology.vgw.address.ip}",
        ),
        (f"vgw lab drill power-off{option}", "cut the MASTER's power and measure"),
        (f"vgw lab status{option}", "who does what"),
        (f"vgw lab down{option}", "end it; nothing is left"),
    )
    width = max(len(line) for line, _ in lines)
    return "Try:\n" + "\n".join(f"  {line:<{width}}  # {why}" for line, why in lines)


@app.command()
def demo(
    profile: Annotated[
        str, typer.Option(help="How fast the pair is: standard, fast, hot or classic.")
    ] = "standard",
) -> None:
    """Show the pair at work: a fresh lab, pings, a power cut, and what it cost."""
    from vgw_lab.commands.demo import show

    show(profile)
