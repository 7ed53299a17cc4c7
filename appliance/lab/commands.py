"""The commands of the lab: `vgw lab …` and `vgw demo`."""

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance import ApplianceError, NotConverged

if TYPE_CHECKING:
    from appliance.lab.capture import Capture
    from appliance.lab.running import Lab

lab_app = typer.Typer(
    name="lab",
    help="The pair, two machines and a small internet, in network namespaces on this machine.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Option("--name", help="Which lab; several can run side by side.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


@lab_app.command()
def up(
    profile: Annotated[
        str, typer.Option(help="How fast the pair is: standard, fast or classic.")
    ] = "standard",
    name: Name = "lab",
    config: Annotated[
        Path | None, typer.Option(help="A gateway YAML of your own, instead of a profile.")
    ] = None,
    node_wan: Annotated[
        bool, typer.Option(help="Whether each gateway has a WAN address of its own.")
    ] = True,
    engine: Annotated[str, typer.Option(help="What nodes are made of: namespaces.")] = "namespaces",
) -> None:
    """Make the lab and wait until the pair works."""
    from appliance import system
    from appliance.lab import running, topology

    _check_name(name)
    if engine not in running.ENGINES:
        known = ", ".join(running.ENGINES)
        raise ApplianceError(f"--engine: '{engine}' is unknown; it is one of {known}")
    if running.Lab(name).world.pid is not None:
        typer.echo(f"Lab '{name}' is up already; `vgw lab down{_option(name)}` ends it.")
        return
    text = topology.gateway_yaml(profile, node_wan)
    if config is not None:
        own = system.read(config)
        if own is None:
            raise ApplianceError(f"--config: {config}: no such file")
        text = own
    started = system.monotonic()
    lab = running.Lab(name, topology.from_yaml(text, str(config or "gateway.yaml")))
    try:
        lab.start()
        master = lab.wait_healthy()
    except KeyboardInterrupt:
        lab.world.end()
        typer.echo(f"Interrupted; nothing of lab '{name}' is left.", err=True)
        raise typer.Exit(130) from None
    except NotConverged:
        typer.echo(
            f"Lab '{name}' stays for a look; `vgw lab down{_option(name)}` ends it.", err=True
        )
        raise
    seconds = system.monotonic() - started
    typer.echo(f"Lab '{name}' is up after {seconds:.1f} s: {master} is MASTER, 8.8.8.8 answers.")
    typer.echo(_what_next(lab, master))


@lab_app.command()
def down(name: Name = "lab") -> None:
    """End the lab; nothing of it is left on the machine."""
    from appliance.lab.running import Lab

    lab = Lab(name)
    if lab.world.pid is None:
        typer.echo(f"Lab '{name}' is not up; there is nothing to end.")
        return
    try:
        seen = lab.capture()
    except ApplianceError as error:
        typer.echo(f"What the internet saw is not known: {error}", err=True)
        seen = None
    lab.world.end()
    typer.echo(f"Lab '{name}' is gone.")
    if seen is not None:
        _judge(seen)


@lab_app.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def execute(
    node: Annotated[str, typer.Argument(help="A node, or `world` for the bridges between them.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="The program and its arguments; else a shell.")
    ] = None,
    name: Name = "lab",
) -> None:
    """Run a program on a node: `vgw lab exec noeud1 -- ping 8.8.8.8`."""
    from appliance.lab import entry

    places = entry.find(name)
    if entry.WORLD not in places:
        raise ApplianceError(f"lab '{name}': not up; `vgw lab up{_option(name)}` makes it")
    if node not in places:
        from appliance.lab.running import Lab

        spec = Lab(name).topology.node(node)
        raise ApplianceError(
            f"{spec.name}: the node is off; `vgw lab logs{_option(name)} {node}` says why"
        )
    words = list(command or [])
    if words[:1] == ["--"]:
        del words[0]
    argv = [*entry.prefix(places[node]), *(words or [os.environ.get("SHELL", "/bin/sh")])]
    sys.stdout.flush()
    os.execve(argv[0], argv, entry.environment(name, node))


@lab_app.command()
def status(name: Name = "lab", as_json: AsJson = False) -> None:
    """Say which nodes are on, who holds the VGW, and what the internet has seen."""
    from appliance.lab import report, running

    lab = running.open_lab(name)
    found = report.status(lab)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        report.show_status(found)


@lab_app.command()
def stop(node: Annotated[str, typer.Argument(help="A node.")], name: Name = "lab") -> None:
    """Cut a node's power."""
    from appliance.lab import running

    running.open_lab(name).node(node).stop()
    typer.echo(f"{node} is off.")


@lab_app.command()
def start(node: Annotated[str, typer.Argument(help="A node.")], name: Name = "lab") -> None:
    """Switch a node on again."""
    from appliance.lab import running

    running.open_lab(name).node(node).start()
    typer.echo(f"{node} is on.")


@lab_app.command("drill")
def run_drill(
    fault: Annotated[
        str, typer.Argument(help="Which drill, or `all`; a wrong name lists them.")
    ] = "power-off",
    times: Annotated[int, typer.Option(min=1, max=1000, help="How often each.")] = 1,
    name: Name = "lab",
    as_json: AsJson = False,
) -> None:
    """Inject a fault into the MASTER, measure what it costs, and put it right again."""
    from appliance.lab import drill, faults, report, running

    chosen = list(faults.FAULTS.values()) if fault == "all" else [faults.fault(fault)]
    lab = running.open_lab(name)
    stage = report.Stage()
    verdicts = [
        drill.drill(lab, one, (lambda _: None) if as_json else stage.done)
        for one in chosen
        for _ in range(times)
    ]
    if as_json:
        typer.echo(json.dumps(report.verdicts_as_data(lab, verdicts), indent=2))
    else:
        report.show_verdicts(lab, verdicts)
    if not all(verdict.held for verdict in verdicts):
        raise typer.Exit(1)


@lab_app.command()
def course(name: Name = "lab") -> None:
    """Go through the course sheet's checks."""
    from appliance.lab import course, report, running

    checks = course.course(running.open_lab(name), report.Stage().check)
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


@lab_app.command()
def logs(
    node: Annotated[str, typer.Argument(help="A node.")],
    name: Name = "lab",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
) -> None:
    """Print what the programs of a node printed, since the lab came up."""
    from appliance.lab import entry, running

    lab = running.open_lab(name)
    log = lab.world.disk / lab.topology.node(node).name / "log"
    if follow:
        argv = [*entry.prefix(lab.world.pid or 0), "tail", "-n", "+1", "-f", f"/run/lab/{node}/log"]
        os.execve(argv[0], argv, entry.environment(name, entry.WORLD))
    typer.echo(log.read_text(encoding="utf-8", errors="replace"), nl=False)


@lab_app.command()
def capture(name: Name = "lab", as_json: AsJson = False) -> None:
    """Count the packets that the internet saw, translated and, which must be none, untranslated."""
    from dataclasses import asdict

    from appliance.lab import running

    seen = running.open_lab(name).capture()
    if as_json:
        typer.echo(json.dumps(asdict(seen)))
        return
    _judge(seen)


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


def _option(name: str) -> str:
    return "" if name == "lab" else f" --name {name}"


def _what_next(lab: "Lab", master: str) -> str:
    option = _option(lab.name)
    machine = lab.topology.machines[0].name if lab.topology.machines else master
    lines = (
        (f"vgw lab exec{option} {machine} -- ping 8.8.8.8", "a machine behind the pair"),
        (f"vgw lab exec{option} {master} -- ip addr", f"{master} holds {lab.topology.vgw.ip}"),
        (f"vgw lab drill power-off{option}", "cut the MASTER's power and measure"),
        (f"vgw lab status{option}", "who does what"),
        (f"vgw lab down{option}", "end it; nothing is left"),
    )
    width = max(len(line) for line, _ in lines)
    return "Try:\n" + "\n".join(f"  {line:<{width}}  # {why}" for line, why in lines)


def demo(
    profile: Annotated[
        str, typer.Option(help="How fast the pair is: standard, fast or classic.")
    ] = "standard",
) -> None:
    """Show the pair at work: a fresh lab, pings, a power cut, and what it cost."""
    from appliance.lab.demo import show

    show(profile)
