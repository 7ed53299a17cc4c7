"""State replication as one pure function: what is known, what follows of it, and what is to be done.

No takeover waits for any of it: a MASTER is whoever holds the VGW.
"""

import math
from collections.abc import Callable
from functools import partial

from appliance.conntrack.orders import Order, Outcome
from appliance.pair import readiness
from appliance.pair.changed import changed
from appliance.pair.deeds import (
    CalmConntrackd,
    Deed,
    Inform,
    PlantCanary,
    Remember,
    RestartConntrackd,
    Tell,
)
from appliance.pair.degraded import CANARY_PATIENCE
from appliance.pair.facts import Facts
from appliance.pair.progress import BACKLOG, waited
from appliance.pair.replication_state import (
    Account,
    BeingTold,
    Queue,
    Replicas,
    Replication,
    Told,
    Untold,
)
from appliance.pair.resync import SORTINGS, FetchStage, Preparation
from appliance.pair.steps import Settled, steps
from appliance.vrrp import Role

CONNTRACKD_RESTART_INTERVAL = (
    60.0  # seconds between two new starts of a conntrackd that nothing passes
)
RETRY_INTERVAL = 1.0  # seconds from an order that failed to the next attempt
REQUEST_INTERVAL = 10.0  # seconds between two requests for all entries
OVERRUN_INTERVAL = 30.0  # seconds between two announcements of everything after events were lost
SHORT_PATIENCE = 1.5  # seconds for which a standby may have far fewer entries than its MASTER
SHORTAGE_INTERVAL = 300.0  # seconds between two requests for that reason
COUNT_INTERVAL = 5.0  # seconds between two looks at conntrackd's counters


Decision = tuple[Replication, tuple[Deed, ...]]
Turn = Callable[[Replication, Facts, float], Decision]


def decide(state: Replication, facts: Facts, now: float, *, caught_up: bool) -> Decision:
    """What to remember, and what to do, in this order. `caught_up`: the replicas once came in full.

    Where there is no leisure only notes are taken.
    """
    state = _look_out(_noted(state, facts, now), facts, now)
    if not facts.leisure:
        return state, ()
    before = state
    if facts.outcome:
        state = _ended(state, facts.outcome, facts, now)
    follow = partial(_follow, caught_up=caught_up)
    part: Turn = _lead if facts.role is Role.MASTER else follow
    turns: tuple[Turn, ...] = (_process, _settle, part, _count, _mend)
    deeds: tuple[Deed, ...] = ()
    for turn in turns:
        state, more = turn(state, facts, now)
        deeds += more
    state, order = _next(state)
    return state, (*deeds, *_remember(before, state), *order)


def _noted(state: Replication, facts: Facts, now: float) -> Replication:
    """With the role, and the peer's coming and going."""
    if facts.role is not state.role and Role.MASTER in (facts.role, state.role):
        # What was to be done for the former role is not done for this one; nor does it count what its kernel had lost then.
        state = changed(
            _dropped(state, now),
            fetch=state.fetch.over(now),
            canaries=state.canaries.forgotten(),
            account=Account.FOREIGN,
            short=None,
            clocks=changed(state.clocks, failed=-math.inf, shortage=-math.inf),
        )
    heard = facts.peer is not None
    if facts.peer:
        state = changed(state, canaries=state.canaries.acknowledged(facts.peer.seen))
    if heard and not state.peer_heard:
        # It cannot have seen what was planted before, nor may its conntrackd have heard what this one's asked for.
        vain = state.fetch.stage is FetchStage.ASKED
        canaries = changed(state.canaries, planted={})
        state = changed(state, canaries=canaries, gap=state.gap or vain)
    if facts.peer and facts.role is Role.MASTER and facts.peer.role == Role.MASTER:
        # A node that leads too takes in none, and tells of none.
        state = changed(state, canaries=changed(state.canaries, planted={}))
    if facts.peer and facts.peer.role != Role.MASTER and state.canaries.overdue(now):
        # It leads no more, and waits for nothing: what was lost on the way is fetched from whoever leads next.
        state = changed(state, gap=True)
    if state.peer_heard and not heard:
        state = changed(state, gap=True, canaries=state.canaries.forgotten())
    return changed(state, role=facts.role, peer_heard=heard)


