"""Switchover: hand the VGW to the peer while both nodes live, so that nothing is lost."""

from collections.abc import Callable

from appliance import ApplianceError, NotConverged, system
from appliance.pair.canaries import CANARY_STEP
from appliance.processes import notes
from appliance.run_dir import RunDir
from appliance.status import health, status_file
from appliance.status.node_status import PeerStatus, Snapshot
from appliance.vrrp import Role

NEWS_SECONDS = (
    2.0  # until a status tells what the peer has said since; a status is written each second
)
BARRIER_SECONDS = 10.0
MOVE_SECONDS = 10.0
_STEP = 0.02  # seconds between two looks


def switchover(run_dir: RunDir, to: str | None) -> str:
    """Make `to`, else the peer, the MASTER; the sentence that tells how it went.

    First the barrier: what this node's table holds now must have arrived on the peer. Then this
    node ranks itself below the peer, which takes over while this one still forwards. Raises
    ApplianceError with the reason where that would lose flows, and NotConverged where it did not
    happen, and then the order is taken back.
    """
    snapshot = _snapshot(run_dir)
    if to == snapshot.node and snapshot.role is Role.MASTER:
        return f"{to} is MASTER already"
    snapshot = _settled(run_dir, snapshot)
    peer = successor(snapshot, to).node
    began, number = system.monotonic(), snapshot.pair.canary
    _wait(
        run_dir,
        lambda now: has_arrived(now, number),
        BARRIER_SECONDS,
        f"{peer} did not tell that it has all flows; `vgw status` there may tell why",
    )
    synced = system.monotonic()
    notes.ask_aside(run_dir, asked=True)
    try:
        moved = _wait(
            run_dir,
            lambda now: now.role is not Role.MASTER and _is_master(now.pair.peer),
            MOVE_SECONDS,
            f"{peer} did not take over; the order is taken back",
        )
    except BaseException:
        notes.ask_aside(run_dir, asked=False)
        raise
    done = system.monotonic()
    return (
        f"{peer} is MASTER and {snapshot.node} is {moved.role}: {moved.pair.entries} entries, "
        f"barrier {synced - began:.1f} s, handed over in {done - synced:.1f} s; "
        f"`vgw switchover` on {peer} gives it back"
    )


def has_arrived(now: Snapshot, number: int) -> bool:
    """Whether the peer has told of a canary that was planted since the one of this number was the last.

    The next may have been planted before; the one after was not. A number that was not reached yet is a former agent's.
    """
    peer = now.pair.peer
    return peer is not None and number + CANARY_STEP < peer.seen <= now.pair.canary


def _is_master(peer: PeerStatus | None) -> bool:
    return peer is not None and peer.role is Role.MASTER


def successor(snapshot: Snapshot, to: str | None) -> PeerStatus:
    """The peer, where it can take over without a loss. Raises ApplianceError with the reason."""
    peer = snapshot.pair.peer
    if snapshot.role is not Role.MASTER:
        master = f"; {peer.node} is" if peer and _is_master(peer) else ""
        raise ApplianceError(
            f"{snapshot.node} is {snapshot.role}, and only the MASTER can hand over{master}: "
            "run `vgw switchover` there"
        )
    if peer is None:
        raise ApplianceError("the peer is silent on the sync link: nobody is there to take over")
    if to not in (None, peer.node):
        raise ApplianceError(f"--to {to}: there is no such node; the peer is {peer.node}")
    if snapshot.failback == "plain":
        raise ApplianceError(
            f"the profile {snapshot.profile} preempts by itself: the VGW would come back at once; "
            "stop the node instead, or set vgw.failback to gated"
        )
    if not peer.ready:
        raise ApplianceError(f"{peer.node} is not ready: {peer.reason}")
    if not peer.replicas:
        raise ApplianceError(f"{peer.node} lacks replicas: its `vgw status` tells why")
    if snapshot.pair.degraded:
        raise ApplianceError(f"replication is degraded: {snapshot.pair.degraded}")
    return peer


def _settled(run_dir: RunDir, snapshot: Snapshot) -> Snapshot:
    """A later one, where this one tells of a peer that lacks replicas: it may have fetched them since."""
    deadline = system.monotonic() + NEWS_SECONDS
    while (peer := snapshot.pair.peer) and not peer.replicas and system.monotonic() < deadline:
        system.pause(_STEP)
        snapshot = _snapshot(run_dir)
    return snapshot


def _snapshot(run_dir: RunDir) -> Snapshot:
    snapshot = status_file.read(run_dir)
    if status_file.moment().age(snapshot) > health.STATUS_SILENCE:
        raise ApplianceError("the agent of this node is silent; `vgw status` tells since when")
    return snapshot


def _wait(
    run_dir: RunDir, condition: Callable[[Snapshot], bool], seconds: float, failure: str
) -> Snapshot:
    deadline = system.monotonic() + seconds
    while not condition(snapshot := _snapshot(run_dir)):
        if system.monotonic() > deadline:
            raise NotConverged(f"{failure} (waited {seconds:.0f} s)")
        system.pause(_STEP)
    return snapshot
