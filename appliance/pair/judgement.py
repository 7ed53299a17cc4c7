"""What follows of what is known: readiness, degraded and replication by one pure function."""

import math
from typing import NamedTuple

from appliance import __version__
from appliance.pair import contest as contests
from appliance.pair import (
    degraded,
    mac_frames,
    readiness,
    replication,
    replication_state,
    standstill,
)
from appliance.pair.beat import SCHEMA, Beat
from appliance.pair.contest import Contest
from appliance.pair.deeds import (
    CallMaster,
    Deed,
    Inform,
    KeepPeersPlace,
    Record,
    RestartConntrackd,
    TellKeepalived,
    WithdrawNote,
)
from appliance.pair.facts import Facts
from appliance.pair.progress import how_far
from appliance.pair.readiness import Verdict
from appliance.pair.replication_state import missed
from appliance.pair.standstill import Standstill, Waking
from appliance.pair.steps import Settled
from appliance.pair.terms import Terms
from appliance.vrrp import Role


class Memory(NamedTuple):
    """What is remembered from one moment to the next, and what was concluded last."""

    readiness: readiness.Readiness
    replication: replication_state.Replication
    verdict: Verdict
    standstill: Standstill
    role: Role = Role.BACKUP
    # Since when frames of the virtual MACs should come in; None where they need not.
    listening: float | None = None
    # What keeps them from this node; empty where nothing does.
    unheard: str = ""
    # Why a takeover could lose flows, and which a crash of the MASTER would lose; empty where none.
    degraded: str = ""
    behind: str = ""
    # Seconds for which no flow has passed between the two conntrackds.
    waited: float = 0.0
    # How it came that this node and its peer both say that they are MASTER; and how often a takeover was for nothing.
    contest: Contest | None = None
    # When this node and its peer were both MASTER last.
    contested_until: float = -math.inf
    false_takeovers: int = 0
    # How often this node or its peer stood still as MASTER.
    standstills: int = 0

    @property
    def contested(self) -> bool:
        """Whether this node and its peer both say that they are MASTER."""
        return self.contest is not None

    def news(self) -> tuple[bool, ...]:
        """What the agent must look at the world for when it changes."""
        lacking = (bool(self.degraded), bool(self.behind))
        return (self.verdict.ready, self.verdict.aside, *lacking, self.contested)

    def told_at_once(self, peer: Beat | None) -> tuple[int, ...]:
        """What the peer is told of as soon as it changes."""
        known = self.replication
        canaries = (known.canaries.told, known.canaries.seen)
        return (*canaries, known.fetch.open, known.preparation.arrived(peer))


def begin(settled: Settled | None, *, ready: bool, even: bool, seconds: int, now: float) -> Memory:
    """The memory of an agent that starts.

    What the one before had settled with conntrackd, and whether it called the node ready: an agent that was killed
    left a node that goes on, so what was true then still is. `seconds` since 1970; `even`: its canaries have even numbers.
    """
    known = replication_state.begin(settled, seconds, now, even=even)
    if settled and settled.role is not Role.MASTER:
        # The node may have stood still before: what it missed then only an agent that looked on would know.
        known = replication_state.stood_still(known)
    return Memory(
        readiness.Readiness(now, caught_up=ready),
        known,
        Verdict(ready, False, "just started"),
        Standstill(now),
    )


def follow(memory: Memory, facts: Facts, now: float) -> tuple[Memory, tuple[Deed, ...]]:
    """What to remember, and what to do, in this order: keepalived is told first."""
    facts, note = _heeded(memory, facts)
    still, stood = standstill.follow(memory.standstill, memory.role, facts, now)
    outlived = still.waking is Waking.OUTLIVED
    known = _doubted(memory, now, outlived=outlived)
    caught_up = memory.readiness.caught_up
    known, orders = replication.decide(known, facts, now, caught_up=caught_up)
    former = _reconsidered(memory, facts, known, now)
    progress = how_far(known, facts, now, caught_up=former.caught_up)
    state, verdict = readiness.judge(
        former,
        facts,
        now,
        fresh=progress.fresh,
        missed=progress.missed,
        up_to=progress.up_to,
        outlived=outlived,
    )
    led = _led(facts)
    contest, false = contests.follow(memory.contest, memory.role, facts, now, stood=bool(stood))
    listening = (now if memory.listening is None else memory.listening) if led else None
    after = Memory(
        readiness=state,
        replication=known,
        verdict=verdict,
        standstill=still,
        role=facts.role,
        listening=listening,
        unheard=mac_frames.unheard(facts.macs, listening, now),
        degraded=degraded.why(facts, progress, state.late),
        behind=degraded.behind(facts, progress),
        waited=progress.waited,
        contest=contest,
        contested_until=now if contest or memory.contest else memory.contested_until,
        false_takeovers=memory.false_takeovers + bool(false),
        standstills=memory.standstills + bool(stood),
    )
    keepalived = TellKeepalived(verdict.ready, verdict.aside)
    learned = _learned(readiness.learned(former, state, facts, now), facts)
    health = _health(memory.degraded, after.degraded, alone=facts.peer is None)
    told = (*_stood_still(stood), *_false_takeover(false))
    # What the kernel told conntrackd meanwhile, the end of flows that go on at the peer, is not to get there.
    woken = outlived and memory.standstill.waking is not Waking.OUTLIVED
    anew = (RestartConntrackd(),) if woken and facts.generation else ()
    return after, (
        *note,
        keepalived,
        *anew,
        *learned,
        *told,
        *health,
        *_presence(facts, led=led),
        *orders,
    )


