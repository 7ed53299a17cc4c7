"""Options of the lab's commands: what nodes are made of, which drill, and its burden."""

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Option("--name", help="Which lab; several can run side by side.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Write a page with plots: one HTML file."),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine", help="What nodes are made of: namespaces (the default) or containers."
    ),
]
Drill = Annotated[str, typer.Argument(help="Which drill, or `all`; a wrong name lists them.")]
Flows = Annotated[
    bool, typer.Option("--flows", help="Keep 1500 flows open, none of which may break.")
]
Scale = Annotated[
    float, typer.Option(min=0.01, max=20, help="With --flows: so many times as many.")
]
Watch = Annotated[
    float, typer.Option(min=0, help="For how long drills look on that wait for what comes late.")
]
Background = Annotated[
    int, typer.Option(min=0, help="Fill the MASTER's connection table with N entries first.")
]
