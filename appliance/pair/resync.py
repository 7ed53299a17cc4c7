"""A request for all of the peer's entries, and the MASTER's preparation of its answer. Pure.

conntrackd tells a port only where it was moved. The kernel that takes a flow in without it asks what
port the flow's siblings have, those that begin at the same port of the same machine: if a moved one is
there already, the flow gets that one's. So the MASTER tells of those that kept their port first, before
the whole table is sent, which has no order.

A moved flow that lives is told of by itself at any time. Where one came before that preparation was through,
the standby cannot know which ports are true. So it drops all that are moved, and has it prepared again.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.pair.beat import Beat
from appliance.vrrp import Role

ALONE = 3.0  # seconds for which a request waits while no MASTER is heard
RESYNC_PATIENCE = 20.0  # seconds for which it waits for a MASTER at most
# Seconds from a request to the first canary that was surely planted after the peer had heard of it.
REQUEST_SPARE = 1.0
# How often an empty table is sorted, at most: with moved flows that change all the time it never is in order.
SORTINGS = 3


class FetchStage(StrEnum):
    """How far a standby is with fetching all of the peer's entries."""

    NONE = "none"  # nothing is fetched: what is here came by itself, or has been proved to be here
    FLUSHING = "flushing"  # the old replicas are dropped; the request comes after that
    PREPARING = "preparing"  # the MASTER is asked to tell first of flows that kept their port
    SORTING = "sorting"  # the replicas that came with another port than their own are dropped
    ASKING = "asking"  # conntrackd is told to ask for all entries
    ASKED = "asked"  # it has asked
    BROKEN_OFF = "broken off"  # it could not, and nothing is proved before the next request

    @property
    def going_on(self) -> bool:
        """Whether there is more to come of it."""
        over = (FetchStage.NONE, FetchStage.ASKED, FetchStage.BROKEN_OFF)
        return self not in over


@dataclass(frozen=True)
class Fetch:
    """The standby's part: the number of its last request, the stage, and since when it lasts.

    `sortings`: how often what came with a moved port may yet be dropped. Replicas that were here before
    it asked are not: they came in order, one by one.
    """

    number: int
    stage: FetchStage = FetchStage.NONE
    since: float = 0.0
    sortings: int = 0

    def at(self, stage: FetchStage, now: float) -> "Fetch":
        """At another stage."""
        return replace(self, stage=stage, since=now)

    def over(self, now: float) -> "Fetch":
        """Nothing more is to be fetched, nor sorted."""
        return Fetch(self.number, FetchStage.NONE, now)

    def preparing(self, now: float, sortings: int = 0) -> "Fetch":
        """A new request, which the MASTER is to prepare."""
        return Fetch(self.number + 1, FetchStage.PREPARING, now, sortings)

    def broken_off(self, now: float) -> "Fetch":
        """As it is when nothing more is done for it."""
        return self.at(FetchStage.BROKEN_OFF, now) if self.stage.going_on else self

    @property
    def open(self) -> int:
        """The number of the request that the MASTER is to prepare, else 0."""
        return self.number if self.stage is FetchStage.PREPARING else 0

    def due(self, peer: Beat | None, now: float) -> bool:
        """Whether conntrackd may ask now: all is prepared, or nobody prepares anything."""
        if self.stage is not FetchStage.PREPARING:
            return False
        if peer is None or peer.role != Role.MASTER:
            return now - self.since > ALONE
        return peer.prepared == self.number or now - self.since > RESYNC_PATIENCE

    @property
    def unsorted(self) -> bool:
        """Whether conntrackd has asked before anybody could prepare the answer, and what it brought is to be sorted."""
        return self.stage in (FetchStage.ASKED, FetchStage.NONE) and self.sortings > 0

    def sorts(self, peer: Beat | None) -> bool:
        """Whether what came with a moved port is dropped before conntrackd asks."""
        return self.sortings > 0 and peer is not None and peer.prepared == self.number

    def misses(self, announced: float) -> bool:
        """Whether what was lost with a canary of that moment is not among what it brings."""
        if self.stage is FetchStage.ASKED:
            return announced >= self.since
        return self.stage is FetchStage.NONE

    def proved_by(self, announced: float) -> bool:
        """Whether a canary of that moment was planted after the request: what it brought is here too."""
        if self.stage is FetchStage.ASKED:
            return announced >= self.since + REQUEST_SPARE
        return self.stage is FetchStage.NONE


@dataclass(frozen=True)
class Preparation:
    """The MASTER's part: for which request, and which of its canaries comes after all that it told.

    The barrier is infinite until all is told; number 0 is no request.
    """

    number: int = 0
    barrier: float = math.inf

    def wanted(self, peer: Beat | None) -> int:
        """The number of a request that is to be prepared anew, else 0."""
        return 0 if peer is None or peer.asks == self.number else peer.asks

    @property
    def begun(self) -> bool:
        """Whether it is under way."""
        return self.number > 0 and math.isinf(self.barrier)

    def arrived(self, peer: Beat | None) -> int:
        """The request for which all has arrived at the peer, else 0."""
        return self.number if peer and peer.seen >= self.barrier else 0
