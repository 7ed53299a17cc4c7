"""Is the node healthy? A pure judgement of its snapshot."""

import math

from appliance.status.node_status import Moment, Snapshot
from appliance.vrrp import Role

STATUS_SILENCE = 5.0  # seconds after which an agent that writes each second must be taken for dead


def sickness(snapshot: Snapshot, now: Moment) -> str | None:
    """Why this node could not be, or become, a MASTER that works; None where it could."""
    if (age := now.age(snapshot)) > STATUS_SILENCE:
        return f"the agent last wrote its status {span(age)} ago"
    if snapshot.problems:
        return "; ".join(snapshot.problems)
    if snapshot.role is Role.FAULT or not snapshot.ready:
        return snapshot.sentence
    if snapshot.programs.get("keepalived") != "RUNNING":
        return f"keepalived is {snapshot.programs.get('keepalived', 'not under supervisord')}"
    return None


def span(seconds: float) -> str:
    """A duration as people say it."""
    if math.isinf(seconds):
        return "a start of the machine"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
