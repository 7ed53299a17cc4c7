"""Does keepalived take part in the election of the MASTER? A pure judgement of what is known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from appliance.pair.beat import BEAT_SILENCE, Beat
from appliance.pair.changed import changed
from appliance.vrrp import Role

OVERDUE = 1.0  # seconds beyond VRRP's own after which a takeover that has not come is told
MARGIN = 3.0  # seconds beyond VRRP's own by which a takeover on a busy machine may be late
AGAIN = 2.0  # seconds between two requests to read the file again
DEAF_PATIENCE = 4.0  # seconds without a VRRP socket after which that is a problem of the node
HOLDS_ON = 2.0  # seconds for which it may hold the VGW after it was told to let go; then it hangs
STUBBORN = 8.0  # seconds without one, in spite of such requests, after which a new start must help
KEEPALIVED_RESTART_INTERVAL = 30.0  # seconds between two new starts of keepalived at least
GAP = 3.0  # seconds without a look after which nobody knows what happened meanwhile


class Condition(StrEnum):
    """What keepalived's part in the election is.

    DEAF: it has no VRRP socket, though its interface can be used. VACANT: nobody holds the VGW as far as
    this node's LAN can tell, and it does not take over.
    """

    WELL = "well"
    DEAF = "deaf"
    VACANT = "vacant"


class KeepalivedOrder(StrEnum):
    """What keepalived needs: to read its file again, or to be started anew."""

    RELOAD = "reload"
    RESTART = "restart"


@dataclass(frozen=True)
class ElectionSight:
    """What is known at one moment.

    `role` is this node's, and a BACKUP is ready and has its cables in. `dismissed`: it is MASTER, and keepalived has been told to let
    go. `interfaces`: the kernel's index of each that keepalived works on, of those that are there; `usable`: all are, they carry, and
    the one named `lan` has this node's address. `process` is keepalived's process id, 0 where it does not run, and
    `sockets` how many VRRP sockets it has, None where that cannot be told. `peer`: its last beat, None when
    it has fallen silent. `advert`: when its last advert came, and with which priority.
    `promise`: the seconds after which VRRP has this node take over.
    """

    role: Role
    dismissed: bool
    usable: bool
    interfaces: Mapping[str, int]
    lan: str
    process: int
    sockets: int | None
    peer: Beat | None
    advert: tuple[float, int] | None
    promise: float


@dataclass(frozen=True)
class Election:
    """What is remembered; times in seconds on the monotonic clock.

    `interfaces` as they were last seen, `anew` the names of those that keepalived has yet to be told of.
    `deaf`, `open` and `dismissed`: since when it has had no socket, the VGW no holder that is known, and it been told to let go.
    `held`: when this node, or an advert, showed last that somebody holds it.
    """

    interfaces: Mapping[str, int] = field(default_factory=dict)
    anew: frozenset[str] = frozenset()
    process: int = 0
    advert: tuple[float, int] | None = None
    deaf: float | None = None
    open: float | None = None
    dismissed: float | None = None
    held: float = -math.inf
    vacant: bool = False
    looked: float = -math.inf
    reloaded: float = -math.inf
    restarted: float = -math.inf


@dataclass(frozen=True)
class Judgement:
    """The condition, its sentence for an operator where it is not well, and what to do and why."""

    state: Election
    condition: Condition = Condition.WELL
    problem: str = ""
    order: KeepalivedOrder | None = None
    why: str = ""


def judge(state: Election, sight: ElectionSight, now: float) -> Judgement:
    """What to remember, what to tell, and what keepalived needs."""
    state = _dismissal(_hearing(_noted(state, sight), sight, now), sight, now)
    state = _vacancy(state, sight, now)
    state = changed(state, process=sight.process, advert=sight.advert, looked=now)
    condition, problem = _condition(state, sight, now)
    order, why = _order(state, sight, condition, now)
    if order is KeepalivedOrder.RELOAD:
        state = changed(state, anew=frozenset(), reloaded=now)
    if order is KeepalivedOrder.RESTART:
        state = changed(state, anew=frozenset(), restarted=now)
    return Judgement(state, condition, problem, order, why)


def _noted(state: Election, sight: ElectionSight) -> Election:
    """Take note of interfaces that were made anew: the kernel gives each another index (if_nametoindex(3))."""
    known = state.interfaces
    moved = {name for name, index in sight.interfaces.items() if known.get(name, index) != index}
    anew = state.anew | moved
    if sight.process != state.process:
        # It was started since, and has looked for itself.
        anew = frozenset()
    return changed(state, interfaces={**known, **sight.interfaces}, anew=anew)


def _hearing(state: Election, sight: ElectionSight, now: float) -> Election:
    if not (sight.process and sight.usable and sight.sockets == 0):
        return changed(state, deaf=None)
    same = state.deaf is not None and sight.process == state.process
    return changed(state, deaf=state.deaf if same else now)


def _dismissal(state: Election, sight: ElectionSight, now: float) -> Election:
    if not sight.dismissed or not sight.process:
        return changed(state, dismissed=None)
    fresh = state.dismissed is None or sight.process != state.process or now - state.looked > GAP
    return changed(state, dismissed=now if fresh else state.dismissed)


def _vacancy(state: Election, sight: ElectionSight, now: float) -> Election:
    """Since when nobody is known to hold the VGW while keepalived here could take it.

    The word of a peer whose adverts have stopped is no proof: the two may hear each other by the sync link alone.
    """
    advertised = bool(sight.advert and sight.advert[1] and sight.advert != state.advert)
    shown = sight.role is not Role.BACKUP or advertised
    # Where none has ever come, or none can, its word is all there is.
    unheard = sight.advert is None or not sight.usable
    if shown or (unheard and _leads_by_its_word(sight)):
        return changed(state, open=None, vacant=False, held=now if shown else state.held)
    if state.vacant:
        return state  # a new start that mends nothing must not look like a cure
    if not sight.process:
        return changed(state, open=None)
    fresh = sight.process != state.process or now - state.looked > GAP
    # A peer that dies is MASTER by its last beat for a while yet.
    since = now if fresh else (state.open or max(state.held, state.looked - BEAT_SILENCE))
    return changed(state, open=since, vacant=now - since > sight.promise + OVERDUE)


def _leads_by_its_word(sight: ElectionSight) -> bool:
    return sight.peer is not None and sight.peer.role == Role.MASTER


def _condition(state: Election, sight: ElectionSight, now: float) -> tuple[Condition, str]:
    if state.vacant and _leads_by_its_word(sight):
        return Condition.VACANT, (
            f"nobody holds the VGW on this node's {sight.lan}: the peer says over the sync link that it does, but its adverts do "
            "not come, and keepalived does not take over"
        )
    if state.vacant:
        return Condition.VACANT, (
            "nobody holds the VGW: this node is ready and hears no MASTER, and keepalived does not "
            "take over"
        )
    if state.deaf is not None and now - state.deaf >= DEAF_PATIENCE:
        return Condition.DEAF, (
            f"keepalived has no VRRP socket on {sight.lan}: this node neither hears its peer nor "
            "takes over"
        )
    return Condition.WELL, ""


def _why_anew(state: Election, sight: ElectionSight, condition: Condition, now: float) -> str:
    """Why keepalived is to be started anew; empty where it need not."""
    if state.dismissed is not None and now - state.dismissed > HOLDS_ON:
        return (
            f"keepalived holds the VGW still, {now - state.dismissed:.0f} s after it was told to let go: it is started "
            "anew"
        )
    if sight.role is Role.MASTER:
        return ""
    waited = 0.0 if state.open is None else now - state.open
    if condition is Condition.VACANT and waited > sight.promise + MARGIN:
        return f"nobody holds the VGW for {waited:.0f} s: keepalived is started anew"
    if state.deaf is not None and now - state.deaf >= STUBBORN:
        return (
            f"keepalived has had no VRRP socket on {sight.lan} for {now - state.deaf:.0f} s: it is "
            "started anew"
        )
    return ""


def _order(
    state: Election, sight: ElectionSight, condition: Condition, now: float
) -> tuple[KeepalivedOrder | None, str]:
    if not sight.process:
        return None, ""
    why = _why_anew(state, sight, condition, now)
    if why and now - state.restarted >= KEEPALIVED_RESTART_INTERVAL:
        return KeepalivedOrder.RESTART, why
    if not sight.usable:
        return None, ""
    if state.anew:
        names = sorted(state.anew)
        made = f"{' and '.join(names)} {'were' if names[1:] else 'was'} made anew"
        unknown = "does not know the new ones" if names[1:] else "does not know the new one"
        return KeepalivedOrder.RELOAD, f"{made}, and keepalived {unknown}: it reads its file again"
    since = None if state.deaf is None else max(state.deaf, state.reloaded, state.restarted)
    if since is not None and now - since >= AGAIN:
        return KeepalivedOrder.RELOAD, (
            f"keepalived has no VRRP socket on {sight.lan}: it reads its file again"
        )
    return None, ""
