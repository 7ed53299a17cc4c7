"""conntrackd, which keeps the standby's connection table warm: its orders and its counters."""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from appliance import CommandFailed, system
from appliance.render import CONNTRACKD

_SECONDS = 3.0  # a conntrackd that is alive answers at once
_LOST = re.compile(r"Packets lost:\s+(\d+)")
_FULL = re.compile(r"not enough space errors:\s+(\d+)")
_REFUSED = re.compile(r"connections (?:created|updated|destroyed):\s+\d+\s+failed:\s+(\d+)")


def order(run_dir: Path, steps: Iterable[str]) -> None:
    """Give conntrackd these orders, one after the other. Raises CommandFailed where it is deaf."""
    for step in steps:
        _ask(run_dir, step)


def calm(pid: int) -> None:
    """Let conntrackd run as any process does; by itself it takes the highest realtime priority.

    A bulk update would then keep keepalived and the agent from running for seconds.
    """
    with contextlib.suppress(OSError):  # it is gone already
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def counters(run_dir: Path) -> dict[str, int]:
    """What went wrong since conntrackd started: messages lost or unsent, entries the kernel refused."""
    network, queue = _ask(run_dir, "-s network"), _ask(run_dir, "-s queue")
    injected = _ask(run_dir, "-s").partition("external inject")[2]
    return {
        "messages_lost": sum(map(int, _LOST.findall(network))),
        "messages_unsent": sum(map(int, _FULL.findall(queue))),
        "entries_refused": sum(map(int, _REFUSED.findall(injected))),
    }


def _ask(run_dir: Path, words: str) -> str:
    argv = ["conntrackd", "-C", str(run_dir / CONNTRACKD), *words.split()]
    result = system.attempt(argv, timeout=_SECONDS)
    if result.returncode != 0:
        raise CommandFailed(f"conntrackd did not take `{words}`: {result.output or 'no word'}")
    return result.stdout
