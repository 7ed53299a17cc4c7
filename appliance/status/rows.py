"""The snapshot as lines for people: what an operator asks, in the order of asking."""

from appliance.status.health import sickness, span
from appliance.status.node_status import Moment, PairStatus, PeerStatus, Snapshot
from appliance.vrrp import Role

_WAY_OUT = {True: "works", False: "is dead", None: "not asked"}


def rows(snapshot: Snapshot, now: Moment) -> list[tuple[str, str]]:
    """A name and a value a row."""
    takeover, release = snapshot.promise
    programs = ", ".join(f"{name} {state}" for name, state in sorted(snapshot.programs.items()))
    found = [
        ("node", snapshot.node),
        ("role", f"{snapshot.role} for {span(now.in_role(snapshot))}"),
        ("why", snapshot.sentence),
        ("VGW", snapshot.vgw),
        ("WAN VIP", snapshot.wan_vip),
        (
            "profile",
            f"{snapshot.profile}: takeover in {takeover:.2f} s after a crash, "
            f"{release:.2f} s after a clean stop",
        ),
        ("ready", _ready(snapshot)),
        *_pair(snapshot.pair, snapshot.role),
        ("programs", programs or "supervisord does not answer"),
        ("repairs", _repairs(snapshot)),
    ]
    found += [("file", line) for line in _file(snapshot)]
    found += [("problem", problem) for problem in snapshot.problems]
    ailing = sickness(snapshot, now)
    if ailing and not snapshot.problems and snapshot.role is not Role.FAULT:
        found.append(("problem", ailing))
    return found


def _file(snapshot: Snapshot) -> tuple[str, ...]:
    """What is to be said of the operator's file: nothing where it is in force."""
    if not snapshot.file_errors:
        return ()
    return (
        f"{snapshot.config} is not in force: this node goes on by what it took up before, and could "
        "not be started anew; mend the file, then `vgw apply`",
        *snapshot.file_errors,
    )


def _ready(snapshot: Snapshot) -> str:
    reason = snapshot.pair.reason
    word = "yes" if snapshot.ready else "no"
    return word if not reason or reason == "all is well" else f"{word}: {reason}"


def _pair(pair: PairStatus, role: Role) -> list[tuple[str, str]]:
    """The peer and the replication."""
    peer = pair.peer
    flows = f"{pair.entries} of at most {pair.entries_limit} here"
    if peer:
        flows += f", {peer.entries} on {peer.node}"
    if pair.lag_ms is not None and role is not Role.MASTER:
        flows += f"; a new one is here after {pair.lag_ms:.0f} ms"
    found = [
        ("peer", _peer(peer) if peer else "silent"),
        ("way out", _WAY_OUT[pair.uplink]),
        ("flows", flows),
    ]
    if pair.behind:
        found.append(("behind", pair.behind))
    if pair.degraded:
        found.append(("degraded", pair.degraded))
    return found


def _peer(peer: PeerStatus) -> str:
    version = f"VGW {peer.version}" if peer.version else "an older VGW"
    return f"{peer.node} is {peer.role} ({version}): {peer.reason}"


def _repairs(snapshot: Snapshot) -> str:
    if not snapshot.repairs:
        return "0"
    return f"{snapshot.repairs}, the last: {'; '.join(snapshot.repaired)}"
