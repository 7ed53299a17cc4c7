"""Keeps the peer's replicas of long-lived flows from expiring, while this node is MASTER.

It is run as `python -m appliance.conntrack.replica_refresh @FILE` beside conntrackd, with its words in that file. While this
node holds the gateway address it touches (drivers.conntrack) what saw traffic since the last pass; a
replica then lags behind its entry by a third of the timer, or less. A node that has just become MASTER
forgets what it saw of TCP connections when it was MASTER before. It lives as long as the node, so it
imports little: no configuration, no plan; what it needs are these words. When they change it begins anew.
"""

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType

from appliance import ApplianceError
from appliance.conntrack import ctnetlink, table
from appliance.wires import local_address

HELD_LOOK = 0.05  # seconds between two looks at that file
TICK = 1.0  # seconds between two looks at who holds the address
# Seconds for which a hold of the file `--held` keeps this process from touching entries: from one telling to the next.
HOLD = 1.0
BREATH = 0.001  # seconds the CPU is left to others after each buffer, which takes as long to read
HASTE = 1.5  # a pass over a whole table takes two thirds of its time: in one go it delays new flows
LEAST_RATE = 1000.0  # touches a second, at least
NICENESS = 5  # forwarding and the agent come first
DEFAULTS = {
    # The kernel's own timers, in seconds (nf_conntrack-sysctl of the kernel's documentation).
    "udp": 30,
    "udp_stream": 120,
    "icmp": 30,
    "tcp_established": 432_000,
    "tcp_unacknowledged": 300,
}


