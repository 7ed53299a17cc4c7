"""What is remembered of state replication: its parts, each with states that have names. Pure.

What the fields of State are for:

- `part`: whose conntrackd believes the entries to be (Untold, BeingTold, Told);
- `queue`: the orders that wait, and the one that conntrackd carries out;
- `fetch`, `replicas`: a standby's request for all entries, and what its replicas are worth;
- `account`, `preparation`: what a MASTER owes its peer;
- `canaries`: what shows that entries arrive.
"""

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from appliance.conntrack.orders import Order
from appliance.pair.canaries import CANARY_STEP, Canaries
from appliance.pair.changed import changed
from appliance.pair.deeds import Deed
from appliance.pair.resync import Fetch, FetchStage, Preparation
from appliance.pair.steps import Settled
from appliance.vrrp import Role

RETRY_INTERVAL = 1.0  # seconds from an order that failed to the next attempt


@dataclass(frozen=True)
class Untold:
    """Nobody knows what this conntrackd was told last."""


@dataclass(frozen=True)
class BeingTold:
    """It is being told its part in this role; `last` is the order that ends it."""

    role: Role
    last: Order


@dataclass(frozen=True)
class Told:
    """It has been told its part; a canary of the number `barrier`, or a later one, was planted after that."""

    settled: Settled
    barrier: int = 0


class Replicas(StrEnum):
    """What the replicas of a standby are worth."""

    UNPROVED = "unproved"  # nothing shows that what was asked for is here
    PROVED = "proved"  # a canary that was planted after it has arrived
    # The peer's conntrackd is another one, and nobody told of flows that ended meanwhile; or the peer began to lead without what
    # is here. Old replicas are better than none: they go only when new ones are known to arrive.
    OUTDATED = "outdated"
    REPLACEABLE = "replaceable"  # outdated, and new ones arrive

    @property
    def arrive(self) -> bool:
        """Whether new ones are known to arrive."""
        return self in (Replicas.PROVED, Replicas.REPLACEABLE)

    def proved(self) -> "Replicas":
        """When a canary has arrived."""
        old = self in (Replicas.OUTDATED, Replicas.REPLACEABLE)
        return Replicas.REPLACEABLE if old else Replicas.PROVED

    def doubted(self) -> "Replicas":
        """When this node's conntrackd is another one."""
        old = self in (Replicas.OUTDATED, Replicas.REPLACEABLE)
        return Replicas.OUTDATED if old else Replicas.UNPROVED

    def kept(self) -> "Replicas":
        """When there is no MASTER any more that they could be outdated by."""
        return Replicas.PROVED if self.arrive else Replicas.UNPROVED


class Account(StrEnum):
    """What the peer was told of the entries that are this node's."""

    FOREIGN = "foreign"  # none are
    COMPLETE = "complete"  # all that became of them
    SHORT = "short"  # events found no room before conntrackd: the peer is to be told of all anew
    VOID = (
        "void"  # the table was emptied while the peer heard nothing of it: it holds what is no more
    )


@dataclass(frozen=True)
class Queue:
    """Orders that wait for their turn; the one under way; whether that one is a former plan's."""

    waiting: tuple[Order, ...] = ()
    under_way: Order | None = None
    abandoned: bool = False

    @property
    def busy(self) -> bool:
        """Whether there is anything to be carried out."""
        return bool(self.waiting or self.under_way)

    def with_(self, *orders: Order) -> "Queue":
        """With more at its end."""
        return replace(self, waiting=(*self.waiting, *orders))

    def dropped(self) -> "Queue":
        """Without those that wait; the one under way goes on, and its end will mean nothing."""
        return Queue((), self.under_way, self.under_way is not None)


@dataclass(frozen=True)
class Clocks:
    """When each was last done, in seconds on the monotonic clock; `failed`: when an order did last.

    `shortage`: when the peer was asked for what a standby's kernel had lost.
    """

    request: float = -math.inf
    restart: float = -math.inf
    count: float = -math.inf
    announcement: float = -math.inf
    shortage: float = -math.inf
    failed: float = -math.inf


@dataclass(frozen=True)
class Replication:
    """What is remembered between two moments.

    `generation` is conntrackd's process id, 0 where none runs, and `peers_generation` the same of a MASTER
    peer, 0 where there is none. `gap`: the peer was silent for a while, in which its conntrackd, whose link may
    have been down, told of nothing. `short`: since when a standby has had far fewer entries than its MASTER; None where it has not. `dropped`: how many events had found no room. `began`: since when
    that counts which has come, in seconds on the monotonic clock.
    """

    fetch: Fetch
    canaries: Canaries
    began: float
    role: Role = Role.BACKUP
    peer_heard: bool = False
    generation: int = 0
    part: Untold | BeingTold | Told = Untold()
    queue: Queue = Queue()
    replicas: Replicas = Replicas.UNPROVED
    peers_generation: int = 0
    gap: bool = False
    short: float | None = None
    # It let go of the VGW while no peer was heard: whoever leads next may begin without its flows.
    orphaned: bool = False
    account: Account = Account.FOREIGN
    dropped: int = 0
    preparation: Preparation = field(default_factory=Preparation)
    clocks: Clocks = field(default_factory=Clocks)


# What to remember, and what to do, in this order.
Decision = tuple[Replication, tuple[Deed, ...]]


def missed(state: Replication) -> bool:
    """Whether a standby knows of entries that it has yet to fetch."""
    outdated = state.replicas in (Replicas.OUTDATED, Replicas.REPLACEABLE)
    return outdated or state.gap or state.fetch.stage is not FetchStage.NONE


def begin(settled: Settled | None, seconds: int, now: float, *, even: bool) -> Replication:
    """The state of an agent that starts: what the one before had settled; `seconds` since 1970.

    `even`: its canaries have even numbers.
    """
    return Replication(
        Fetch(seconds),
        Canaries(CANARY_STEP * seconds + (0 if even else 1)),
        began=now,
        generation=settled.generation if settled else 0,
        part=Told(settled) if settled and settled.role else Untold(),
    )


def stood_still(state: Replication) -> Replication:
    """With a gap: what came while nobody looked may have found no room."""
    return changed(state, gap=state.gap or state.role is not Role.MASTER)


def outlived(state: Replication) -> Replication:
    """With nothing proved of what is here, where the peer has led while this MASTER stood still."""
    return changed(state, gap=True, replicas=Replicas.UNPROVED)
