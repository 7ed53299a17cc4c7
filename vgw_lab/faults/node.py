"""Faults of a whole node: its power, its end, a pause of everything on it, and its return."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from appliance import CommandFailed, NotConverged
from appliance.config.model import Failback
from vgw_lab.faults.fault import Fault
from vgw_lab.faults.orders import begin_storm, lasting, power_off, power_on
from vgw_lab.measures import newcomers, tables
from vgw_lab.measures.checks import Findings
from vgw_lab.worlds.running import HEALTHY_SECONDS, Lab
from vgw_lab.worlds.world import wait_until

SWITCHOVER = "switchover"
# How long it goes on once the standby has taken over, and how long newcomers come after it.
FROZEN_SECONDS = 20.0
_THAWED_SECONDS = 10.0
_AWAY_SECONDS = 10.0
_MOVE_SECONDS = 10.0
_UP_SECONDS = 6.0
# Of the peer's flows a node must have nearly all when it says it is ready: some began meanwhile.
_REPLICAS = 0.95
_NOBODY_TAKES_IT = "no process runs to take the VGW off it; its kernel answers nobody for it"


def _crash(lab: Lab, node: str) -> None:
    lab.node(node).crash()


def _shut_down(lab: Lab, node: str) -> None:
    lab.node(node).shut_down()


def _freeze(lab: Lab, node: str) -> None:
    lab.node(node).freeze()


def _thaw(lab: Lab, node: str) -> None:
    lab.node(node).thaw()


def _newcomers(lab: Lab, node: str, found: Findings) -> None:
    newcomers.check(lab, found, FROZEN_SECONDS, "while it was frozen")


def _newcomers_after(lab: Lab, node: str, found: Findings) -> None:
    newcomers.check(lab, found, _THAWED_SECONDS, "after the thaw")


def _hand_over(lab: Lab, node: str) -> None:
    done = lab.node(node).run(["vgw", "switchover"])
    if done.returncode != 0:
        raise CommandFailed(f"{node}: vgw switchover: {done.output}")


def _take_back(lab: Lab, node: str) -> None:
    if node not in lab.holders():
        _hand_over(lab, lab.other(node))


def _cannot_hand_over(lab: Lab) -> str | None:
    plain = lab.topology.vgw.failback == Failback.PLAIN
    return "with failback: plain the VGW would come back at once" if plain else None


@contextmanager
def _twice(lab: Lab, node: str) -> Iterator[None]:
    """The node has failed and come back once already."""
    standby = lab.other(node)
    power_off(lab, node)
    if not wait_until(lambda: lab.holders() == (standby,), _MOVE_SECONDS):
        raise NotConverged(f"{standby}: did not take over when {node} failed the first time")
    power_on(lab, node)
    lab.wait_healthy()
    yield


def _watch(lab: Lab, node: str, found: Findings) -> None:
    """Wait for what a timer of the first takeover might still do to the flows."""
    lab.wait_healthy()
    time.sleep(found.watch)


def _both_off(lab: Lab, node: str) -> None:
    for spec in lab.topology.gateways:
        power_off(lab, spec.name)


def _both_on(lab: Lab, node: str) -> None:
    names = [spec.name for spec in lab.topology.gateways]
    with ThreadPoolExecutor(len(names)) as together:
        list(together.map(lambda name: power_on(lab, name), names))


def _comes_up(lab: Lab, node: str, found: Findings) -> None:
    found.within(_UP_SECONDS, "the VGW is held after a cold start", lab.holders)


@contextmanager
def _new_flows(lab: Lab, node: str) -> Iterator[None]:
    """Flows begin all the while, and nothing ends them."""
    machine = lab.topology.machines[-1].name
    child = begin_storm(lab, machine, "to-ports --port 20000 --rate 200 --seconds 120")
    try:
        yield
    finally:
        child.communicate()


def _ready_with_replicas(lab: Lab, node: str, found: Findings) -> None:
    found.within(HEALTHY_SECONDS, f"{node} says that it is ready", lambda: _is_ready(lab, node))
    here, there = len(tables.of(lab, node)), len(tables.of(lab, lab.other(node)))
    found.figures[f"entries on {node} when it says so"] = here
    found.figures[f"entries on {lab.other(node)} then"] = there
    found.require(
        here >= _REPLICAS * there,
        f"{node} said that it is ready with {here} entries, where {lab.other(node)} has {there}",
    )


def _is_ready(lab: Lab, node: str) -> bool:
    told = lab.status(node)
    return told is not None and told.ready


FAULTS = (
    Fault("power-off", "its power is cut", "silent", power_off, power_on, (4,), unplugs=True),
    Fault("clean-stop", "it is told to stop", "announced", _shut_down, power_on, (1,)),
    Fault("kill-all", "all its processes are killed", "silent", _crash, power_on, (4,)),
    Fault(
        "freeze-node",
        f"all its processes are frozen, and go on {FROZEN_SECONDS:g} s later",
        "silent",
        _freeze,
        _thaw,
        (5, 6),
        back=0.3,
        flows=0.1,
        during=_newcomers,
        after=_newcomers_after,
        known={"held": _NOBODY_TAKES_IT},
    ),
    Fault(
        SWITCHOVER,
        "the VGW is handed over, and back",
        "announced",
        _hand_over,
        _take_back,
        lacks=_cannot_hand_over,
    ),
    Fault(
        "fail-twice",
        "it fails, comes back, and fails again; then all flows are kept for long",
        "silent",
        power_off,
        power_on,
        (22,),
        unplugs=True,
        turns=4,
        flows=0.1,
        scene=_twice,
        after=_watch,
    ),
    Fault(
        "cold-start",
        "both nodes are off, and start together",
        "silent",
        _both_off,
        _both_on,
        (40,),
        moves=None,
        cuts=True,
        after=_comes_up,
    ),
    Fault(
        "return-later",
        f"its power is cut for {_AWAY_SECONDS:g} s, in which thousands of flows begin",
        "silent",
        power_off,
        power_on,
        (41,),
        unplugs=True,
        scene=_new_flows,
        during=lasting(_AWAY_SECONDS),
        after=_ready_with_replicas,
    ),
)