def spacing(timers: Mapping[str, int]) -> dict[str, float]:
    """Seconds between two passes over each kind of entry: a third of its timer, the shortest first.

    A replica's timer may miss one pass then, and the entry need not. An established TCP connection
    runs on the shorter timer `tcp_unacknowledged` while data is under way: an event of that moment
    gives the replica no more, so that one sets the pace.
    """
    short = min(timers["udp"], timers["icmp"]) / 3
    tcp = min(timers["tcp_established"], timers["tcp_unacknowledged"]) / 3
    found = {
        "udp": short,
        "icmp": short,
        "udp_stream": timers["udp_stream"] / 3,
        "tcp_established": tcp,
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def due(spaces: Mapping[str, float], last: Mapping[str, float], now: float) -> list[str]:
    """The kinds whose pass is due, in the order of `spaces`; `last` holds when each began last."""
    return [kind for kind, space in spaces.items() if now - last.get(kind, -math.inf) >= space]


@dataclass
class Refresher:
    """The passes of one node, and what it remembers between them."""

    address: str
    timers: Mapping[str, int]
    rate: float
    hold: str = ""
    last: dict[str, float] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    master: bool | None = None

    def __post_init__(self) -> None:
        """Settle the pace."""
        self.spaces = spacing(self.timers)

    def look(self) -> dict[str, int]:
        """Make the passes that are due, if this node holds the address; how many each touched."""
        touched: dict[str, int] = {}
        try:
            master = local_address.holds(self.address)
        except ApplianceError as error:
            self._tell("role", str(error))
            return touched
        self._tell("role", "")
        before, self.master = self.master, master
        if not master:
            return touched
        if before is False:
            # The former MASTER's timers are the true ones still, and flows that begin now come first.
            self.last = dict.fromkeys(self.spaces, time.monotonic())
        for kind in due(self.spaces, self.last, time.monotonic()):
            touched[kind] = self._pass(kind)
        if not before:
            self._forget()
        return touched

    def _forget(self) -> None:
        """Have connections that this node knows from before end by any RST, not by one that fits alone.

        While the peer was MASTER they went on, past what was seen here. The kernel would doubt the RST that
        ends one, keep it as established for 10 s, and report nothing; were the role to change within these,
        the peer would keep it for hours, and a flow that needs its port get another one there.
        """
        try:
            names = self._while_master(table.strict())
            table.touch(names, self.rate, ctnetlink.LENIENT)
        except ApplianceError as error:
            self._tell("resets", f"replicas on the peer are not refreshed: {error}")
            self.master = None  # the next look tries again
        else:
            self._tell("resets", "")

    def _pass(self, kind: str) -> int:
        """Touch the entries of one kind that saw traffic since its last pass began."""
        began = time.monotonic()
        space = self.spaces[kind]
        # The first pass looks back twice as far: over the end of a process that was here before.
        since = self.last.get(kind, began - 2 * space)
        self.last[kind] = began
        try:
            pace = HASTE * table.count() / space
            names = self._while_master(table.rearmed(kind, self.timers, since), space)
            done = table.touch(names, min(self.rate, max(pace, LEAST_RATE)))
        except ApplianceError as error:
            self._tell(kind, f"replicas on the peer are not refreshed: {error}")
            return 0
        took = time.monotonic() - began
        self._tell(
            kind,
            f"refreshing {done.sent} replicas of {kind} entries took {took:.0f} s, and {space:.0f} s "
            "are allowed; replicas may expire on the peer; lengthen this timer under `timeouts`"
            if took > space
            else "",
        )
        return done.sent

    def _while_master(
        self, batches: Iterator[list[bytes]], space: float = math.inf
    ) -> Iterator[list[bytes]]:
        """What to touch, as long as this node is MASTER; kinds of less space go between in a long pass."""
        for names in batches:
            while held(self.hold):
                time.sleep(HELD_LOOK)
            if not local_address.holds(self.address):
                return  # the new MASTER's timers are the true ones now
            yield names
            time.sleep(BREATH)
            for other in due(self.spaces, self.last, time.monotonic()):
                if self.spaces[other] < space:
                    self._pass(other)

    def _tell(self, about: str, problem: str) -> None:
        """Say a problem once, and once that it is over; what several share is one problem."""
        before = self.said.pop(about, "")
        others = self.said.values()
        if before and not problem and before not in others:
            say(f"over: {before}")
        if problem and not before and problem not in others:
            say(problem)
        if problem:
            self.said[about] = before or problem  # numbers in it may change meanwhile


def held(path: str) -> bool:
    """Whether somebody held this file a moment ago: a standby is told what it must hear first.

    Its time is one of the monotonic clock (`kept_ports.hold`), which nobody sets.
    """
    try:
        return bool(path) and 0 <= time.monotonic() - os.stat(path).st_mtime < HOLD  # noqa: PTH116 - pathlib is not imported
    except OSError:
        return False


def say(sentence: str) -> None:
    """One line for the operator."""
    print(f"refresh: {sentence}", file=sys.stderr, flush=True)


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m appliance.conntrack.replica_refresh",
        description="Keep the peer's replicas from expiring.",
        fromfile_prefix_chars="@",
    )
    parser.add_argument(
        "--address", required=True, help="the gateway address; its holder is MASTER"
    )
    for name, seconds in DEFAULTS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=_positive,
            default=seconds,
            metavar="SECONDS",
            help=f"net.netfilter's timer of {name} (default {seconds})",
        )
    parser.add_argument(
        "--held", default="", metavar="FILE", help=f"while it is young ({HOLD:g} s), touch nothing"
    )
    parser.add_argument("--rate", type=_positive, default=20_000, help="touches a second, at most")
    parser.add_argument("--once", action="store_true", help="one pass over everything, then end")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return number


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)  # nothing to tidy: a pass may stop anywhere


def main() -> int:
    """Refresh until SIGTERM, which ends it with 0; with --once a single time."""
    given = vars(options().parse_args())
    timers = {name: given[name] for name in DEFAULTS}
    signal.signal(signal.SIGTERM, _end)
    os.nice(max(0, NICENESS - os.getpriority(os.PRIO_PROCESS, 0)))
    refresher = Refresher(given["address"], timers, given["rate"], given["held"])
    if given["once"]:
        touched = refresher.look()
        say(", ".join(f"{kind} {number}" for kind, number in touched.items()) or "nothing to do")
        return 1 if refresher.said else 0
    words, began_by = sys.argv[1:], placed(sys.argv[1:])
    while True:
        refresher.look()
        time.sleep(TICK)
        if placed(words) not in (began_by, None):
            # In this very process: to supervisord an end would be a death.
            os.execv(sys.executable, [sys.executable, "-m", __spec__.name, *words])


def placed(words: list[str]) -> tuple[tuple[int, int], ...] | None:
    """Which files the words lie in, by number and time of change; None while one is not there."""
    files = [word.removeprefix("@") for word in words if word.startswith("@")]
    try:
        return tuple((found.st_ino, found.st_mtime_ns) for found in map(os.stat, files))
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main())
