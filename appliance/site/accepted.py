"""Which configuration a node goes by: the operator's file, or where that cannot be used the last one taken up.

Each configuration that was taken up lies in the run directory as it was given (`RunDir.accepted`). An agent that
starts beside a file that somebody has broken or removed goes on by that. `vgw start` does not: it asks for the file.
"""

from pathlib import Path
from typing import NamedTuple

from appliance import ApplianceError, system
from appliance.config.model import Config
from appliance.run_dir import RunDir
from appliance.site import this_node

MOST = 10  # of the lines of an error that a node's status carries


class NothingToGoBy(ApplianceError):
    """Neither the operator's file nor a former configuration can be used."""

    exit_code = 2


class Accepted(NamedTuple):
    """A configuration that this node can go by."""

    config: Config
    node: str
    """Which of its nodes this one is."""
    text: str
    """As it was given."""
    file_errors: tuple[str, ...] = ()
    """Why it is not the operator's file: that one's errors, a line each; empty where it is."""


def from_file(path: Path, node: str | None = None) -> Accepted:
    """What is written there. Raises ConfigErrors, NoConfiguration, and ApplianceError where this node is not in it."""
    config, text = this_node.read(path)
    return Accepted(config, this_node.node_name(config, node), text)


def at_start(path: Path, run_dir: RunDir, node: str | None = None) -> Accepted:
    """What was taken up last, or else the operator's file. Raises NothingToGoBy.

    The file may have changed since: then it is taken up as any change is, and the node is as it was until then.
    """
    try:
        found = from_file(path, node)
    except ApplianceError as error:
        if (former := _former(run_dir, node)) is None:
            raise NothingToGoBy(
                f"{error}\n{run_dir.accepted}, where the last good one should lie, cannot be used "
                "either; mend the file and start the node"
            ) from None
        return beside_error(former, error)
    same = written(run_dir.accepted) == found.text
    return found if same else _former(run_dir, node) or found


def written(path: Path) -> str | None:
    """The text that lies there, as it was given; None where it cannot be read."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def _former(run_dir: RunDir, node: str | None) -> Accepted | None:
    try:
        return from_file(run_dir.accepted, node)
    except ApplianceError:
        return None


def beside_error(former: Accepted, error: ApplianceError) -> Accepted:
    """The former configuration, which is kept because of an error in the file."""
    lines = str(error).splitlines()
    more = [f"and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return former._replace(file_errors=(*lines[:MOST], *more))


def keep(run_dir: RunDir, taken_up: Accepted) -> None:
    """Put what was taken up into the run directory, in place of the former."""
    system.replace(run_dir.accepted, taken_up.text)
