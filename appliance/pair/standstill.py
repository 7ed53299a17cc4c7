"""A MASTER that stood still: it cannot tell meanwhile, so it and its peer tell it afterwards. Pure.

If its peer has taken over, it has outlived its mastership: what its kernel and its conntrackd believe of flows is as old as its sleep.
So it lets go before it says a word: by keepalived it would take the VGW back, and by conntrackd end flows that go on at its peer.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from appliance.pair.changed import changed
from appliance.pair.facts import Facts
from appliance.vrrp import Role

STANDSTILL = 1.5  # seconds without a moment of judgement; as long as its peer waits for a beat
# Seconds without one after which what came meanwhile may have found no room. A busy machine lets an agent wait for less.
OVERSLEPT = 5.0
WAKING = 1.0  # seconds in which the beats and adverts that came meanwhile are read
TOLD_FOR = 10.0  # seconds for which beats tell of it
# Seconds in which it says nothing to its peer, while keepalived takes in that it is to let go.
HUSH = 0.25
OUTLIVED = "stood still as MASTER, and the peer took over: its flows are the true ones"


class Waking(StrEnum):
    """How far a MASTER is that stood still and goes on."""

    NO = "no"  # none did, or who leads is clear again
    JUST = "just"  # it has just gone on, and whether its peer leads is not known yet
    OUTLIVED = "outlived"  # its peer leads, and it has not let go yet


@dataclass(frozen=True)
class Standstill:
    """The last moment of this node's, and what is remembered of a peer that speaks or is silent.

    `silent` is since when it is, None while it speaks; `generation` its conntrackd's process, by which it is known to
    have lived on; `led`: this node was MASTER in its silence, and did not stand still itself. `woke` is when this node
    went on as MASTER last, and `stood` for how many seconds it had stood still.
    """

    last: float
    silent: float | None = None
    generation: int = 0
    led: bool = False
    waking: Waking = Waking.NO
    woke: float = -math.inf
    stood: float = 0.0

    def slept(self, now: float) -> bool:
        """Whether nothing was judged for so long that nobody knows what was meanwhile."""
        return now - self.last > STANDSTILL

    def overslept(self, now: float) -> bool:
        """Whether that was for so long that what came meanwhile may have found no room."""
        return now - self.last > OVERSLEPT

    def hushed(self, now: float) -> bool:
        """Whether nothing is to be said to the peer now."""
        return self.waking is not Waking.NO and now - self.woke < HUSH

    def told(self, now: float) -> float | None:
        """For how long it stood still, to tell the peer; None where that was not of late."""
        return round(self.stood, 1) if now - self.woke < TOLD_FOR else None


def follow(state: Standstill, before: Role, facts: Facts, now: float) -> tuple[Standstill, str]:
    """What to remember, and the sentence to tell; empty where nobody stood still.

    `before` is the role at the moment before this one.
    """
    after, slept = _after(state, facts, now), state.slept(now)
    if slept and before is not Role.MASTER:
        return changed(after, waking=Waking.NO), ""
    if slept:
        after = changed(after, waking=Waking.JUST, woke=now, stood=now - state.last)
    woken = changed(after, waking=_waking(after, facts, now))
    # Whether its peer took over is told once that is known.
    if after.waking is Waking.JUST and woken.waking is not Waking.JUST:
        return woken, _own(woken.stood, facts)
    return woken, "" if slept else _peers(state, facts, now)


def _waking(state: Standstill, facts: Facts, now: float) -> Waking:
    if state.waking is Waking.NO or facts.role is not Role.MASTER or facts.plain:
        return Waking.NO
    if _peer_leads(facts):
        return Waking.OUTLIVED
    early = state.waking is Waking.JUST and now - state.woke <= WAKING
    return Waking.JUST if early else Waking.NO


def _peer_leads(facts: Facts) -> bool:
    return facts.advertised or (facts.peer is not None and facts.peer.role == Role.MASTER)


def _after(state: Standstill, facts: Facts, now: float) -> Standstill:
    if facts.peer is not None:
        return changed(state, last=now, silent=None, generation=facts.peer.generation, led=False)
    # Who stood still itself has heard nobody, and cannot tell who led.
    if state.slept(now):
        return changed(state, last=now, silent=now, led=False)
    silent = now if state.silent is None else state.silent
    leads = facts.role is Role.MASTER and state.waking is Waking.NO
    return changed(state, last=now, silent=silent, led=state.led or leads)


def _own(stood: float, facts: Facts) -> str:
    meanwhile = "its peer" if _peer_leads(facts) else "nobody"
    return f"this MASTER stood still for {stood:.1f} s: its programs were frozen, or not let run; {meanwhile} took over meanwhile"


def _peers(state: Standstill, facts: Facts, now: float) -> str:
    peer = facts.peer
    if peer is None or state.silent is None or not state.led:
        return ""
    if peer.stood is not None:
        return f"{peer.node} is back: it stood still as MASTER for {peer.stood:.1f} s, in which this node led"
    # An older version takes itself for MASTER still, and does not tell.
    if peer.role != Role.MASTER or not peer.generation or peer.generation != state.generation:
        return ""
    return (
        f"{peer.node} is back and took itself for MASTER still: it stood still, or was cut off, for about "
        f"{now - state.silent + STANDSTILL:.1f} s, in which this node led"
    )
