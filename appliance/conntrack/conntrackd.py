"""conntrackd, which keeps the standby's connection table warm: its orders, counters and queues."""

import contextlib
import os
import re
import sys
from pathlib import Path

from appliance import ApplianceError, system
from appliance.addresses import Address
from appliance.conntrack.orders import Order, Outcome, Queues
from appliance.processes import programs
from appliance.run_dir import RunDir

# conntrackd's own options (conntrackd(8)); an order of several commands ends with the last.
_OPTIONS = {
    Order.DISOWN: ("-f internal",),
    Order.OWN: ("-R",),
    Order.ANNOUNCE: ("-B",),
    Order.REQUEST: ("-n",),
    Order.FLUSH: ("-F",),
    Order.COUNT: ("-s network", "-s queue", "-s"),
}
# A process of our own, which reads and changes the kernel's table.
_KEPT_PORTS = (sys.executable, "-m", "appliance.conntrack.kept_ports")
_ORDER_SECONDS = 30.0  # one that moves a large table answers late; one that is frozen never does
_EVENTS, _MESSAGES = Path("/proc/net/netlink"), Path("/proc/net/udp")
_NETFILTER, _NEWS = "12", 0b111  # NETLINK_NETFILTER; its groups of entries that begin, change, end
_FAULTS = {
    "messages_lost": re.compile(r"Packets lost:\s+(\d+)"),
    "messages_unsent": re.compile(r"not enough space errors:\s+(\d+)"),
    "entries_refused": re.compile(
        r"connections (?:created|updated|destroyed):\s+\d+\s+failed:\s+(\d+)"
    ),
}


def commands(order: Order, run_dir: RunDir, vgw: str) -> list[list[str]]:
    """The programs to run for an order, one after the other."""
    if order is Order.TOUCH_KEPT_PORTS:
        return [[*_KEPT_PORTS, "--tell", str(run_dir.touches_held)]]
    if order is Order.DROP_MOVED:
        return [[*_KEPT_PORTS, "--drop", vgw]]
    program = ["conntrackd", "-C", str(run_dir.conntrackd_conf)]
    return [[*program, *words.split()] for words in _OPTIONS[order]]


class Conntrackd:
    """The door to conntrackd: one order at a time, which nobody waits for; it may take seconds to answer."""

    def __init__(self, run_dir: RunDir) -> None:
        self.run_dir, self.vgw = run_dir, ""
        self.order: Order | None = None
        self.commands: list[list[str]] = []
        self.said: list[str] = []
        self.child: system.Child | None = None
        self.since = 0.0

    def take_up(self, vgw: Address) -> None:
        """Go by this gateway address: its holder has no replicas to drop."""
        self.vgw = str(vgw)

    @property
    def busy(self) -> bool:
        """Whether there is an order whose outcome has not been taken."""
        return self.order is not None

    def give(self, order: Order, now: float) -> None:
        """Begin to carry out an order; the former one's outcome has been taken."""
        self.order, self.said = order, []
        self.commands = commands(order, self.run_dir, self.vgw)
        self._start(now)

    def outcome(self, now: float) -> Outcome | None:
        """How the order ended; None while it has not, or where there is none."""
        if self.order is None:
            return None
        if self.child is None:
            return self._end(self.said[-1])
        if not self.child.ended():
            if now - self.since <= _ORDER_SECONDS:
                return None
            self.child.end()
            return self._end(f"`{self._command}` gave no answer for {_ORDER_SECONDS:.0f} s")
        result = self.child.result()
        if result.returncode != 0:
            return self._end(f"`{self._command}` refused: {result.output or 'no word'}")
        self.said.append(result.stdout)
        self.commands = self.commands[1:]
        if self.commands:
            self._start(now)
            return None
        return self._end("")

    def queues(self, port: int) -> Queues:
        """What waits for it in the kernel now; `port` is where the peer's messages come in."""
        try:
            netlink, udp = (path.read_text(encoding="ascii") for path in (_EVENTS, _MESSAGES))
        except OSError:
            return NO_QUEUES
        return waiting(netlink, udp, port)

    def calm(self, process: int) -> None:
        """Let it run as any process does; by itself it takes the highest realtime priority.

        A bulk update would then keep keepalived and the agent from running for seconds.
        """
        with contextlib.suppress(OSError):  # it is gone already
            os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))

    def restart(self) -> None:
        """Kill it, so that supervisord starts it anew."""
        programs.signal(self.run_dir, "conntrackd", "KILL")

    @property
    def _command(self) -> str:
        return " ".join(self.commands[0])

    def _start(self, now: float) -> None:
        self.child, self.since = None, now
        try:
            self.child = system.child(self.commands[0])
        except ApplianceError as error:
            self.said.append(str(error))

    def _end(self, problem: str) -> Outcome:
        order, self.order, self.child = self.order, None, None
        assert order is not None
        said = "\n".join(self.said)
        if order is Order.COUNT and not problem:
            return Outcome(order, counters=counters(said))
        if order is Order.DROP_MOVED and not problem:
            return Outcome(order, dropped=int(said))
        return Outcome(order, problem)


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


NO_QUEUES = Queues(0, 0, 0)


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
