"""May this node become MASTER, and should it let its peer be? Pure judgements of what is known."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from appliance.pair.changed import changed
from appliance.pair.facts import Facts
from appliance.pair.standstill import OUTLIVED
from appliance.vrrp import Role

GRACE = 1.5  # seconds in which a starting node listens for its peer
# Seconds in which a starting node leaves the VGW to a peer that outranks it and is heard: it takes over only to hand it back.
FIRST = 1.0
REPLICAS_PATIENCE = 60.0  # seconds that a node waits at most for its replicas
# Seconds without an answer after which the way out counts as dead: two samples and a half.
SILENT = 0.75
AHEAD = 0.4  # seconds by which the peer's last answer must be younger: a sample, and its phase
LONG_BEFORE = 2.0  # seconds by which two ways out that died of one cause do not differ
# Grace period in seconds: when both ways out were down, whose ping is answered first proves nothing.
RETURN = 1.0
# Seconds for which both nodes may say that they are MASTER: one has not heard of the other yet.
DOUBT = 0.5
STILL = 1.0  # seconds without a packet from the LAN after which this node may be alone on its side of it
STILL_AHEAD = 0.5  # seconds by which the peer must have heard the LAN later
ENOUGH = 0.99  # the part of the peer's entries that counts as all of them
SPARE = 64  # entries that come and go while two tables are compared
FLAP_MEMORY = 600.0  # seconds for which a takeover counts as one of a series
LONGEST_HOLD = 300.0  # seconds that a series of takeovers can hold a failback back
DEAF = 3.0  # seconds after its cables are back for which a node waits for the MASTER's adverts
CUT = "an interface of the gateway is down"
GOES_FIRST = "has just started; the peer, which has the higher priority, is to become MASTER first"
UNHEARD = "its cable is back; the MASTER's adverts have not come in yet"
UNSPOKEN = "its cables are back; neither an advert nor a beat of the peer's has come in yet"
SILENT_MASTER = (
    "the peer is MASTER by its adverts, and silent on the sync link: what it began is not here"
)
MISSED = "what it missed of the peer's flows has yet to come"
NEWEST = "takes over again once the peer's newest flows are here"
GIVEN = "a switchover gave the VGW to the peer"


@dataclass(frozen=True)
class Readiness:
    """What is remembered: when the wait for replicas began, how it ended, and since when all is well.

    `lost` are the times at which this node ceased to be MASTER, `dark` the last one at which neither
    node had a way out.
    """

    began: float
    caught_up: bool = False
    late: str = ""
    well_since: float | None = None
    lost: tuple[float, ...] = ()
    dark: float = -RETURN


class Verdict(NamedTuple):
    """`ready`: may be MASTER. `aside`: lets the peer be MASTER while it lives. `reason`: a sentence."""

    ready: bool
    aside: bool
    reason: str
    degraded: str = ""


def judge(
    state: Readiness,
    facts: Facts,
    now: float,
    *,
    fresh: bool,
    missed: bool = False,
    up_to: float = math.inf,
    outlived: bool = False,
) -> tuple[Readiness, Verdict]:
    """The verdict, and what to remember.

    `fresh`: what the peer had when it was asked is here. `missed`: this node has yet to fetch what it missed or lost since.
    `up_to`: all of the peer's flows that began by then are here. `outlived`: this MASTER stood still, and its peer leads.
    """
    if not facts.ruleset:
        return changed(state, well_since=None), Verdict(False, False, "no ruleset is in force")
    if facts.unfit and not _is_last(facts):
        return changed(state, well_since=None), Verdict(False, True, facts.unfit)
    if facts.plain:
        state, _ = _catch_up(state, facts, now, fresh=fresh)
        return state, Verdict(True, False, "the ruleset is in force", state.late)
    if outlived:
        state = changed(replication_restarted(state, now), well_since=None)
        return state, Verdict(False, True, OUTLIVED)
    if not facts.electable:
        return changed(state, well_since=None), Verdict(False, True, "keepalived does not run here")
    state, waiting = _catch_up(state, facts, now, fresh=fresh)
    bar = _bar(facts, waiting)
    if bar is None:
        if _is_dark(facts):
            state = changed(state, dark=now)
        bar = _worse(state, facts, now)
    if bar:
        return changed(state, well_since=None), bar
    if facts.never and facts.asked and facts.role is Role.MASTER and facts.peer:
        return state, Verdict(not facts.peer.ready, True, GIVEN)
    state = changed(state, well_since=now if state.well_since is None else state.well_since)
    aside = _aside(state, facts, now, up_to, missed=missed)
    return state, Verdict(True, bool(aside), aside or "all is well", state.late)


def left_mastership(state: Readiness, now: float) -> Readiness:
    """The state after this node ceased to be MASTER; a series of these holds its failback back."""
    recent = tuple(then for then in state.lost if now - then < FLAP_MEMORY)
    return changed(state, lost=(*recent, now), well_since=None)


def stood_still(state: Readiness) -> Readiness:
    """The state after a while in which nobody looked: all is well since now at most, and a failback waits from now on."""
    return changed(state, well_since=None)


def replication_restarted(state: Readiness, now: float) -> Readiness:
    """The state after conntrackd started anew: what it had brought counts no longer."""
    return changed(state, began=now, caught_up=False, late="")


def is_whole(facts: Facts) -> bool:
    """Whether the table holds about as many entries as that of a peer which is heard."""
    return facts.peer is not None and facts.entries + SPARE >= ENOUGH * facts.peer.entries


def learned(before: Readiness, state: Readiness, facts: Facts, now: float) -> str:
    """What to tell of replicas that have just come in full; empty where none were waited for."""
    peer = facts.peer
    if (
        before.caught_up
        or not state.caught_up
        or state.late
        or not peer
        or peer.role != Role.MASTER
    ):
        return ""
    waited = now - before.began
    return f"caught up with {peer.node} after {waited:.1f} s: {facts.entries} entries are here"


def _catch_up(state: Readiness, facts: Facts, now: float, *, fresh: bool) -> tuple[Readiness, str]:
    """Whether the replicas are there, or the sentence that tells what they are waited for."""
    peer = facts.peer
    whole = fresh and is_whole(facts)
    if state.caught_up or facts.role is Role.MASTER:
        over = whole or facts.role is Role.MASTER
        return changed(state, caught_up=True, late="" if over else state.late), ""
    waited = now - state.began
    if peer is None or peer.role != Role.MASTER:
        return _without_a_master(state, facts, waited)
    if whole:
        return changed(state, caught_up=True, late=""), ""
    missing = f"{facts.entries} of the peer's {peer.entries} entries are here"
    if not fresh:
        missing += ", and no new one has come yet"
    if waited < REPLICAS_PATIENCE:
        return state, f"catching up with the peer: {missing}"
    late = f"the replicas did not catch up in {REPLICAS_PATIENCE:.0f} s: {missing}"
    return changed(state, caught_up=True, late=late), ""


def _without_a_master(state: Readiness, facts: Facts, waited: float) -> tuple[Readiness, str]:
    """The same where the peer is silent, or leads nothing; `waited` in seconds."""
    if facts.peer:
        if not facts.outranks and not facts.never and waited < FIRST:
            return state, GOES_FIRST
        return changed(state, caught_up=True), ""
    if facts.advertised and waited < REPLICAS_PATIENCE:
        return state, "the peer advertises, and is silent on the sync link"
    if waited < GRACE:
        return state, "listening for the peer"
    late = "the peer is silent on the sync link: no replicas came" if facts.advertised else ""
    return changed(state, caught_up=True, late=late), ""


def _bar(facts: Facts, waiting: str) -> Verdict | None:
    """What keeps this node from being MASTER, whatever its peer's way out; None where nothing does."""
    if waiting:
        return Verdict(False, True, waiting)
    if not facts.carries:
        # keepalived is in FAULT. Once the cable is back a failback begins to wait: not before.
        return Verdict(not _is_led(facts), True, CUT)
    if facts.deaf is not None and facts.deaf < DEAF and _is_led(facts):
        # A bridge, or a neighbour's question, may keep the first adverts back for a second.
        return Verdict(False, True, UNHEARD)
    if (
        facts.deaf is not None
        and facts.deaf < DOUBT
        and facts.peer is None
        and facts.role is not Role.MASTER
    ):
        # All cables may have been out: the peer's next beat tells whether it leads.
        return Verdict(False, True, UNSPOKEN)
    return None


