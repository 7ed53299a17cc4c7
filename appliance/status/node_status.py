"""What the agent last saw and did, as it lies in status.json: its types, down to the leaves.

SCHEMA rises when a key changes its meaning or goes; a key that comes has a default, and changes nothing
for a reader that does not know it. docs/compatibility.md promises this.
"""

import json
import math
from typing import Any, NamedTuple

from appliance import ApplianceError
from appliance.status import typed_json
from appliance.vrrp import Role

SCHEMA = 1


class Promise(NamedTuple):
    """How long VRRP's formulas give the node of lower priority to take over, in seconds."""

    takeover_s: float
    """After a crash."""
    release_s: float
    """After a clean stop."""


class Counters(NamedTuple):
    """What went wrong since conntrackd started; None until it has been asked."""

    messages_lost: int | None = None
    """On the way here."""
    messages_unsent: int | None = None
    """For want of room in its queues."""
    entries_refused: int | None = None
    """By the kernel."""


class PeerStatus(NamedTuple):
    """What the peer said of itself in its last beat; `appliance.pair.beat` explains each word."""

    node: str
    role: Role
    ready: bool
    reason: str
    priority: int
    entries: int
    quiet: float | None
    still: float | None
    generation: int
    canary: int
    seen: int
    replicas: bool
    asks: int
    prepared: int
    config: str
    version: str = ""
    """Of VGW there; empty where it does not tell."""
    digest: str = ""


class PairStatus(NamedTuple):
    """What the node knows of the pair: its verdict, its way out, the tables, and the replication."""

    reason: str
    """The verdict in a sentence."""
    aside: bool
    uplink: bool | None
    """Whether the way out works; None where nobody is asked."""
    entries: int
    entries_limit: int
    refused: int | None
    """New flows that found no free port or entry, since the node started."""
    canary: int
    """The number of the last one planted here."""
    lag_ms: float | None
    """How late the peer's last canary was."""
    degraded: str
    """Why a takeover could lose flows; empty where none would."""
    behind: str
    """Which of the newest flows the standby lacks; empty where none."""
    behind_s: float
    """For how many seconds the oldest canary that has not arrived is on its way."""
    counters: Counters
    peer: PeerStatus | None
    """None when it has fallen silent."""
    false_takeovers: int = 0
    """How often one took over beside a MASTER that lived, since the agent started."""
    standstills: int = 0
    """How often a MASTER stood still and went on, since the agent started."""


class Dropped(NamedTuple):
    """What the rules of one chain that have one reason dropped, since the ruleset was loaded."""

    chain: str
    rule: str
    """The reason."""
    packets: int
    bytes: int


class Snapshot(NamedTuple):
    """The node at one moment. Times of day in seconds since 1970, durations as their names say."""

    node: str
    config: str
    """The file that the agent was told to go by."""
    role: Role
    since: float
    """Since when it has this role."""
    written: float
    sentence: str
    """The last decision about the role."""
    vgw: str
    wan_vip: str
    profile: str
    failback: str
    promise: Promise
    ready: bool
    programs: dict[str, str]
    """What supervisord says of each; empty where it does not answer."""
    pair: PairStatus
    version: str
    """Of VGW."""
    role_changes: int = 0
    repairs: int = 0
    """Changes made because the machine had drifted from the plan."""
    repaired: tuple[str, ...] = ()
    """The last of them."""
    problems: tuple[str, ...] = ()
    """What could not be put right."""
    file_errors: tuple[str, ...] = ()
    """Why the file is not in force, but what was taken up before it: its errors; empty where it is."""
    moved_ms: float | None = None
    """How long the node's own routes took at the last change of role, from keepalived's word on."""
    resident_mb: float = 0.0
    """The agent's memory."""
    dropped: tuple[Dropped, ...] = ()
    """Read each 10 s; empty where the ruleset is not in force."""
    in_the_way: tuple[str, ...] = ()
    """Whose routes, rules or filters take or drop what has to pass, and the mend; they are among the problems."""
    boot: str = ""
    """The kernel's id of this start of the machine (random(4)); empty where an older VGW wrote this."""
    since_s: float = 0.0
    """`since` and `written` in seconds on that start's monotonic clock, which nobody sets: ages are told by these."""
    written_s: float = 0.0


class Moment(NamedTuple):
    """Now, for whoever asks how old something is."""

    boot: str
    monotonic: float
    wall: float
    """For what an older VGW wrote."""

    def since(self, snapshot: Snapshot, monotonic: float, wall: float) -> float:
        """Seconds since a moment that a snapshot tells of by both clocks; infinite where that was before this start."""
        if not snapshot.boot:
            return max(0.0, self.wall - wall)
        return max(0.0, self.monotonic - monotonic) if snapshot.boot == self.boot else math.inf

    def age(self, snapshot: Snapshot) -> float:
        """How old it is, in seconds."""
        return self.since(snapshot, snapshot.written_s, snapshot.written)

    def in_role(self, snapshot: Snapshot) -> float:
        """For how long the node has had its role, in seconds."""
        return self.since(snapshot, snapshot.since_s, snapshot.since)


def to_json(snapshot: Snapshot) -> str:
    """The snapshot as one JSON object."""
    return json.dumps({"schema": SCHEMA, **typed_json.plain(snapshot)}, indent=2) + "\n"


def from_json(text: str, place: str = "status.json") -> Snapshot:
    """The snapshot that `to_json` wrote to `place`.

    Raises ApplianceError with a sentence where it is damaged, or another version's.
    """
    try:
        found = json.loads(text)
        if isinstance(found, dict) and found.get("schema") != SCHEMA:
            raise ApplianceError(_foreign(found, place))
        snapshot: Snapshot = typed_json.read(Snapshot, found)
    except (ValueError, RecursionError) as error:
        raise ApplianceError(
            f"{place} is damaged ({error}): an agent that runs replaces it within a second; if none "
            "does, `vgw start` writes a new one"
        ) from None
    return snapshot


def _foreign(found: dict[str, Any], place: str) -> str:
    number = found.get("schema")
    known = type(number) is int and abs(number) < 2**31
    theirs = f"schema {number}" if known else "no schema number"
    return (
        f"{place} was written by another version of VGW ({theirs}, this one reads {SCHEMA}): ask by "
        "the `vgw` of the node that runs, or start the node anew by this one"
    )
