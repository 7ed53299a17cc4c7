"""A MASTER's part of replication: an answer to who asks for all, events that were lost, and canaries. Pure."""

from appliance.conntrack.orders import Order
from appliance.pair.canaries import REPEATED
from appliance.pair.changed import changed
from appliance.pair.deeds import Inform, PlantCanary, RestartConntrackd
from appliance.pair.facts import Facts
from appliance.pair.progress import waited
from appliance.pair.replication_state import RETRY_INTERVAL, Account, Decision, Replication, Told
from appliance.pair.resync import Preparation
from appliance.pair.steps import Settled
from appliance.vrrp import Role

OVERRUN_INTERVAL = 30.0  # seconds between two announcements of everything after events were lost


def lead(state: Replication, facts: Facts, now: float) -> Decision:
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
    if state.account is Account.VOID:
        return _begin_anew(state, facts, now)
    account = Account.SHORT if lost > 0 else state.account
    state = changed(state, account=account)
    rested = now - state.clocks.announcement >= OVERRUN_INTERVAL
    if account is Account.COMPLETE or state.queue.busy or not rested:
        return state, ()
    return changed(
        state,
        account=Account.COMPLETE,
        queue=state.queue.with_(Order.OWN, Order.TOUCH_KEPT_PORTS, Order.ANNOUNCE),
        clocks=changed(state.clocks, announcement=now),
    ), (Inform("conntrackd was too slow for some flows: the peer is told of all anew"),)


def _begin_anew(state: Replication, facts: Facts, now: float) -> Decision:
    """Have conntrackd started anew once the peer is back: of another process it drops all replicas, and fetches them afresh."""
    if facts.peer is None or waited(state, facts, now) > REPEATED:
        return state, ()
    return changed(state, account=Account.FOREIGN), (
        Inform(
            "this node's table was emptied while its peer heard nothing of it: conntrackd is started anew"
        ),
        RestartConntrackd(),
    )
