"""The daemons' files in the run directory; a daemon whose file has changed reads it again."""

from collections.abc import Sequence

from appliance import CommandFailed, system
from appliance.planning.wanted import Change, File
from appliance.processes import programs
from appliance.run_dir import RunDir


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
    """Have keepalived check the file that would be put. Raises CommandFailed with what it says."""
    for change in changes:
        run_dir, file = change.payload
        if file.name == run_dir.keepalived_conf.name and change.sign != "-":
            _check_keepalived(run_dir, file.text)


def apply(changes: Sequence[Change]) -> None:
    """Write the files; a running daemon reads its file again. Raises CommandFailed.

    keepalived checks its file before it replaces the former one, for keepalived may end on a
    broken file.
    """
    for change in changes:
        run_dir, file = change.payload
        path = run_dir.path / file.name
        if change.sign == "-":
            system.remove(path)
            continue
        is_keepalived = path == run_dir.keepalived_conf
        if is_keepalived:
            _check_keepalived(run_dir, file.text)
        system.replace(path, file.text)
        if is_keepalived and change.sign == "~":
            programs.signal(run_dir, "keepalived", "HUP")


def _check_keepalived(run_dir: RunDir, text: str) -> None:
    trial = run_dir.keepalived_conf.with_suffix(".conf.trial")
    system.replace(trial, text)
    try:
        result = system.attempt(["keepalived", "--config-test", "--use-file", str(trial)])
    finally:
        system.remove(trial)
    if result.returncode != 0:
        raise CommandFailed(f"keepalived refuses the file rendered for it: {result.output}")
