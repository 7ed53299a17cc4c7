"""`vgw lab soak`: random faults in labs of its own, every invariant, and the shortest story of what broke."""

import random
from typing import TYPE_CHECKING, Annotated

import typer

from appliance import ApplianceError, system
from vgw_lab.commands.options import Engine, Name

if TYPE_CHECKING:
    from vgw_lab.worlds.running import Lab

_SEEDS = 1_000_000


def soak(  # noqa: PLR0917 -- each is a word of the command line
    context: typer.Context,
    faults: Annotated[int, typer.Option("--faults", min=1, help="How many.")] = 20,
    seed: Annotated[
        int | None, typer.Option(help="The integer that they come from; else any, which is told.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="No fault and no try begins after so long.")
    ] = 60.0,
    tries: Annotated[
        int, typer.Option(min=0, help="How often each kind of violation is tried again, shorter.")
    ] = 12,
    replay: Annotated[
        str | None, typer.Option(metavar="FAULTS", help="These instead, as a story ends with them.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="standard (the default), fast, hot, classic.")
    ] = None,
    name: Name = "soak",
    engine: Engine = None,
) -> None:
    """Have faults at random in a lab of its own, and tell the shortest that break what must hold."""
    from vgw_lab.soak import grammar, kinds, story
    from vgw_lab.soak.soak import Bounded, first_of_each
    from vgw_lab.worlds import labs

    chosen = labs.known(engine) or context.obj

    def make() -> "Lab":
        return labs.plan(name, chosen, profile, None, None)

    lab = make()
    if lab.up:
        raise ApplianceError(
            f"lab '{name}' is up; a soak makes labs of its own: say another --name"
        )
    lab.prepare(lambda sentence: typer.echo(sentence, err=True), False)
    if replay is None and seed is None:
        seed = random.randrange(_SEEDS)
    names = [*kinds.possible_in(lab)]
    wanted = (
        grammar.read(replay, names)
        if replay is not None
        else grammar.faults(seed or 0, faults, names)
    )
    began = system.monotonic()
    typer.echo(f"{len(wanted)} faults" + ("" if replay is not None else f", seed {seed}"))
    bounded = Bounded(make, began + 60 * minutes, typer.echo)
    try:
        outcome = bounded.soak(wanted)
        for broken in first_of_each(outcome.broken):
            typer.echo(f"\n{story.written(lab, bounded.shortest(broken, tries))}\n")
    except KeyboardInterrupt:
        again = "" if seed is None else f"; its seed was {seed}"
        typer.echo(f"Interrupted; nothing of lab '{name}' is left{again}.", err=True)
        raise typer.Exit(130) from None
    for line in story.summary(outcome, seed, system.monotonic() - began):
        typer.echo(line)
    if outcome.broken or outcome.faults < len(wanted):
        raise typer.Exit(1)
