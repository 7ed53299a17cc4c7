"""The course sheet's own checks, as written: stop keepalived on the Master, and the ping goes on."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from appliance.config.model import Failback
from vgw_lab import faults
from vgw_lab.drills.drill import mended_when_broken_off, undisturbed
from vgw_lab.worlds.running import PING_TARGET, Lab
from vgw_lab.worlds.world import wait_until

_SPARE_SECONDS = 5.0
_PING_SECONDS = 0.2
# ping(8) that ends, and counts, when standard input does.
_ENDLESS_PING = f"ping -n -i {_PING_SECONDS} {PING_TARGET} & read _; kill -INT $!; wait $!"


@dataclass(frozen=True)
class Check:
    """One line of the sheet: what was done, what it showed, and whether that is what it should."""

    what: str
    seen: str
    passed: bool


@dataclass
class Pings:
    """How many pings were sent, and how many of them answered."""

    sent: int = 0
    answered: int = 0


def course(lab: Lab, say: Callable[[Check], None] = lambda _: None) -> list[Check]:
    """Go through the sheet; `say` hears of each check as it is done.

    Raises NotConverged when a node is off, or the pair not healthy, at the start.
    """
    checks: list[Check] = []

    def note(what: str, seen: str, passed: bool) -> None:
        checks.append(Check(what, seen, passed))
        say(checks[-1])

    machine = lab.topology.machines[0].name
    lab.require_on()
    master = lab.wait_healthy()
    backup = lab.other(master)
    silence = lab.topology.master_down_interval(backup)
    note(f"from {machine}: ping {PING_TARGET}", *_ping(lab, machine))
    stop = faults.fault("stop-keepalived")
    with mended_when_broken_off(lab, stop, master), _endless_ping(lab, machine) as pings:
        _stop_and_start(lab, (master, backup), silence + 2 * _SPARE_SECONDS, note)
        note(f"from {machine}: ping {PING_TARGET}", *_ping(lab, machine))
    lost = pings.sent - pings.answered
    note(
        f"from {machine}: the ping that ran all the while",
        f"{pings.answered} of {pings.sent} answered",
        pings.answered > 0 and lost * _PING_SECONDS <= silence + _PING_SECONDS,
    )
    return checks


def _stop_and_start(
    lab: Lab, pair: tuple[str, str], patience: float, note: Callable[[str, str, bool], None]
) -> None:
    master, backup = pair
    stop = faults.fault("stop-keepalived")
    with undisturbed():
        stop.inject(lab, master)
    note(f"on {master}: stop keepalived", "stopped", True)
    moved = wait_until(lambda: _shows_vgw(lab, backup), patience)
    note(f"on {backup}: {_show(lab, backup)}", _line(lab, backup), moved)
    with undisturbed():
        stop.mend(lab, master)
    note(f"on {master}: start keepalived", "started", True)
    if lab.topology.vgw.failback != Failback.NEVER:
        back = wait_until(lambda: _shows_vgw(lab, master), patience)
        note(f"on {master}: {_show(lab, master)}", _line(lab, master), back)


@contextmanager
def _endless_ping(lab: Lab, machine: str) -> Iterator[Pings]:
    pings = Pings()
    child = lab.node(machine).popen(["sh", "-c", _ENDLESS_PING])
    try:
        yield pings
    finally:
        printed, _ = child.communicate()
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", printed)
    if counts:
        pings.sent, pings.answered = int(counts[1]), int(counts[2])


def _ping(lab: Lab, machine: str) -> tuple[str, bool]:
    passed = wait_until(lambda: lab.pings(machine), _SPARE_SECONDS)
    return ("answered" if passed else "no answer"), passed


def _show(lab: Lab, node: str) -> str:
    """The sheet's command; with virtual MACs the VGW sits on an interface beside the LAN's own."""
    if lab.topology.vgw.virtual_mac:
        return f"ip addr show to {lab.topology.vgw.address.network}"
    return f"ip addr show {lab.interface(node, 'lan')}"


def _addresses(lab: Lab, node: str) -> list[str]:
    shown = lab.node(node).run(_show(lab, node).split()).stdout
    return [line.split()[1] for line in shown.splitlines() if line.strip().startswith("inet ")]


def _shows_vgw(lab: Lab, node: str) -> bool:
    return str(lab.topology.vgw.address) in _addresses(lab, node)


def _line(lab: Lab, node: str) -> str:
    return "lists " + ", ".join(_addresses(lab, node))
