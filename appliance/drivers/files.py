"""The daemons' files in the run directory; a daemon whose file has changed reads it again."""

from collections.abc import Sequence
from pathlib import Path

from appliance import CommandFailed, system
from appliance.planning.wanted import Change, File
from appliance.processes import programs
from appliance.run_dir import RunDir

# As conntrackd 1.4.7 says it (its read_config_yy.y).
_UNREAD = "parsing config file"


def diff(wanted: Sequence[File], run_dir: RunDir) -> tuple[Change, ...]:
    """Which of our files differ from the wanted text, or are no longer wanted. Reads only."""
    names = {file.name for file in wanted}
    unwanted = [path for path in run_dir.rendered if path.name not in names and path.exists()]
    differing = [(file, system.read(run_dir.path / file.name)) for file in wanted]
    return (
        *(
            Change(
                "+" if actual is None else "~", f"file {run_dir.path / file.name}", (run_dir, file)
            )
            for file, actual in differing
            if actual != file.text
        ),
        *(Change("-", f"file {path}", (run_dir, File(path.name, ""))) for path in unwanted),
    )


def try_out(changes: Sequence[Change]) -> None:
    """Have each daemon check the file that would be put. Raises CommandFailed with what it says."""
    for change in changes:
        run_dir, file = change.payload
        if change.sign != "-":
            _check(run_dir, file)


def apply(changes: Sequence[Change]) -> None:
    """Write the files; a running daemon reads its file again. Raises CommandFailed.

    A daemon checks its file before that replaces the former one, for it may end on a broken file.
    """
    for change in changes:
        run_dir, file = change.payload
        path = run_dir.path / file.name
        if change.sign == "-":
            system.remove(path)
            continue
        _check(run_dir, file)
        system.replace(path, file.text)
        if path == run_dir.keepalived_conf and change.sign == "~":
            programs.signal(run_dir, "keepalived", "HUP")


def _check(run_dir: RunDir, file: File) -> None:
    """Have the daemon whose file it is read it, from beside the one in force."""
    path = run_dir.path / file.name
    trial = path.with_suffix(".conf.trial")
    if path == run_dir.keepalived_conf:
        system.replace(trial, file.text)
        refusal = _keepalived_refuses
    elif path == run_dir.conntrackd_conf:
        # Nobody is to be asked: its socket is where none is.
        nowhere = f"{run_dir.conntrackd_socket}.trial"
        system.replace(trial, file.text.replace(str(run_dir.conntrackd_socket), nowhere))
        refusal = _conntrackd_refuses
    else:
        return
    try:
        words = refusal(trial)
    finally:
        system.remove(trial)
    if words:
        raise CommandFailed(f"{path.stem} refuses the file rendered for it: {words}")


def _keepalived_refuses(trial: Path) -> str:
    result = system.attempt(["keepalived", "--config-test", "--use-file", str(trial)])
    return result.output if result.returncode else ""


def _conntrackd_refuses(trial: Path) -> str:
    """conntrackd has no word for a test: asked for its counters, it reads its file before it finds nobody to ask."""
    said = system.attempt(["conntrackd", "-C", str(trial), "-s"]).output
    return said if _UNREAD in said else ""
