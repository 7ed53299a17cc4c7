"""The command `vgw bench`."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from appliance import ApplianceError, NoConfiguration, system
from vgw_lab.reports import sheet

if TYPE_CHECKING:
    from rich.console import Console

    from vgw_lab.bench.run import Options, Part, Result

_QUICK_SETUPS = ("recipe", "ours-standard")
_USUAL_ENTRIES, _QUICK_ENTRIES = "50000,300000", "5000"
_USUAL_RUNS = 10
_INTERRUPTED = 130


def bench(
    *,
    runs: Annotated[
        int, typer.Option(min=1, max=1000, help="Rounds; filled tables are met in two of five.")
    ] = _USUAL_RUNS,
    setups: Annotated[
        str, typer.Option(help="Set-ups, with commas between; all unless said.")
    ] = "",
    only: Annotated[
        list[str] | None,
        typer.Option(help="A section: outages, tables, throughput, connections, mappings, cost."),
    ] = None,
    entries: Annotated[
        str, typer.Option(help="Table sizes, with commas between.")
    ] = _USUAL_ENTRIES,
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("bench-results"),
    quick: Annotated[
        bool, typer.Option("--quick", help="A smoke run of about two minutes; proves no figure.")
    ] = False,
    source: Annotated[
        Path | None, typer.Option("--from", help="Draw the report of this bench.json again.")
    ] = None,
    docs: Annotated[
        Path | None, typer.Option(help="Write benchmarks.md and its drawings here, too.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What the labs are called.")] = "bench",
) -> None:
    """Measure the pair beside the ways in which people build one today, and draw the result."""
    from vgw_lab.bench import run, verdicts

    drawn = _can_draw()
    if source is not None:
        result = _read(source)
        # The bars are those of this program, not of the one that measured.
        result["verdicts"] = verdicts.judge(result)
        _report(result, source.parent, docs, drawn)
        raise typer.Exit(int(verdicts.failed(result)))
    _check_writable(out)
    chosen = _options(runs, setups, only, entries, quick, name)
    sizes, missing = run.room(chosen) if "tables" in chosen.sections else ((), [])
    todo = run.parts(chosen, sizes)
    result = run.begin(chosen, _said(chosen))
    result["missing"] += missing
    interrupted = _measure(result, todo, out)
    _report(result, out, docs, drawn)
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    if verdicts.failed(result):
        raise typer.Exit(1)


def _options(
    runs: int, setups: str, only: list[str] | None, entries: str, quick: bool, name: str
) -> "Options":
    from vgw_lab.bench import run
    from vgw_lab.bench import setups as known

    for section in only or ():
        if section not in run.SECTIONS:
            raise ApplianceError(
                f"--only: '{section}' is unknown; it is one of {', '.join(run.SECTIONS)}"
            )
    if quick and entries == _USUAL_ENTRIES:
        entries = _QUICK_ENTRIES
    names = tuple(filter(None, setups.split(","))) or (_QUICK_SETUPS if quick else ())
    try:
        sizes = tuple(sorted({int(size) for size in entries.split(",") if size}))
    except ValueError:
        raise ApplianceError(
            f"--entries: '{entries}': numbers are wanted, as in 50000,300000"
        ) from None
    return run.Options(
        runs=1 if quick and runs == _USUAL_RUNS else runs,
        setups=tuple(setup.name for setup in known.chosen(names)),
        sections=tuple(one for one in run.SECTIONS if not only or one in only),
        entries=sizes,
        quick=quick,
        name=name,
    )


def _said(options: "Options") -> str:
    """The command line that measures the same again."""
    from vgw_lab.bench import run
    from vgw_lab.bench import setups as known

    words = ["vgw bench"]
    if options.quick:
        words.append("--quick")
    if not (options.quick and options.runs == 1):
        words.append(f"--runs {options.runs}")
    if set(options.setups) != set(known.SETUPS):
        words.append(f"--setups {','.join(options.setups)}")
    if set(options.sections) != set(run.SECTIONS):
        words += [f"--only {section}" for section in options.sections]
    return " ".join([*words, f"--entries {','.join(map(str, options.entries))}"])


def _measure(result: "Result", todo: "list[Part]", out: Path) -> bool:
    """Do all parts under a progress bar; whether Ctrl-C ended them early."""
    from vgw_lab.bench import run, verdicts

    total = sum(part.rows * part.seconds for part in todo)
    minutes = "a minute" if total < 90 else f"{total / 60:.0f} minutes"
    typer.echo(f"This takes about {minutes}; Ctrl-C ends it and keeps what there is.")
    if result["quick"]:
        typer.echo("It is a smoke run: it shows that the measuring works, and proves no figure.")
    for sentence in result["missing"]:
        typer.echo(f"MISSING: {sentence}")
    with _progress(total) as tell:
        try:
            run.work(result, todo, out, tell)
        except KeyboardInterrupt:
            result["missing"].append("Ctrl-C ended the run: what came later was not measured")
            result["verdicts"] = verdicts.judge(result)
            run.save(result, out)
            return True
    return False


@contextmanager
def _progress(total: float) -> "Iterator[Callable[[Part, str, float], None]]":
    """A bar on a terminal, plain lines elsewhere; both on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    err = Console(stderr=True, highlight=False)
    if not err.is_terminal:
        yield _lines(err, total)
        return
    columns = (
        BarColumn(20),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=err) as progress:
        task = progress.add_task("", total=total)

        def tell(part: "Part", sentence: str, seconds: float) -> None:
            progress.update(task, advance=seconds, description=sentence or part.title)

        yield tell


