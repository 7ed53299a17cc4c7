"""Who says by ARP that the VGW is its own? A pure judgement of the claims that were heard (RFC 826, RFC 5227).

What a machine behind sees is neither VRRP nor a beat: it asks who has its gateway, and believes whoever answers.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from appliance.addresses import Address
from appliance.pair.changed import changed
from appliance.wires.claims import Claim

ASK_SECONDS = 2.0  # seconds between two questions
ANSWER_SECONDS = 6.0  # seconds in which one of three questions should have been answered
# Seconds for which a MAC that nobody knows may be the peer's new one, as the next question tells.
UNKNOWN_SECONDS = 3.0
RECENT_SECONDS = 10.0  # seconds for which one claim is told
SAME_SECONDS = 1.5  # seconds within which two answers are to one question
CONTRADICTION_SECONDS = 0.05  # seconds between two contradictions between two looks
BLIND_SECONDS = 3.0  # seconds without a look after which nobody knows what was answered meanwhile

_FIND = "find its port in the switch's table of MACs, and take the address from it"


class ClaimSight(NamedTuple):
    """What is known at one moment.

    `claims`: when each was heard last. `own`: the MACs of this node, and `virtual` that of the virtual router.
    `home`: this node's address on the LAN, and `peers` that of its peer, called `peer`. `leads`: this node is
    MASTER; `peer_leads`: its peer says that it is. `lan`: the interface.
    """

    claims: Mapping[Claim, float]
    own: frozenset[str]
    virtual: str
    vgw: Address
    home: Address
    peers: Address
    peer: str
    lan: str
    leads: bool
    peer_leads: bool


@dataclass(frozen=True)
class Claimants:
    """What is remembered; times in seconds on the monotonic clock.

    `strangers`: since when each claim of somebody who is no node is heard. `peers`: the MACs that have answered for the
    peer's own address. `began`: since when questions are asked, and `led` since when the peer leads.
    """

    strangers: Mapping[Claim, float] = field(default_factory=dict)
    peers: frozenset[str] = frozenset()
    began: float = math.inf
    led: float | None = None
    looked: float = -math.inf


class Answered(NamedTuple):
    """What to remember, what is wrong with the answers, and whether a MASTER has to contradict a stranger."""

    state: Claimants
    problems: tuple[str, ...]
    contradict: bool


def judge(state: Claimants, sight: ClaimSight, now: float) -> Answered:
    """Judge the claims that were heard until now."""
    state = _noted(state, sight, now)
    strangers = {
        claim: state.strangers.get(claim, now)
        for claim, at in sight.claims.items()
        if now - at < RECENT_SECONDS and claim.mac not in _rightful(claim.address, state, sight)
    }
    # Before the peer was heard, and had the time to answer, it is the stranger.
    known = bool(state.peers) or now - state.began > ANSWER_SECONDS
    sure = [
        claim
        for claim, since in sorted(strangers.items())
        if known and now - since >= UNKNOWN_SECONDS
    ]
    told = (*_strangers(sure, sight), *_two_peers(sight, now), *_nobody(state, sight, now))
    fresh = any(
        claim.address == sight.vgw and sight.claims[claim] > state.looked for claim in strangers
    )
    after = changed(state, strangers=strangers, looked=now)
    return Answered(after, told, contradict=sight.leads and known and fresh)


def usurped(sight: ClaimSight, since: float) -> bool:
    """Whether somebody else has claimed the VGW since a moment, though this node leads and its peer does not.

    So may a peer that stood still and goes on: by what its keepalived had yet to announce, or where it is of an older version.
    """
    if not sight.leads:
        return False
    ours = sight.own | {sight.virtual}
    return any(
        claim.address == sight.vgw and claim.mac not in ours and at > since
        for claim, at in sight.claims.items()
    )


def _noted(state: Claimants, sight: ClaimSight, now: float) -> Claimants:
    """Take note of the peer's MAC, and of since when all can be judged."""
    began = now if now - state.looked > BLIND_SECONDS else state.began
    led = (now if state.led is None else state.led) if sight.peer_leads else None
    heard = frozenset(one.mac for one in sight.claims if one.address == sight.peers)
    peers = heard or state.peers
    return changed(state, began=began, led=led, peers=peers)


def _rightful(address: Address, state: Claimants, sight: ClaimSight) -> frozenset[str]:
    """Who may claim an address."""
    if address == sight.home:
        return sight.own
    return sight.own | state.peers | {sight.virtual}


def _strangers(claims: Sequence[Claim], sight: ClaimSight) -> Iterator[str]:
    """A sentence for each address that strangers claim, however many they are."""
    harms = {
        sight.vgw: (f"the VGW {sight.vgw}", "machines that believe it send it their packets"),
        sight.home: (f"{sight.home}, this node's own address", "one of the two is cut off"),
    }
    for address, (what, harm) in harms.items():
        macs = [claim.mac for claim in claims if claim.address == address]
        if macs:
            others = f" (and {len(macs) - 1} more)" if macs[1:] else ""
            yield (
                f"{macs[0]}{others} answers on {sight.lan} for {what}, and is neither node: {harm}; {_FIND}"
            )


def _two_peers(sight: ClaimSight, now: float) -> Iterator[str]:
    """Whether two have answered one question for the peer's address; who has a new MAC answers the next one by it."""
    said = sorted(
        (at, one.mac)
        for one, at in sight.claims.items()
        if one.address == sight.peers and now - at <= UNKNOWN_SECONDS
    )
    for (at, one), (later, other) in pairwise(said[-2:]):
        if later - at < SAME_SECONDS:
            yield (
                f"{one} and {other} both answer on {sight.lan} for {sight.peers}, the address of {sight.peer}: one of them is "
                f"a stranger; {_FIND}"
            )


def _nobody(state: Claimants, sight: ClaimSight, now: float) -> tuple[str, ...]:
    """Whether the peer leads, answers for its own address, and nobody does for the VGW."""
    since = max(state.began, math.inf if state.led is None else state.led)
    if sight.leads or now - since <= ANSWER_SECONDS:
        return ()
    last = {
        address: max(
            (at for one, at in sight.claims.items() if one.address == address), default=-math.inf
        )
        for address in (sight.vgw, sight.peers)
    }
    if now - last[sight.peers] > ANSWER_SECONDS or now - last[sight.vgw] <= ANSWER_SECONDS:
        return ()
    return (
        f"nobody answers ARP for the VGW {sight.vgw} on {sight.lan}, though {sight.peer} says that it is MASTER and answers for "
        f"its own address: machines behind do not find their gateway; look on {sight.peer} for a filter of ARP "
        "(`nft list tables arp`, `arptables -L`) or an arp_ignore",
    )
