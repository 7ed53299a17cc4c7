"""A standby's part of replication: which replicas it needs of its MASTER, and when it asks for all. Pure."""

import math

from appliance.conntrack.orders import Order
from appliance.pair import readiness
from appliance.pair.changed import changed
from appliance.pair.deeds import Inform
from appliance.pair.facts import Facts
from appliance.pair.progress import BACKLOG
from appliance.pair.replication_state import Decision, Replicas, Replication
from appliance.pair.resync import FetchStage
from appliance.vrrp import Role

REQUEST_INTERVAL = 10.0  # seconds between two requests for all entries
SHORT_PATIENCE = 1.5  # seconds for which a standby may have far fewer entries than its MASTER
SHORTAGE_INTERVAL = 300.0  # seconds between two requests for that reason


def follow(state: Replication, facts: Facts, now: float, *, caught_up: bool) -> Decision:
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
            state = requesting(state, now, sortings=later)
    elif state.fetch.unsorted and facts.peer and facts.peer.role == Role.MASTER:
        state = asking(state, now, state.fetch.sortings)
    return _renew(state, facts, now, caught_up=caught_up)


def _renew(state: Replication, facts: Facts, now: float, *, caught_up: bool) -> Decision:
    """Ask again for entries that do not come, and drop those that the peer lost track of."""
    peer, queues = facts.peer, facts.queues
    if peer is None or peer.role != Role.MASTER:
        # Should it lead again by another conntrackd, what is here is of flows that ended meanwhile. What is yet to be fetched
        # still is, from whoever leads next.
        return changed(state, replicas=state.replicas.kept()), ()
    if not state.generation or queues is None or state.queue.busy:
        return state, ()
    if state.orphaned:
        # It began without what is here, and may have given the same ports to other flows: all is fetched afresh.
        outdated = changed(state, replicas=Replicas.OUTDATED, fetch=state.fetch.over(now))
        state = changed(outdated, orphaned=False, gap=False)
    if state.fetch.open:
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
    return (asking(state, now) if due and (state.gap or not caught_up) else state), ()


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


def asking(state: Replication, now: float, sortings: int = 0) -> Replication:
    """Asking the peer for all entries, once it has prepared that."""
    clocks = changed(state.clocks, request=now)
    fetch = state.fetch.preparing(now, sortings)
    return changed(state, fetch=fetch, clocks=clocks, gap=False)


def requesting(state: Replication, now: float, sortings: int = 0) -> Replication:
    """Having conntrackd ask the peer for all entries; `sortings`: how often they are yet to be sorted after that."""
    fetch = changed(state.fetch.at(FetchStage.ASKING, now), sortings=sortings)
    return changed(state, fetch=fetch, queue=state.queue.with_(Order.REQUEST))
