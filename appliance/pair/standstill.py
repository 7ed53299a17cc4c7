"""A MASTER that stood still: it cannot tell meanwhile, so it and its peer tell it afterwards. Pure."""

from dataclasses import dataclass

from appliance.pair.changed import changed
from appliance.pair.facts import Facts
from appliance.vrrp import Role

STANDSTILL = 1.5  # seconds without a moment of judgement; as long as its peer waits for a beat


@dataclass(frozen=True)
class Standstill:
    """The last moment of this node's, and what is remembered of a peer that speaks or is silent.

    `silent` is since when it is, None while it speaks; `generation` its conntrackd's process, by which it is known to
    have lived on; `led`: this node was MASTER in its silence.
    """

    last: float
    silent: float | None = None
    generation: int = 0
    led: bool = False


def follow(state: Standstill, before: Role, facts: Facts, now: float) -> tuple[Standstill, str]:
    """What to remember, and the sentence to tell; empty where nobody stood still.

    `before` is the role at the moment before this one.
    """
    after = _after(state, facts, now)
    stood = now - state.last
    if stood > STANDSTILL:
        return after, _own(stood, facts) if before is Role.MASTER else ""
    return after, _peers(state, facts, now)


def _after(state: Standstill, facts: Facts, now: float) -> Standstill:
    if facts.peer is not None:
        return changed(state, last=now, silent=None, generation=facts.peer.generation, led=False)
    silent = now if state.silent is None else state.silent
    return changed(state, last=now, silent=silent, led=state.led or facts.role is Role.MASTER)


def _own(stood: float, facts: Facts) -> str:
    took_over = facts.advertised or (facts.peer is not None and facts.peer.role == Role.MASTER)
    meanwhile = "its peer took over meanwhile" if took_over else "nobody took over meanwhile"
    return f"this MASTER stood still for {stood:.1f} s: its programs were frozen, or not let run; {meanwhile}"


def _peers(state: Standstill, facts: Facts, now: float) -> str:
    peer = facts.peer
    if peer is None or state.silent is None or not state.led:
        return ""
    if peer.role != Role.MASTER or not peer.generation or peer.generation != state.generation:
        return ""
    return (
        f"{peer.node} is back and took itself for MASTER still: it stood still, or was cut off, for about "
        f"{now - state.silent + STANDSTILL:.1f} s, in which this node led"
    )
