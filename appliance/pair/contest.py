"""Two nodes that are MASTER at a time: was the takeover for nothing, and what was late? Pure.

A MASTER that lives, and whose adverts do not come in time, is taken for dead. Its next advert ends that: the node
that took over hears that it is outranked. Only then it is known to have been false, and both nodes tell it.
"""

from dataclasses import dataclass
from enum import StrEnum

from appliance.pair.facts import Facts
from appliance.vrrp import Role

TWO = 3.0  # seconds for which two may hold the VGW before that is a problem of the node
REMEDY = "vgw.realtime_priority or a longer vgw.advert_interval helps where a machine is busy"


class Part(StrEnum):
    """How this node came to be one of two MASTERs: it took over, it was there, or it preempts."""

    SECOND = "second"
    FIRST = "first"
    PREEMPTS = "preempts"


@dataclass(frozen=True)
class Contest:
    """Since when both are MASTER; `silence` was the longest time without an advert of the peer's then."""

    began: float
    silence: float
    part: Part

    def problem(self, peer: str, now: float) -> str:
        """What to say of two holders that stay; empty where it has just begun."""
        if now - self.began <= TWO:
            return ""
        return (
            f"this node and {peer} have both held the VGW for more than {TWO:.0f} s: neither hears the other's adverts on "
            "the LAN, which is parted between them or drops VRRP; mend the switch or the filter"
        )


def follow(
    contest: Contest | None, before: Role, facts: Facts, now: float
) -> tuple[Contest | None, str]:
    """What to remember, and the sentence to tell of a false takeover; empty where there was none.

    `before` is the role at the moment before this one.
    """
    peer = facts.peer
    if peer is None:
        return None, ""  # it died
    two = facts.role is Role.MASTER and peer.role == Role.MASTER
    if contest is None:
        return (Contest(now, facts.silence, _part(before, facts)) if two else None), ""
    if two:
        return contest, ""
    lasted = now - contest.began
    # Who let go for another reason than an advert is in FAULT.
    if contest.part is Part.SECOND and facts.role is Role.BACKUP and not facts.missed:
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
