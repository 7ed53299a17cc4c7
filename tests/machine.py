"""How much of this machine's processors others use while a test measures: beside them a time says little."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# Seconds from one look to the next, and how many processors others may use in between.
LOOK_SECONDS = 1.0
QUIET = 0.25
TICKS = os.sysconf("SC_CLK_TCK")
# The parent of the kernel's own threads.
KTHREADD = 2


@dataclass(frozen=True)
class Process:
    """A process, its parent, and the processor seconds that it and the children it waited for have used."""

    parent: int
    seconds: float


Processes = dict[int, Process]


@dataclass(frozen=True)
class Look:
    """The machine at one moment: the processor seconds that all have used, and which processes are ours."""

    at: float
    seconds: float
    ours: Processes


def look(root: int, labs: str) -> Look:
    """The machine now. Ours is what descends from `root`, from the kernel, or from a lab so named at the front."""
    everybody = _everybody()
    tag = f"VGW_LAB={labs}".encode()
    roots = {pid for pid in everybody if pid in {root, KTHREADD} or _is_tagged(pid, tag)}
    return Look(time.monotonic(), _busy(), _descendants(roots, everybody))


def used_by_others(before: Look, after: Look) -> float:
    """How many processors others used between two looks; what a hypervisor took is theirs."""
    total = sum(process.seconds for process in after.ours.values())
    # What a process used that has ended is its parent's now, where that is ours and waited for it.
    former = sum(
        process.seconds
        for pid, process in before.ours.items()
        if _is_counted(pid, before.ours, after.ours)
    )
    used = (after.seconds - before.seconds) - (total - former)
    return max(0.0, used / (after.at - before.at))


def _is_counted(pid: int, before: Processes, after: Processes) -> bool:
    """Whether a process, or an ancestor that may have waited for it, is still there."""
    while pid in before and pid not in after:
        pid = before[pid].parent
    return pid in after


def _busy() -> float:
    """Processor seconds of all processes since the start (proc_stat(5)); interrupts are nobody's."""
    words = Path("/proc/stat").read_text().split(maxsplit=9)
    user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, words[1:9])
    return (user + nice + system + steal) / TICKS


def _everybody() -> Processes:
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may hold anything: state, parent, … (proc_pid_stat(5)).
            words = (directory / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        found[int(directory.name)] = Process(int(words[1]), sum(map(int, words[11:15])) / TICKS)
    return found


def _is_tagged(pid: int, tag: bytes) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(variable.startswith(tag) for variable in variables)


def _descendants(roots: set[int], everybody: Processes) -> Processes:
    children: dict[int, set[int]] = {}
    for pid, process in everybody.items():
        children.setdefault(process.parent, set()).add(pid)
    found: set[int] = set()
    due = roots & everybody.keys()
    while due:
        found |= due
        due = {child for pid in due for child in children.get(pid, ())} - found
    return {pid: everybody[pid] for pid in found}


class Watch:
    """Looks at the machine each second while its block runs, and keeps the most that others have used."""

    def __init__(self, root: int, labs: str) -> None:
        self._root, self._labs = root, labs
        self._last = look(root, labs)
        self._most = 0.0
        self._ended = threading.Event()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def busy(self) -> str:
        """Why times say little here, in a sentence; empty where the machine was ours."""
        if time.monotonic() - self._last.at > LOOK_SECONDS / 2:
            self._look()
        if self._most <= QUIET:
            return ""
        return f"others used up to {self._most:.1f} of {os.cpu_count()} processors meanwhile"

    def _look_on(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        with self._turn:
            now = look(self._root, self._labs)
            self._most = max(self._most, used_by_others(self._last, now))
            self._last = now
