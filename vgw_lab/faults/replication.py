"""Faults of the replication: of the link it uses, of conntrackd on either node, and of time."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance import NotConverged
from vgw_lab.faults.fault import Check, Fault, Scene, nothing
from vgw_lab.faults.orders import (
    STUMBLE,
    cable,
    lose,
    lose_nothing_at_all,
    power_off,
    power_on,
    signal,
    storm,
)
from vgw_lab.measures import checks, tables
from vgw_lab.measures.checks import Findings
from vgw_lab.worlds.running import Lab
from vgw_lab.worlds.world import wait_until

_TOLD_SECONDS = 15.0
_CONVERGED_SECONDS = 10.0
_REPAIRED_SECONDS = 90.0
_BURST = "to-ports --port 20000 --rate 100000"
_REPLICATION = "udp dport 3780"
_MEANWHILE = 500
_LOSS_PERCENT = 5
# The longest that a drill waits for a timer of the lab to run out.
_PATIENCE_SECONDS = 60.0
_TIMERS = "/proc/sys/net/netfilter/nf_conntrack_"


def _degraded_told(by_master: bool = True) -> Check:
    """The check that the nodes tell that a takeover could lose flows, while the roles stay."""

    def check(lab: Lab, node: str, found: Findings) -> None:
        before = checks.roles(lab)
        for name in (lab.other(node), *([node] if by_master else [])):
            found.within(
                _TOLD_SECONDS,
                f"{name} tells that replication is degraded",
                lambda name=name: checks.degraded(lab, name),  # type: ignore[misc]
            )
        machine = lab.topology.machines[-1].name
        storm(lab, machine, f"{_BURST} --most {_MEANWHILE}")
        found.require(lab.pings(machine), f"{machine}: no ping of a new flow passes meanwhile")
        after = checks.roles(lab)
        found.require(after == before, f"the roles were {before} and became {after} meanwhile")

    return check


def _cut_told(lab: Lab, node: str, found: Findings) -> None:
    """The MASTER hears no adverts, so it cannot know a peer that is cut off from one that is off."""
    found.within(
        _TOLD_SECONDS,
        f"{node} tells that the peer is silent",
        lambda: checks.tells(lab, node, lambda pair: pair.peer is None),
    )
    _degraded_told(by_master=False)(lab, node, found)


def _repaired(lab: Lab, node: str, found: Findings) -> None:
    standby = lab.other(node)
    found.within(_REPAIRED_SECONDS, "replication works again", lambda: checks.replicating(lab))
    found.within(
        _CONVERGED_SECONDS,
        f"{standby} has the flows that began meanwhile",
        lambda: _storms(lab, node) <= _storms(lab, standby),
    )


def _storms(lab: Lab, node: str) -> set[tables.Flow]:
    """The entries of the machine that begins flows in these drills."""
    wires = lab.topology.machines[-1].wires
    source = next(str(wire.address.ip) for wire in wires if wire.address)
    return {flow for flow in tables.of(lab, node) if flow[:2] == ("udp", source)}


def _lossy_sync(lab: Lab, node: str) -> None:
    rule = f"{_REPLICATION} numgen random mod 100 < {_LOSS_PERCENT}"
    for spec in lab.topology.gateways:
        lose(lab, spec.name, "sync", rule)


def _deaf_replica(lab: Lab, node: str) -> None:
    lose(lab, lab.other(node), "sync", _REPLICATION)


def _burst(most: int) -> Check:
    """The check that all flows of a burst are on the standby soon after."""

    def check(lab: Lab, node: str, found: Findings) -> None:
        standby = lab.other(node)
        former = tables.of(lab, node).keys()
        storm(lab, lab.topology.machines[-1].name, f"{_BURST} --most {most}")
        began = tables.of(lab, node).keys() - former
        found.figures["flows that began at once"] = len(began)
        found.require(len(began) >= most / 2, f"{node}: took only {len(began)} of {most} flows")
        found.within(
            _CONVERGED_SECONDS,
            f"{standby} has all of them",
            lambda: began <= tables.of(lab, standby).keys(),
        )

    return check


def _no_fault(lab: Lab, node: str) -> None:
    """What happens is a burst of flows; see the check."""


@contextmanager
def _recovered_conntrackd(lab: Lab, node: str) -> Iterator[None]:
    """conntrackd on the MASTER has been killed, and replication works again."""
    signal("conntrackd", "KILL")(lab, node)
    if not wait_until(lambda: not checks.replicating(lab), _TOLD_SECONDS, every=0.1):
        raise NotConverged(f"{node}: conntrackd was killed, and no node told of it")
    if not wait_until(lambda: checks.replicating(lab), _REPAIRED_SECONDS, every=0.1):
        raise NotConverged(f"{node}: replication does not work again after conntrackd was killed")
    yield


def _timer(lab: Lab, name: str) -> float:
    # Read on the node: /proc/sys/net is the reader's own.
    done = lab.node(lab.topology.gateways[0].name).run(["cat", _TIMERS + name])
    return float(done.stdout) if done.returncode == 0 else math.inf


def _outliving(name: str, times: float) -> Scene:
    """So many times the length of a timer have gone by since the flows were opened."""

    @contextmanager
    def scene(lab: Lab, node: str) -> Iterator[None]:
        time.sleep(times * _timer(lab, name))
        yield

    return scene


def _long_timer(name: str, times: float, key: str) -> Callable[[Lab], str | None]:
    """Why a lab cannot have a drill that waits for a timer: it is a long one."""

    def reason(lab: Lab) -> str | None:
        seconds = times * _timer(lab, name)
        if seconds <= _PATIENCE_SECONDS:
            return None
        return (
            f"it would wait for {seconds:g} s; make a lab with shorter timers "
            f"(vgw lab up --config FILE, in which timeouts.{key} is at most "
            f"{_PATIENCE_SECONDS / times:g})"
        )

    return reason


FAULTS = (
    Fault(
        "sync-down",
        "its sync cable is pulled",
        "silent",
        cable("sync", "down"),
        cable("sync", "up"),
        (17,),
        moves=False,
        gap=STUMBLE,
        turns=0,
        during=_cut_told,
        after=_repaired,
        healthy=_REPAIRED_SECONDS,
    ),
    Fault(
        "sync-loss",
        f"the sync link loses {_LOSS_PERCENT} % of the replication, while many flows begin",
        "silent",
        _lossy_sync,
        lose_nothing_at_all,
        (18,),
        moves=False,
        gap=STUMBLE,
        turns=0,
        during=_burst(2000),
        after=_repaired,
    ),
    Fault(
        "deaf-standby",
        "the standby hears no replication any more, and nothing says so",
        "silent",
        _deaf_replica,
        lose_nothing_at_all,
        (27,),
        moves=False,
        gap=STUMBLE,
        turns=0,
        during=_degraded_told(),
        after=_repaired,
    ),
    Fault(
        "standby-forgets",
        "conntrackd is killed on the standby, which has to learn all flows again",
        "silent",
        signal("conntrackd", "KILL", peer=True),
        nothing,
        (23,),
        moves=False,
        gap=STUMBLE,
        turns=0,
        flows=0.1,
        after=_repaired,
    ),
    Fault(
        "kill-conntrackd",
        "conntrackd was killed and is well again; then the power is cut",
        "silent",
        power_off,
        power_on,
        (24,),
        unplugs=True,
        flows=0.1,
        scene=_recovered_conntrackd,
    ),
    Fault(
        "hang-conntrackd",
        "conntrackd is frozen",
        "silent",
        signal("conntrackd", "STOP"),
        signal("conntrackd", "CONT"),
        (25,),
        moves=False,
        gap=STUMBLE,
        turns=0,
        during=_degraded_told(),
        after=_repaired,
    ),
    Fault(
        "burst",
        "thousands of flows begin at once",
        "silent",
        _no_fault,
        nothing,
        (26,),
        moves=False,
        gap=STUMBLE,
        turns=0,
        during=_burst(20_000),
        after=_repaired,
    ),
    Fault(
        "outlive-udp",
        "UDP flows have outlived their timer; then the power is cut",
        "silent",
        power_off,
        power_on,
        (20,),
        unplugs=True,
        flows=0.1,
        scene=_outliving("udp_timeout_stream", 2.5),
        lacks=_long_timer("udp_timeout_stream", 2.5, "udp_stream"),
    ),
    Fault(
        "idle-tcp",
        "TCP flows were idle for half their timer; then the power is cut",
        "silent",
        power_off,
        power_on,
        (21,),
        unplugs=True,
        flows=0.1,
        scene=_outliving("tcp_timeout_established", 0.5),
        lacks=_long_timer("tcp_timeout_established", 0.5, "tcp_established"),
    ),
)
