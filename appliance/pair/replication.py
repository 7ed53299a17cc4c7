"""State replication as one pure function: what is known, what follows of it, and what is to be done.

No takeover waits for any of it: a MASTER is whoever holds the VGW.
"""

import math
from collections.abc import Callable
from functools import partial

from appliance.conntrack.orders import Order, Outcome
from appliance.pair.changed import changed
from appliance.pair.deeds import (
    CalmConntrackd,
    Deed,
    Inform,
    Remember,
    RestartConntrackd,
    Tell,
)
from appliance.pair.degraded import CANARY_PATIENCE
from appliance.pair.facts import Facts
from appliance.pair.progress import waited
from appliance.pair.replication_master import lead
from appliance.pair.replication_standby import asking, follow, requesting
from appliance.pair.replication_state import (
    RETRY_INTERVAL,
    Account,
    BeingTold,
    Decision,
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
COUNT_INTERVAL = 5.0  # seconds between two looks at conntrackd's counters

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
    part: Turn = lead if facts.role is Role.MASTER else partial(follow, caught_up=caught_up)
    turns: tuple[Turn, ...] = (_process, _settle, part, _count, _mend)
    deeds: tuple[Deed, ...] = ()
    for turn in turns:
        state, more = turn(state, facts, now)
        deeds += more
    state, order = _next(state)
    return state, (*deeds, *_remember(before, state), *order)


def held(state: Replication, now: float) -> Replication:
    """After this node has held the VGW: told the part of a standby, conntrackd is to be told it again.

    It takes what began here meanwhile for its own, and would tell the peer of its end.
    """
    state = _dropped(state, now)
    told = isinstance(state.part, Told) and state.part.settled.role is Role.MASTER
    return state if told else changed(state, part=Untold())


def _noted(state: Replication, facts: Facts, now: float) -> Replication:
    """With the role, and the peer's coming and going."""
    if facts.role is not state.role and Role.MASTER in (facts.role, state.role):
        state = _in_another_role(state, facts, now)
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


def _in_another_role(state: Replication, facts: Facts, now: float) -> Replication:
    """As this node begins to lead, or has led.

    What was to be done for the former role is not done for this one; nor does it count what its kernel had lost then.
    """
    led = state.role is Role.MASTER
    return changed(
        held(state, now) if led else _dropped(state, now),
        fetch=state.fetch.over(now),
        canaries=state.canaries.forgotten(),
        account=Account.FOREIGN,
        short=None,
        orphaned=led and facts.peer is None,
        clocks=changed(state.clocks, failed=-math.inf, shortage=-math.inf),
    )


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
    """With a gap where a standby's table was emptied; an order of ours may be why, and then all is fetched anyhow.

    A MASTER's conntrackd tells the peer of it, if the peer hears.
    """
    if not state.canaries.emptied(facts.arrived, now):
        return state
    if facts.role is Role.MASTER and not facts.peer and state.account is not Account.FOREIGN:
        state = changed(state, account=Account.VOID)
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
        state = asking(state, now, sortings=SORTINGS)
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
    return requesting(state, now)


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
