"""Options of the lab's commands: what nodes are made of, which drill, and its burden."""

from typing import Annotated

import typer

Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", help="What nodes are made of: namespaces (the default) or containers."
    ),
]
Drill = Annotated[str, typer.Argument(help="Which drill, or `all`; a wrong name lists them.")]
Flows = Annotated[
    bool, typer.Option("--flows", help="Keep 1400 flows open, none of which may break.")
]
Scale = Annotated[
    float, typer.Option(min=0.01, max=20, help="With --flows: so many times as many.")
]
Background = Annotated[
    int, typer.Option(min=0, help="Fill the MASTER's connection table with N entries first.")
]
