"""How far state replication is: what has come, and what has been on its way for too long. Pure."""

import math
from typing import NamedTuple

from appliance.pair.facts import Facts
from appliance.pair.replication_state import Account, Replication, Told, missed
from appliance.vrrp import Role

# Bytes before conntrackd, about a thousand messages: with more it is taking in a bulk update.
BACKLOG = 1 << 20


class Progress(NamedTuple):
    """How far the replication is, for the other judgements.

    `fresh`: what the peer had when it was asked is here. `waited`: seconds for which no flow has passed between two
    conntrackds that should; 0 where all do. `settling`: True until the peer has acknowledged a canary that was
    planted after conntrackd had been told its part as MASTER; it may lack flows that began since. `overrun`:
    events of flows were lost, and the peer has yet to be told of all anew. `missed`: a standby has yet to fetch what it missed or lost.
    `up_to`: all that began by then has come, in seconds on the monotonic clock; infinite where nobody says.
    """

    fresh: bool
    waited: float
    settling: bool
    overrun: bool
    missed: bool = False
    up_to: float = math.inf


def how_far(state: Replication, facts: Facts, now: float, *, caught_up: bool) -> Progress:
    """How far it is. `caught_up`: the replicas once came in full."""
    told = isinstance(state.part, Told) and state.part.settled.role is Role.MASTER
    barrier = state.part.barrier if isinstance(state.part, Told) else 0
    seen = facts.peer.seen if facts.peer else 0
    return Progress(
        fresh=state.replicas.arrive and (caught_up or _drained(facts)),
        waited=waited(state, facts, now),
        settling=not told or seen < barrier,
        overrun=state.account is Account.SHORT,
        missed=facts.role is not Role.MASTER and missed(state),
        up_to=_up_to(state, facts),
    )


def waited(state: Replication, facts: Facts, now: float) -> float:
    """Seconds for which the oldest canary has been on its way; 0 where none is, or none can come."""
    if facts.peer is None or not _connected(facts):
        return 0.0
    return state.canaries.waited(facts.peer, facts.role, now)


def _connected(facts: Facts) -> bool:
    """Whether two conntrackds run that go by one file."""
    return bool(facts.peer and facts.same_file and facts.peer.generation and facts.generation)


def _up_to(state: Replication, facts: Facts) -> float:
    plants = facts.peer and facts.peer.canary and _connected(facts)
    return state.canaries.announced if plants else math.inf


def _drained(facts: Facts) -> bool:
    """Whether conntrackd has read what the peer sent, and what that made the kernel report.

    A flow that begins here would have to wait behind either.
    """
    queues = facts.queues
    return queues is not None and max(queues.events, queues.messages) <= BACKLOG
