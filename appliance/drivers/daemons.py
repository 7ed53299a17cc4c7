"""The daemons' files and their reload, and supervisord, which runs them."""

import re
import socket
import xmlrpc.client
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from appliance import CommandFailed, system
from appliance.planning.change import Change
from appliance.planning.daemon_files import CONNTRACKD, KEEPALIVED, SUPERVISORD, File, Versions

FILES = (CONNTRACKD, KEEPALIVED, SUPERVISORD)
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; the socket module does not name it
READY = "ready"
ASIDE = "aside"  # tracked by keepalived: 1 puts the priority below the peer's
ASKED_ASIDE = "asked-aside"  # a switchover's note to the agent; it outlives the agent
FAILED = "failed"
FIFO = "notify.fifo"
SETTLED = "settled"  # the role and the conntrackd that the steps of replication were taken for
NOTES = (READY, ASIDE, ASKED_ASIDE, SETTLED)  # what tells of a node that runs


def diff(wanted: Sequence[File], run_dir: Path) -> tuple[Change, ...]:
    """Which of our files differ from the wanted text, or are no longer wanted. Reads only."""
    names = {file.name for file in wanted}
    stale = [name for name in FILES if name not in names and (run_dir / name).exists()]
    differing = [(file, system.read(run_dir / file.name)) for file in wanted]
    return (
        *(
            Change("+" if actual is None else "~", f"file {run_dir / file.name}", (run_dir, file))
            for file, actual in differing
            if actual != file.text
        ),
        *(Change("-", f"file {run_dir / name}", (run_dir, File(name, ""))) for name in stale),
    )


def apply(changes: Sequence[Change]) -> None:
    """Write the files; a running daemon reads its file again. Raises CommandFailed.

    keepalived checks its file before it replaces the former one, for keepalived may end on a
    broken file.
    """
    for change in changes:
        run_dir, file = change.payload
        path = run_dir / file.name
        if change.sign == "-":
            system.remove(path)
            continue
        if file.name == KEEPALIVED:
            _check_keepalived(path, file.text)
        system.replace(path, file.text)
        if file.name == KEEPALIVED and change.sign == "~":
            signal(run_dir, "keepalived", "HUP")


def _check_keepalived(path: Path, text: str) -> None:
    trial = path.with_name(f"{path.name}.trial")
    system.replace(trial, text)
    try:
        result = system.attempt(["keepalived", "--config-test", "--use-file", str(trial)])
    finally:
        system.remove(trial)
    if result.returncode != 0:
        raise CommandFailed(f"keepalived refuses the file rendered for it: {result.output}")


def installed_versions() -> Versions:
    """The versions of keepalived and nft on this machine, and what it allows. Raises MissingProgram."""
    return Versions(
        keepalived=_version(system.attempt(["keepalived", "--version"]).output),
        nft=_version(system.attempt(["nft", "--version"]).output),
        large_buffers=_may_have_large_buffers(),
    )


def _may_have_large_buffers() -> bool:
    """Whether a socket here may have a buffer above net.core.rmem_max (socket(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 20)
        except PermissionError:
            return False
    return True


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", text)
    if found is None:
        raise CommandFailed(f"no version number in {text.splitlines()[:1]}")
    return tuple(int(part) for part in found.groups())


def supervisor(run_dir: Path) -> Any:
    """supervisord's XML-RPC interface by its unix socket; calls raise OSError where nobody listens."""
    transport = SupervisorTransport(None, None, f"unix://{run_dir / 'supervisor.sock'}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport).supervisor


def signal(run_dir: Path, name: str, number: str) -> bool:
    """Send a signal to one of our programs; False where supervisord or the program does not run."""
    try:
        return bool(supervisor(run_dir).signalProcess(name, number))
    except (OSError, xmlrpc.client.Fault):
        return False


@dataclass(frozen=True)
class Program:
    """One of our programs: its state in supervisord's words, such as RUNNING, and its process id or 0."""

    state: str
    pid: int


def programs(run_dir: Path) -> dict[str, Program]:
    """Our programs by their names; empty where supervisord does not run."""
    try:
        found = supervisor(run_dir).getAllProcessInfo()
    except (OSError, xmlrpc.client.Fault):
        return {}
    return {str(one["name"]): Program(str(one["statename"]), int(one["pid"])) for one in found}


def states(run_dir: Path) -> dict[str, str]:
    """Each program's state in supervisord's words, such as RUNNING; empty where it does not run."""
    return {name: program.state for name, program in programs(run_dir).items()}


def set_ready(run_dir: Path, *, ready: bool) -> None:
    """Tell keepalived, by its tracked file, whether this node may be MASTER."""
    text = "1\n" if ready else "0\n"
    if system.read(run_dir / READY) != text:
        system.replace(run_dir / READY, text)


def set_aside(run_dir: Path, *, aside: bool) -> None:
    """Tell keepalived, by its other tracked file, whether to let the peer be MASTER while it lives."""
    text = "1\n" if aside else "0\n"
    if system.read(run_dir / ASIDE) != text:
        system.replace(run_dir / ASIDE, text)


def ask_aside(run_dir: Path, *, asked: bool) -> None:
    """Leave the agent a note that a switchover gave the VGW to the peer, or take it away."""
    if asked:
        system.replace(run_dir / ASKED_ASIDE, "")
    else:
        system.remove(run_dir / ASKED_ASIDE)


def is_asked_aside(run_dir: Path) -> bool:
    """Whether that note is there."""
    return system.read(run_dir / ASKED_ASIDE) is not None


def is_ready(run_dir: Path) -> bool:
    """Whether the tracked file says that this node may be MASTER."""
    return system.read(run_dir / READY) == "1\n"


def bring_down(run_dir: Path, reason: str) -> None:
    """End the node: supervisord stops every program, and the node's exit code tells of the failure."""
    system.replace(run_dir / FAILED, reason + "\n")
    try:
        supervisor(run_dir).shutdown()
    except (OSError, xmlrpc.client.Fault) as error:
        raise CommandFailed(f"supervisord does not answer in {run_dir}: {error}") from None