def _worse(state: Readiness, facts: Facts, now: float) -> Verdict | None:
    """Why the peer is the better MASTER by what is heard of the networks; None where it is not."""
    if alone := _alone(facts):
        return Verdict(False, True, alone)
    if facts.role is not Role.MASTER or (facts.peer and facts.peer.ready):
        dead = _way_out(state, facts, now)
        return Verdict(False, True, dead) if dead else None
    return None


def _is_led(facts: Facts) -> bool:
    """Whether the peer says that it is MASTER, and this node is not."""
    return (
        facts.role is not Role.MASTER and facts.peer is not None and facts.peer.role == Role.MASTER
    )


def _is_last(facts: Facts) -> bool:
    """Whether this node leads and no other can."""
    return facts.role is Role.MASTER and not (facts.peer and facts.peer.ready)


def _is_dead(quiet: float | None) -> bool:
    return quiet is not None and quiet >= SILENT


def _is_dark(facts: Facts) -> bool:
    """Whether neither node has a way out. To one that leads it is the other's that has to be better.

    Of one that does not, and whose own was dead long before: a busy peer may be late with one answer.
    """
    own, peers = facts.quiet, facts.peers_quiet
    if own is None or peers is None or min(own, peers) < SILENT:
        return False
    return facts.role is Role.MASTER or own - peers < LONG_BEFORE


