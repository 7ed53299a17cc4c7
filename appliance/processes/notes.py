"""Short files in the run directory by which the agent, keepalived and commands tell each other."""

from pathlib import Path

from appliance import system
from appliance.run_dir import RunDir


def set_ready(run_dir: RunDir, *, ready: bool) -> None:
    """Tell keepalived, by its tracked file, whether this node may be MASTER."""
    _track(run_dir.ready, "1\n" if ready else "0\n")


def is_ready(run_dir: RunDir) -> bool:
    """Whether the tracked file says that this node may be MASTER."""
    return system.read(run_dir.ready) == "1\n"


def set_aside(run_dir: RunDir, *, aside: bool) -> None:
    """Tell keepalived, by its other tracked file, whether to let the peer be MASTER while it lives."""
    _track(run_dir.aside, "1\n" if aside else "0\n")


def _track(path: Path, text: str) -> None:
    """Put a word into a tracked file, also where its file system is full.

    keepalived reads it when whoever wrote has closed it (track_file of keepalived.conf(5)), and one byte is never cut in two.
    """
    if system.read(path) != text:
        system.put(path, text)


def ask_aside(run_dir: RunDir, *, asked: bool) -> None:
    """Leave the agent a note that a switchover gave the VGW to the peer, or take it away."""
    if asked:
        system.replace(run_dir.asked_aside, "")
    else:
        system.remove(run_dir.asked_aside)


def is_asked_aside(run_dir: RunDir) -> bool:
    """Whether that note is there."""
    return system.read(run_dir.asked_aside) is not None