def _reconsidered(
    memory: Memory, facts: Facts, known: replication_state.Replication, now: float
) -> readiness.Readiness:
    """What is remembered of readiness, with what has happened to this node since."""
    state = memory.readiness
    if memory.standstill.overslept(now):
        state = readiness.stood_still(state)
    if memory.role is Role.MASTER and facts.role is not Role.MASTER:
        state = readiness.left_mastership(state, now)
    if known.began != memory.replication.began:
        state = readiness.replication_restarted(state, now)
    return state


def _doubted(memory: Memory, now: float, *, outlived: bool) -> replication_state.Replication:
    """What is known of the replicas, as far as a standstill leaves any of it."""
    known = memory.replication
    if memory.standstill.overslept(now):
        known = replication_state.stood_still(known)
    return replication_state.outlived(known) if outlived else known


def beat(memory: Memory, facts: Facts, terms: Terms, now: float) -> Beat:
    """What this node has to say of itself."""
    known, master = memory.replication, memory.role is Role.MASTER
    return Beat(
        node=terms.node,
        role=str(memory.role if facts.carries else Role.FAULT),
        ready=memory.verdict.ready,
        reason=memory.verdict.reason,
        priority=terms.priority,
        entries=facts.entries,
        quiet=facts.quiet,
        still=facts.still,
        generation=known.generation,
        canary=known.canaries.told if master else 0,
        seen=known.canaries.seen,
        replicas=memory.readiness.caught_up and not memory.degraded and not missed(known),
        asks=known.fetch.open,
        prepared=known.preparation.arrived(facts.peer),
        config=terms.legacy_digest,
        schema=SCHEMA,
        version=__version__,
        digest=terms.digest,
        hears=facts.hears,
        knows=facts.peer.digest if facts.peer else "",
        stood=memory.standstill.told(now),
    )


def _heeded(memory: Memory, facts: Facts) -> tuple[Facts, tuple[Deed, ...]]:
    """The facts without a switchover's note that has done its work: the VGW is at the peer, or came back."""
    given = facts.role is Role.BACKUP and facts.outranked
    returned = facts.role is Role.MASTER and memory.role is not Role.MASTER
    if not facts.asked or not (given or returned):
        return facts, ()
    return facts._replace(asked=False), (WithdrawNote(),)


def _is_master(peer: Beat | None) -> bool:
    return peer is not None and peer.role == Role.MASTER


def _led(facts: Facts) -> bool:
    return facts.role is not Role.MASTER and _is_master(facts.peer)


def _learned(sentence: str, facts: Facts) -> tuple[Deed, ...]:
    if not sentence:
        return ()
    record = Record("catching up", "caught up", sentence, facts.entries)
    return (Inform(sentence, grave=False), record)


def _stood_still(sentence: str) -> tuple[Deed, ...]:
    if not sentence:
        return ()
    record = Record("stood still", "goes on", sentence, kind="standstill")
    return (Inform(sentence), record)


def _false_takeover(sentence: str) -> tuple[Deed, ...]:
    if not sentence:
        return ()
    record = Record("two MASTERs", "one MASTER", sentence, kind="false takeover")
    return (Inform(sentence), record)


def _health(before: str, after: str, *, alone: bool) -> tuple[Deed, ...]:
    if bool(before) is bool(after):
        return ()
    words, sentence = ("works", "degraded"), f"replication is degraded: {after}"
    if not after and alone:
        words, sentence = (
            ("degraded", "alone"),
            f"the peer is gone; replication was degraded: {before}",
        )
    elif not after:
        words = ("degraded", "works")
        sentence = f"replication works again, it was degraded: {before}"
    return (Inform(sentence), Record(*words, sentence))


def _presence(facts: Facts, *, led: bool) -> tuple[Deed, ...]:
    if facts.role is Role.MASTER:
        return (KeepPeersPlace(),)
    return (CallMaster(),) if led and facts.missed else ()
