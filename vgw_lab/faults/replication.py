"""Faults of the replication: of the link it uses, of conntrackd on either node, and of time."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance import NotConverged
from vgw_lab.faults.fault import Check, Fault, Order, Scene, nothing, possible, unchecked
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
from vgw_lab.worlds.running import HEALTHY_SECONDS, Lab
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


def _endured(
    name: str,
    what: str,
    inject: Order,
    mend: Order,
    row: int,
    *,
    during: Check = unchecked,
    flows: float = 0.0,
    healthy: float = HEALTHY_SECONDS,
) -> Fault:
    """One that the roles outlive and the traffic hardly feels, and after which replication works again."""
    return Fault(
        name,
        what,
        "silent",
        inject,
        mend,
        (row,),
        moves=False,
        gap=STUMBLE,
        turns=0,
        flows=flows,
        during=during,
        after=_repaired,
        healthy=healthy,
    )


def _power_cut_after(
    name: str, before: str, row: int, scene: Scene, lacks: Callable[[Lab], str | None] = possible
) -> Fault:
    """Something that may cost replicas has gone before, and the power cut shows whether it did."""
    return Fault(
        name,
        f"{before}; then the power is cut",
        "silent",
        power_off,
        power_on,
        (row,),
        unplugs=True,
        flows=0.1,
        scene=scene,
        lacks=lacks,
    )


FAULTS = (
    _endured(
        "sync-down",
        "its sync cable is pulled",
        cable("sync", "down"),
        cable("sync", "up"),
        17,
        during=_cut_told,
        healthy=_REPAIRED_SECONDS,
    ),
    _endured(
        "sync-loss",
        f"the sync link loses {_LOSS_PERCENT} % of the replication, while many flows begin",
        _lossy_sync,
        lose_nothing_at_all,
        18,
        during=_burst(2000),
    ),
    _endured(
        "deaf-standby",
        "the standby hears no replication any more, and nothing says so",
        _deaf_replica,
        lose_nothing_at_all,
        27,
        during=_degraded_told(),
    ),
    _endured(
        "standby-forgets",
        "conntrackd is killed on the standby, which has to learn all flows again",
        signal("conntrackd", "KILL", peer=True),
        nothing,
        23,
        flows=0.1,
    ),
    _power_cut_after(
        "kill-conntrackd", "conntrackd was killed and is well again", 24, _recovered_conntrackd
    ),
    _endured(
        "hang-conntrackd",
        "conntrackd is frozen",
        signal("conntrackd", "STOP"),
        signal("conntrackd", "CONT"),
        25,
        during=_degraded_told(),
    ),
    _endured(
        "burst",
        "thousands of flows begin at once",
        _no_fault,
        nothing,
        26,
        during=_burst(20_000),
    ),
    _power_cut_after(
        "outlive-udp",
        "UDP flows have outlived their timer",
        20,
        _outliving("udp_timeout_stream", 2.5),
        _long_timer("udp_timeout_stream", 2.5, "udp_stream"),
    ),
    _power_cut_after(
        "idle-tcp",
        "TCP flows were idle for half their timer",
        21,
        _outliving("tcp_timeout_established", 0.5),
        _long_timer("tcp_timeout_established", 0.5, "tcp_established"),
    ),
)