def _way_out(state: Readiness, facts: Facts, now: float) -> str:
    """Why the peer is the better way out; empty where it is not known to be.

    A dead target that both nodes ask must not take both of them down: so the peer must have had an
    answer when this node had none any more. When such a target is back, one node hears it first.
    """
    own, peers = facts.quiet, facts.peers_quiet
    if own is None or peers is None or own < SILENT or own - peers < AHEAD:
        return ""
    if now - state.dark < RETURN:
        return ""
    return "the way out is dead here and works for the peer"


def _alone(facts: Facts) -> str:
    """Why this node is the one that the LAN has lost; empty where it is not known to be.

    Two MASTERs call each other's answers to themselves. A MASTER lets go only if the machines are
    heard on the peer's side and not on its own; who has let go, or never was MASTER, comes only if it
    is the other way round.
    """
    own, peers = facts.still, facts.peers_still
    if not facts.parted or own is None or peers is None:
        return ""
    if facts.role is Role.MASTER:
        alone = own >= STILL and own - peers >= STILL_AHEAD
        return "the peer is MASTER too, and only there is the LAN heard" if alone else ""
    better = peers >= STILL and peers - own >= STILL_AHEAD
    return "" if better else "the peer is MASTER, and its adverts do not come in by the LAN"


def hold(state: Readiness, facts: Facts) -> float:
    """Seconds that a failback waits: doubled for each takeover of a series, from the third on."""
    series = max(0, len(state.lost) - 2)
    return min(float(facts.hold * 2**series), LONGEST_HOLD)


def _aside(state: Readiness, facts: Facts, now: float, up_to: float, *, missed: bool) -> str:
    """Why this node lets its peer be MASTER; empty where it does not. A failback gives up waiting for flows in the end."""
    peer = facts.peer
    if facts.role is Role.MASTER and not facts.asked:
        return ""
    if peer is None:
        led = facts.advertised and facts.role is not Role.MASTER
        return SILENT_MASTER if led and facts.outranks else ""
    if facts.asked:
        return GIVEN if peer.ready else ""
    if not facts.outranks or peer.role != Role.MASTER:
        return ""
    due = (state.well_since or now) + hold(state, facts)
    if now < due:
        return f"takes over again in {due - now:.0f} s"
    if now - due >= REPLICAS_PATIENCE:
        return ""
    if missed:
        return MISSED
    return NEWEST if up_to < due else ""