def _look_out(state: Replication, facts: Facts, now: float) -> Replication:
    """With the canaries that have arrived."""
    state = _emptied(state, facts, now)
    canaries, since = state.canaries.look_out(facts.peer, facts.role, facts.arrived, now)
    proved = since is not None and state.fetch.proved_by(since)
    if lost := canaries.overtaken(now):
        # What was lost before all is asked for is fetched with it.
        gap = state.gap or any(state.fetch.misses(canaries.awaited[one]) for one in lost)
        state, canaries = changed(state, gap=gap), canaries.without(lost)
    if proved and state.fetch.stage is FetchStage.ASKED:
        # What those that do not come any more would have told of has been fetched.
        canaries = canaries.without(canaries.awaited_since_before(state.fetch.since))
    state = changed(state, canaries=canaries)
    if not proved:
        return state
    fetch = state.fetch.at(FetchStage.NONE, now)
    return changed(state, replicas=state.replicas.proved(), fetch=fetch)


def _emptied(state: Replication, facts: Facts, now: float) -> Replication:
    """With a gap where the table was emptied; an order of ours may be why, and then all is fetched anyhow."""
    if not state.canaries.emptied(facts.arrived, now):
        return state
    settled = facts.role is not Role.MASTER and not state.queue.busy and not state.fetch.open
    canaries = changed(state.canaries, witness=None)
    # What comes before all was prepared has no order any more, and moved ports in it may be wrong.
    sortings = SORTINGS if settled else state.fetch.sortings
    fetch = changed(state.fetch, sortings=sortings)
    return changed(state, gap=state.gap or settled, canaries=canaries, fetch=fetch)


def _dropped(state: Replication, now: float) -> Replication:
    """Without all that was under way."""
    part = Untold() if isinstance(state.part, BeingTold) else state.part
    fetch = state.fetch.broken_off(now)
    return changed(state, queue=state.queue.dropped(), part=part, fetch=fetch)


def _ended(state: Replication, outcome: Outcome, facts: Facts, now: float) -> Replication:
    """With what came of the order that was under way."""
    meant = not state.queue.abandoned
    state = changed(state, queue=Queue(state.queue.waiting))
    if not meant:
        return state
    if outcome.order is Order.DROP_MOVED:
        return _sorted(state, outcome.dropped, now)
    if outcome.problem:
        return _failed(state, outcome.order, now)
    barrier = state.canaries.following(even=facts.even)
    if outcome.order is Order.REQUEST:
        state = changed(state, fetch=state.fetch.at(FetchStage.ASKED, now))
    elif outcome.order is Order.FLUSH:
        state = _asking(state, now, sortings=SORTINGS)
    elif outcome.order is Order.TOUCH_KEPT_PORTS and state.preparation.begun:
        # The next canary, which is planted at once, shows that all has arrived.
        prepared = changed(state.preparation, barrier=barrier)
        state = changed(state, preparation=prepared, canaries=state.canaries.hastened(now))
    if isinstance(state.part, BeingTold) and outcome.order is state.part.last:
        # The next canary shows that what was ordered is done.
        told = Told(Settled(state.part.role, state.generation), barrier)
        state = changed(state, part=told, canaries=state.canaries.hastened(now))
    return state


def _sorted(state: Replication, dropped: int, now: float) -> Replication:
    """With so many replicas dropped: they are prepared again. Without any, conntrackd may ask."""
    if dropped:
        return changed(state, fetch=state.fetch.preparing(now, state.fetch.sortings - 1))
    return _requesting(state, now)


def _requesting(state: Replication, now: float, sortings: int = 0) -> Replication:
    """Having conntrackd ask the peer for all entries; `sortings`: how often they are yet to be sorted after that."""
    fetch = changed(state.fetch.at(FetchStage.ASKING, now), sortings=sortings)
    return changed(state, fetch=fetch, queue=state.queue.with_(Order.REQUEST))


def _failed(state: Replication, order: Order, now: float) -> Replication:
    """With what an order that was refused leaves undone; all that is still wanted is begun anew."""
    if order is Order.COUNT:
        return state
    stage = state.fetch.stage
    if order is Order.TOUCH_KEPT_PORTS and state.preparation.begun:
        # The peer asks still, and waits.
        state = changed(state, preparation=Preparation())
    # Who is being told its part is told, and asks, from the beginning.
    unasked = stage.going_on and isinstance(state.part, Told)
    return changed(
        _dropped(state, now),
        replicas=Replicas.OUTDATED if stage is FetchStage.FLUSHING else state.replicas,
        gap=state.gap or unasked,
        clocks=changed(state.clocks, failed=now),
    )


