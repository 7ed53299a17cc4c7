"""What the agent last saw and did, and its faces: JSON for programs, lines for people."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from appliance import vrrp
from appliance.config.model import Config


@dataclass(frozen=True)
class Snapshot:
    """The node at one moment. Times of day in seconds since 1970, durations as their names say.

    `config` is the file the agent goes by; `repairs` counts the changes made because the machine had drifted from the plan; `moved_ms` is
    how long the node's own routes took at the last change of role, from keepalived's word to the
    kernel's consent. `pair` is what is known of the peer and of the replication.
    """

    node: str
    config: str
    role: str
    since: float
    written: float
    sentence: str
    vgw: str
    wan_vip: str
    profile: str
    failback: str
    promise: dict[str, float]
    ready: bool
    role_changes: int = 0
    repairs: int = 0
    repaired: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    moved_ms: float | None = None
    resident_mb: float = 0.0
    programs: dict[str, str] = field(default_factory=dict)
    pair: dict[str, Any] = field(default_factory=dict)


def promise(config: Config) -> dict[str, float]:
    """How long the formula gives the node of lower priority to take over, in seconds."""
    vgw, backup = config.vgw, min(node.priority for node in config.nodes.values())
    terms = (vgw.vrrp_version, backup, vgw.advert_interval)
    return {
        "takeover_s": round(vrrp.master_down_interval(*terms), 4),
        "release_s": round(vrrp.skew_time(*terms), 4),
    }


def to_json(snapshot: Snapshot) -> str:
    """The snapshot as one JSON object."""
    return json.dumps(asdict(snapshot), indent=2) + "\n"


def from_json(text: str) -> Snapshot:
    """The snapshot that `to_json` wrote. Raises ValueError and TypeError for anything else."""
    data = json.loads(text)
    for name in ("repaired", "problems"):
        data[name] = tuple(data[name])
    return Snapshot(**data)


SILENCE = 5.0  # seconds after which an agent that writes each second must be taken for dead


def sickness(snapshot: Snapshot, now: float) -> str | None:
    """Why this node could not be, or become, a MASTER that works; None where it could."""
    if now - snapshot.written > SILENCE:
        return f"the agent last wrote its status {_span(now - snapshot.written)} ago"
    if snapshot.problems:
        return "; ".join(snapshot.problems)
    if snapshot.role == "FAULT" or not snapshot.ready:
        return snapshot.sentence
    if snapshot.programs.get("keepalived") != "RUNNING":
        return f"keepalived is {snapshot.programs.get('keepalived', 'not under supervisord')}"
    return None


def rows(snapshot: Snapshot, now: float) -> list[tuple[str, str]]:
    """What an operator asks, in the order of asking: a name and a value a row."""
    takeover, release = snapshot.promise["takeover_s"], snapshot.promise["release_s"]
    programs = ", ".join(f"{name} {state}" for name, state in sorted(snapshot.programs.items()))
    found = [
        ("node", snapshot.node),
        ("role", f"{snapshot.role} for {_span(now - snapshot.since)}"),
        ("why", snapshot.sentence),
        ("VGW", snapshot.vgw),
        ("WAN VIP", snapshot.wan_vip),
        (
            "profile",
            f"{snapshot.profile}: takeover in {takeover:.2f} s after a crash, "
            f"{release:.2f} s after a clean stop",
        ),
        ("ready", _ready(snapshot)),
        *_pair(snapshot),
        ("programs", programs or "supervisord does not answer"),
        ("repairs", _repairs(snapshot)),
    ]
    found += [("problem", problem) for problem in snapshot.problems]
    ailing = sickness(snapshot, now)
    if ailing and not snapshot.problems and snapshot.role != "FAULT":
        found.append(("problem", ailing))
    return found


def _ready(snapshot: Snapshot) -> str:
    reason = snapshot.pair.get("reason", "")
    word = "yes" if snapshot.ready else "no"
    return word if not reason or reason == "all is well" else f"{word}: {reason}"


def _pair(snapshot: Snapshot) -> list[tuple[str, str]]:
    """The peer and the replication, where the agent has told of them."""
    told = snapshot.pair
    if not told:
        return []
    peer = told["peer"]
    flows = f"{told['entries']} of at most {told['entries_limit']} here"
    if peer:
        flows += f", {peer['entries']} on {peer['node']}"
    if told["lag_ms"] is not None and snapshot.role != "MASTER":
        flows += f"; a new one is here after {told['lag_ms']:.0f} ms"
    found = [
        ("peer", f"{peer['node']} is {peer['role']}: {peer['reason']}" if peer else "silent"),
        ("way out", {True: "works", False: "is dead", None: "not asked"}[told["uplink"]]),
        ("flows", flows),
    ]
    if told["behind"]:
        found.append(("behind", told["behind"]))
    if told["degraded"]:
        found.append(("degraded", told["degraded"]))
    return found


def _repairs(snapshot: Snapshot) -> str:
    if not snapshot.repairs:
        return "0"
    return f"{snapshot.repairs}, the last: {'; '.join(snapshot.repaired)}"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
