"""Which drill, and what it can be burdened with, as options of the command line."""

from typing import Annotated

import typer

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