def _lines(err: "Console", total: float) -> "Callable[[Part, str, float], None]":
    done = [0.0]

    def tell(_part: "Part", sentence: str, seconds: float) -> None:
        done[0] += seconds
        if sentence:
            err.print(
                f"{min(100 * done[0] / max(total, 1), 100):3.0f} %  {sentence}", soft_wrap=True
            )

    return tell


def _check_writable(out: Path) -> None:
    """Raises ApplianceError: an hour of measuring is not to end at a place that takes no result."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        system.try_out(out)
    except OSError as error:
        sentence = f"--out: {out}: {error.strerror}; name a directory that you may write to"
        raise ApplianceError(sentence) from None


def _can_draw() -> bool:
    """Whether the drawings' package is there; said at once, not after an hour."""
    try:
        from vgw_lab.bench import plots  # noqa: F401 -- its import is the question
    except ImportError as error:
        lacking = sheet.lacking(error.name)
        typer.echo(f"No page will be drawn: {lacking}, then say --from bench.json")
        return False
    return True


def _read(source: Path) -> "Result":
    from vgw_lab.bench import run

    try:
        found = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror
        raise NoConfiguration(f"--from: {source}: {why}; name a bench.json") from None
    except ValueError as error:
        raise NoConfiguration(f"--from: {source}: no result of a run: {error}") from None
    if not isinstance(found, dict) or not {"options", "machine", *run.KEYS} <= set(found):
        raise NoConfiguration(f"--from: {source}: no result of a run; name a bench.json")
    return found


def _report(result: "Result", out: Path, docs: Path | None, drawn: bool) -> None:
    """The tables on the terminal, and the page and the document where they can be drawn."""
    from vgw_lab.bench import tables, terminal

    terminal.show(tables.all_of(result))
    for sentence in result["missing"]:
        typer.echo(f"MISSING: {sentence}")
    written = [str(out / "bench.json")]
    if drawn:
        from vgw_lab.bench import page, plots

        drawings = plots.draw(result)
        page.write_page(result, drawings, out)
        written.append(str(out / page.PAGE))
        if docs is not None:
            page.write_document(result, drawings, docs)
            written.append(str(docs / page.DOCUMENT))
    typer.echo(f"Written: {', '.join(written)}")