def _process(state: Replication, facts: Facts, now: float) -> Decision:
    """Take note of conntrackd's process: with another one nothing holds."""
    if facts.generation == state.generation:
        return state, ()
    deeds: tuple[Deed, ...] = ()
    if facts.generation:
        deeds = (CalmConntrackd(facts.generation),)
        if state.generation:
            deeds = (Inform(f"conntrackd runs anew, as process {facts.generation}"), *deeds)
    # What was awaited still is: a start that mends nothing must not look like a cure.
    doubted = state.replicas.doubted()
    clocks = changed(state.clocks, failed=-math.inf)
    state = changed(_dropped(state, now), replicas=doubted, clocks=clocks)
    # The next process may have the number of the former one, in a container soon.
    return changed(state, part=Untold(), generation=facts.generation, began=now), deeds


def _settle(state: Replication, facts: Facts, now: float) -> Decision:
    """Have conntrackd told its part in this role; nobody waits for it."""
    if isinstance(state.part, BeingTold) or now - state.clocks.failed < RETRY_INTERVAL:
        return state, ()
    settled = state.part.settled if isinstance(state.part, Told) else None
    due = steps(settled, facts.role, state.generation)
    if not due:
        return state, ()
    asks = due[-1] is Order.REQUEST
    # What is known to be here came in order; it is not dropped, for a takeover may come at any moment.
    sortings = 0 if state.replicas is Replicas.PROVED else SORTINGS
    state = changed(
        _dropped(state, now),
        part=BeingTold(facts.role, due[-1]),
        # The request itself waits until the MASTER has prepared its answer.
        fetch=state.fetch.preparing(now, sortings) if asks else state.fetch.over(now),
        preparation=Preparation(),
        clocks=changed(state.clocks, request=now),
    )
    return changed(state, queue=state.queue.with_(*(due[:-1] if asks else due))), ()


def _lead(state: Replication, facts: Facts, now: float) -> Decision:
    """What a MASTER owes its peer: an answer, events that were lost, and a canary each second."""
    state = changed(state, peers_generation=0, replicas=state.replicas.kept())
    # Who led alone does not know what its peer holds, should that one have led too.
    gap = facts.peer is None or (state.gap and facts.peer.role == Role.MASTER)
    state = changed(state, gap=gap)
    rested = now - state.clocks.failed >= RETRY_INTERVAL
    if state.generation and rested and (number := state.preparation.wanted(facts.peer)):
        queue = state.queue.with_(Order.TOUCH_KEPT_PORTS)
        state = changed(state, preparation=Preparation(number), queue=queue)
    state, deeds = _make_good(state, facts, now)
    if state.canaries.due(facts.peer, now):
        canaries = state.canaries.plant(now, even=facts.even)
        state, deeds = changed(state, canaries=canaries), (*deeds, PlantCanary(canaries.number))
    return state, deeds


def _make_good(state: Replication, facts: Facts, now: float) -> Decision:
    """Tell the peer of everything anew where events were lost of entries that are this node's."""
    if facts.queues is None:
        return state, ()
    lost = facts.queues.dropped - state.dropped
    state = changed(state, dropped=facts.queues.dropped)
    part = state.part
    if not isinstance(part, Told) or part.settled != Settled(Role.MASTER, state.generation):
        return changed(state, account=Account.FOREIGN), ()
    if state.account is Account.FOREIGN:
        # What was lost before it came to own its table, it has found there since.
        return changed(state, account=Account.COMPLETE), ()
    account = Account.SHORT if lost > 0 else state.account
    state = changed(state, account=account)
    waited = now - state.clocks.announcement >= OVERRUN_INTERVAL
    if account is Account.COMPLETE or state.queue.busy or not waited:
        return state, ()
    return changed(
        state,
        account=Account.COMPLETE,
        queue=state.queue.with_(Order.OWN, Order.TOUCH_KEPT_PORTS, Order.ANNOUNCE),
        clocks=changed(state.clocks, announcement=now),
    ), (Inform("conntrackd was too slow for some flows: the peer is told of all anew"),)


def _follow(state: Replication, facts: Facts, now: float, *, caught_up: bool) -> Decision:
    """What a standby needs of its peer: all entries, once the MASTER has prepared that, and again."""
    if facts.queues:
        state = changed(state, dropped=facts.queues.dropped)
    if state.generation and state.fetch.due(facts.peer, now):
        if state.fetch.sorts(facts.peer):
            queue = state.queue.with_(Order.DROP_MOVED)
            state = changed(state, fetch=state.fetch.at(FetchStage.SORTING, now), queue=queue)
        else:
            # A MASTER that is heard by its adverts alone, or not yet, has prepared nothing: once it can, all is sorted.
            later = 0 if facts.peer else state.fetch.sortings
            state = _requesting(state, now, sortings=later)
    elif state.fetch.unsorted and facts.peer and facts.peer.role == Role.MASTER:
        state = _asking(state, now, state.fetch.sortings)
    return _renew(state, facts, now, caught_up=caught_up)


