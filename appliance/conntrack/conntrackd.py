"""conntrackd, which keeps the standby's connection table warm: its orders, counters and queues."""

import contextlib
import os
import re
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from appliance import CommandFailed, system
from appliance.run_dir import RunDir

# An order to the kernel by a process of our own, after which conntrackd tells of some entries.
SIBLINGS = "siblings"
_SECONDS = 30.0  # one that moves a large table answers late; one that is frozen never does
_EVENTS, _MESSAGES = Path("/proc/net/netlink"), Path("/proc/net/udp")
_NETFILTER, _NEWS = "12", 0b111  # NETLINK_NETFILTER; its groups of entries that begin, change, end
_FAULTS = {
    "messages_lost": re.compile(r"Packets lost:\s+(\d+)"),
    "messages_unsent": re.compile(r"not enough space errors:\s+(\d+)"),
    "entries_refused": re.compile(
        r"connections (?:created|updated|destroyed):\s+\d+\s+failed:\s+(\d+)"
    ),
}

Then = Callable[[str], None]


class Orders:
    """Orders to conntrackd, one after the other, which nobody waits for: it may take seconds to answer."""

    def __init__(self, run_dir: RunDir) -> None:
        self.config = run_dir.conntrackd_conf
        self.waiting: deque[tuple[str, Then | None]] = deque()
        self.running: system.Child | None = None
        self.since = 0.0

    @property
    def busy(self) -> bool:
        """Whether there is an order that has not been carried out."""
        return bool(self.running or self.waiting)

    def give(self, words: str, then: Then | None = None) -> None:
        """Add an order in conntrackd's own words, or SIBLINGS; `then` hears what it answered."""
        self.waiting.append((words, then))

    def drop(self) -> None:
        """Forget the orders that wait; one that is being carried out goes on."""
        while len(self.waiting) > (1 if self.running else 0):
            self.waiting.pop()

    def advance(self, now: float) -> None:
        """Take up what was answered, and give the next order.

        Raises CommandFailed where one was refused or brought no answer; all others are dropped then.
        """
        if self.running and self.running.ended():
            self._take_answer(self.running)
        elif self.running and now - self.since > _SECONDS:
            self.running.end()
            self._give_up(f"gave no answer for {_SECONDS:.0f} s")
        if self.running is None and self.waiting:
            self.running = system.child(self._command(self.waiting[0][0]))
            self.since = now

    def _command(self, words: str) -> list[str]:
        if words == SIBLINGS:
            return [sys.executable, "-m", "appliance.conntrack.kept_ports"]
        return ["conntrackd", "-C", str(self.config), *words.split()]

    def _take_answer(self, child: system.Child) -> None:
        result = child.result()
        if result.returncode != 0:
            self._give_up(f"refused: {result.output or 'no word'}")
        self.running = None
        _, then = self.waiting.popleft()
        if then:
            then(result.stdout)

    def _give_up(self, why: str) -> None:
        command = " ".join(self._command(self.waiting[0][0]))
        self.waiting.clear()
        self.running = None
        raise CommandFailed(f"`{command}` {why}")


def counters(said: str) -> dict[str, int]:
    """What went wrong since conntrackd started, out of its `-s`, `-s network` and `-s queue`.

    Messages lost or unsent, and entries that the kernel refused to take.
    """
    injected = said.partition("external inject")[2]
    text = {"entries_refused": injected.partition("\n\n")[0]}
    return {
        name: sum(map(int, pattern.findall(text.get(name, said))))
        for name, pattern in _FAULTS.items()
    }


class Queues(NamedTuple):
    """What waits for conntrackd in the kernel, in bytes, and how many events found no room there."""

    events: int
    messages: int
    dropped: int


NO_QUEUES = Queues(0, 0, 0)


def queues(port: int) -> Queues:
    """The queues now; `port` is where the peer's messages come in."""
    try:
        netlink, udp = (path.read_text(encoding="ascii") for path in (_EVENTS, _MESSAGES))
    except OSError:
        return NO_QUEUES
    return waiting(netlink, udp, port)


def waiting(netlink: str, udp: str, port: int) -> Queues:
    """The queues in the text of /proc/net/netlink and of /proc/net/udp."""
    events = dropped = messages = 0
    for _, protocol, _, groups, waits, *_, drops, _ in map(str.split, netlink.splitlines()[1:]):
        if protocol == _NETFILTER and int(groups, 16) & _NEWS == _NEWS:
            events, dropped = events + int(waits), dropped + int(drops)
    for _, local, _, _, waits, *_ in map(str.split, udp.splitlines()[1:]):
        if int(local.partition(":")[2], 16) == port:
            messages += int(waits.partition(":")[2], 16)
    return Queues(events, messages, dropped)


def calm(pid: int) -> None:
    """Let conntrackd run as any process does; by itself it takes the highest realtime priority.

    A bulk update would then keep keepalived and the agent from running for seconds.
    """
    with contextlib.suppress(OSError):  # it is gone already
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
