"""Two nodes that are MASTER at a time: was the takeover for nothing, and what was late? Pure.

A MASTER that lives, and whose adverts do not come in time, is taken for dead. Its next advert ends that: the node
that took over hears that it is outranked. Only then it is known to have been false, and both nodes tell it.
"""

from dataclasses import dataclass
from enum import StrEnum

from appliance.pair.beat import Beat
from appliance.pair.changed import changed
from appliance.pair.facts import Facts
from appliance.vrrp import Role

TWO = 3.0  # seconds for which two may hold the VGW before that is a problem of the node
REMEDY = "vgw.realtime_priority or a longer vgw.advert_interval helps where a machine is busy"


class Part(StrEnum):
    """How this node came to be one of two MASTERs: it took over, it was there, it preempts, or one of the two stood still."""

    SECOND = "second"
    FIRST = "first"
    PREEMPTS = "preempts"
    THAWED = "thawed"


RESTART = "restart it (`supervisorctl -s unix:///run/vgw/supervisor.sock restart keepalived`)"


class Blame(StrEnum):
    """Why two stay MASTER. The agent hears adverts by a socket of its own, also where keepalived does not run on."""

    UNHEARD = (
        "none of {peer}'s adverts comes in: the LAN is parted between them or drops VRRP (mend the switch or the "
        "filter), or keepalived hangs on {peer}"
    )
    HANGS = (
        f"{{peer}}'s adverts come in with a higher priority, and keepalived here hangs: {RESTART}"
    )
    UNANSWERED = (
        "{peer}'s adverts come in, and it does not hear this node's: keepalived here hangs, and then "
        f"{RESTART}, or the LAN drops VRRP that way"
    )


@dataclass(frozen=True)
class Contest:
    """Since when both are MASTER; `silence` was the longest time without an advert of the peer's then.

    `blame`: who or what is it, by the adverts that come in now.
    """

    began: float
    silence: float
    part: Part
    blame: Blame

    def problem(self, peer: str, now: float) -> str:
        """What to say of two holders that stay; empty where it has just begun."""
        if now - self.began <= TWO:
            return ""
        why = self.blame.format(peer=peer)
        return f"this node and {peer} have both held the VGW for more than {TWO:.0f} s: {why}"


def follow(
    contest: Contest | None, before: Role, facts: Facts, now: float, *, stood: bool = False
) -> tuple[Contest | None, str]:
    """What to remember, and the sentence to tell of a false takeover; empty where there was none.

    `before` is the role at the moment before this one. `stood`: one of the two has just gone on that stood still, so the
    takeover was no false one. A peer that took over and let go again may tell both in beats that are read at once.
    """
    if facts.peer is None:
        return None, ""  # it died
    sentence = ""
    for role in facts.peers_roles or (facts.peer.role,):
        peer = changed(facts.peer, role=role)
        contest, told = _follow(contest, before, facts, peer, now, stood=stood)
        sentence = told or sentence
    return contest, sentence


def _follow(
    contest: Contest | None, before: Role, facts: Facts, peer: Beat, now: float, *, stood: bool
) -> tuple[Contest | None, str]:
    """The same for one beat of the peer's."""
    two = facts.role is Role.MASTER and peer.role == Role.MASTER
    if contest is None:
        part = Part.THAWED if stood else _part(before, facts)
        begun = Contest(now, facts.silence, part, _blame(facts))
        return (begun if two else None), ""
    if two:
        return changed(contest, blame=_blame(facts)), ""
    lasted = now - contest.began
    # Who let go for another reason than an advert is in FAULT, or has heard none for long; on a busy machine the last may be late.
    if contest.part is Part.SECOND and facts.role is Role.BACKUP and facts.advertised:
        return None, _false(peer.node, contest, facts, lasted)
    if contest.part is Part.FIRST and peer.role == Role.BACKUP:
        return None, (
            f"{peer.node} took over beside this MASTER, which lives, and let go again after {lasted:.1f} s; "
            f"`vgw events` of {peer.node} says what was late; {REMEDY}"
        )
    return None, ""


def _part(before: Role, facts: Facts) -> Part:
    if before is Role.MASTER:
        return Part.FIRST
    return Part.SECOND if facts.outranked else Part.PREEMPTS


def _blame(facts: Facts) -> Blame:
    if facts.missed:
        return Blame.UNHEARD
    return Blame.HANGS if facts.outranked else Blame.UNANSWERED


def _false(peer: str, contest: Contest, facts: Facts, lasted: float) -> str:
    """Which of the two was late: the adverts, or keepalived here that should have heard them."""
    silence = max(contest.silence, facts.silence)
    late = f"none of its adverts had come in for {silence * 1000:.0f} ms: it was not let run, or the LAN lost them"
    if silence < facts.patience:
        late = f"its adverts had come in each {silence * 1000:.0f} ms at most: keepalived here was not let run"
    return (
        f"the takeover was false: {peer} had lived on, and this node was MASTER beside it for {lasted:.1f} s; "
        f"{late}; {REMEDY}"
    )