def _renew(state: Replication, facts: Facts, now: float, *, caught_up: bool) -> Decision:
    """Ask again for entries that do not come, and drop those that the peer lost track of."""
    peer, queues = facts.peer, facts.queues
    if peer is None or peer.role != Role.MASTER:
        # Should it lead again by another conntrackd, what is here is of flows that ended meanwhile. What is yet to be fetched
        # still is, from whoever leads next.
        return changed(state, replicas=state.replicas.kept()), ()
    if not state.generation or queues is None or state.queue.busy or state.fetch.open:
        return state, ()
    state = _by_its_process(state, peer.generation)
    if not peer.generation:
        return state, ()
    if state.replicas is Replicas.REPLACEABLE:
        # What the peer tells first would be dropped with the rest, so the request comes after that.
        return changed(
            state,
            queue=state.queue.with_(Order.DISOWN, Order.FLUSH),
            fetch=state.fetch.at(FetchStage.FLUSHING, now),
            replicas=Replicas.UNPROVED,
            began=now,
        ), (Inform("the peer's conntrackd runs anew: all replicas are fetched afresh"),)
    if queues.messages > BACKLOG:
        # It is still taking in what came; one bulk update behind another takes twice as long.
        return changed(state, clocks=changed(state.clocks, request=now)), ()
    state = _count_entries(state, facts, now)
    due = now - state.clocks.request >= REQUEST_INTERVAL
    return (_asking(state, now) if due and (state.gap or not caught_up) else state), ()


def _by_its_process(state: Replication, generation: int) -> Replication:
    """With what the MASTER's conntrackd, by its process, makes of the replicas; 0 where it does not run."""
    if not generation:
        # It tells of no flow that begins now, and its next process may be the first that is known here.
        return changed(state, gap=True)
    if state.peers_generation not in (0, generation):
        state = changed(state, replicas=Replicas.OUTDATED)
    return changed(state, peers_generation=generation)


def _count_entries(state: Replication, facts: Facts, now: float) -> Replication:
    """With a gap where this kernel has lost its replicas: canaries come all the same.

    Not often where that brings none, for entries may be few because they are not to be replicated.
    """
    if readiness.is_whole(facts):
        return changed(state, short=None, clocks=changed(state.clocks, shortage=-math.inf))
    since = now if state.short is None else state.short
    state = changed(state, short=since)
    if now - since < SHORT_PATIENCE or now - state.clocks.shortage < SHORTAGE_INTERVAL:
        return state
    return changed(state, gap=True, clocks=changed(state.clocks, shortage=now))


def _asking(state: Replication, now: float, sortings: int = 0) -> Replication:
    """Asking the peer for all entries, once it has prepared that."""
    clocks = changed(state.clocks, request=now)
    fetch = state.fetch.preparing(now, sortings)
    return changed(state, fetch=fetch, clocks=clocks, gap=False)


def _count(state: Replication, _facts: Facts, now: float) -> Decision:
    """Asking for conntrackd's counters, when it is time."""
    due = now - state.clocks.count >= COUNT_INTERVAL
    if not due or not state.generation or state.queue.busy:
        return state, ()
    clocks = changed(state.clocks, count=now)
    return changed(state, queue=state.queue.with_(Order.COUNT), clocks=clocks), ()


def _mend(state: Replication, facts: Facts, now: float) -> Decision:
    """Have conntrackd started anew, where nothing has passed it for long; not too often.

    The MASTER's first: it loses nothing by a new start, a standby's its replicas.
    """
    patience = (2 if facts.role is Role.MASTER else 3) * CANARY_PATIENCE
    seconds = waited(state, facts, now)
    if seconds <= patience or now - state.clocks.restart < CONNTRACKD_RESTART_INTERVAL:
        return state, ()
    sentence = f"replication is stuck for {seconds:.0f} s: conntrackd is started anew"
    clocks = changed(state.clocks, restart=now)
    return changed(state, clocks=clocks), (Inform(sentence), RestartConntrackd())


def _remember(before: Replication, state: Replication) -> tuple[Deed, ...]:
    """Keep for the next agent what conntrackd was told: that it is being told, then that it was."""
    if state.part == before.part or isinstance(state.part, Untold):
        return ()
    if isinstance(state.part, Told):
        return (Remember(state.part.settled),)
    return (Remember(Settled(None, state.generation)),)


def _next(state: Replication) -> Decision:
    """Give conntrackd the next order, where it carries none out."""
    queue = state.queue
    if queue.under_way or not queue.waiting:
        return state, ()
    order, *others = queue.waiting
    return changed(state, queue=Queue(tuple(others), order)), (Tell(order),)
