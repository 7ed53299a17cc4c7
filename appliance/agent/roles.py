"""Which role a node has: a pure decision of what was seen."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from appliance.vrrp import Role

_LINE = re.compile(r'^INSTANCE "[^"]*" ([A-Z_]+) \d+$')


@dataclass(frozen=True)
class RoleSight:
    """The world at one moment: what the role is read from.

    `unfit`: why this node cannot serve although keepalived sees nothing amiss, as a sentence; else empty.
    """

    holds_vgw: bool
    ready: bool
    links_up: bool
    unfit: str = ""


@dataclass(frozen=True)
class RoleState:
    """What the agent remembers of its role; `since` in seconds on the monotonic clock."""

    role: Role | None = None
    since: float = 0.0
    changes: int = 0


def announced(line: str) -> str | None:
    """The state that a FIFO line of keepalived's tells, `INSTANCE "VI_1" MASTER 100`; None if it tells none.

    It is a hint that the role may have changed, no more.
    """
    found = _LINE.match(line.strip())
    return found[1] if found else None


def cause(lines: Sequence[str]) -> str | None:
    """What keepalived's lines say of why to look; None where they tell no state."""
    states = [state for line in lines if (state := announced(line))]
    return f"keepalived said {states[-1]}" if states else None


def flickered(lines: Sequence[str]) -> bool:
    """Whether keepalived was MASTER and is no more, all before anybody looked."""
    states = [announced(line) for line in lines]
    left = states[states.index(Role.MASTER) :] if Role.MASTER in states else ()
    return Role.BACKUP in left or Role.FAULT in left


def role_of(sight: RoleSight) -> Role:
    """The role by what is so, not by what was announced: who holds the VGW is the MASTER."""
    if sight.holds_vgw:
        return Role.MASTER
    return Role.BACKUP if sight.ready and sight.links_up else Role.FAULT


def decide(
    state: RoleState, sight: RoleSight, cause: str, now: float
) -> tuple[RoleState, str | None]:
    """The next state, and the decision as one sentence, or None where the role stays."""
    role = role_of(sight)
    if role is state.role:
        return state, None
    before = f", was {state.role} for {now - state.since:.1f} s" if state.role else ""
    sentence = f"now {role}: {_reason(sight)} ({cause}{before})"
    return replace(state, role=role, since=now, changes=state.changes + 1), sentence


def _reason(sight: RoleSight) -> str:
    if sight.holds_vgw:
        return "this node holds the VGW"
    if not sight.links_up:
        return "an interface of the gateway is down"
    if not sight.ready:
        return sight.unfit or "the node is not ready"
    return "the peer is to carry the VGW; this node stands by"
