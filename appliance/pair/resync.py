"""A request for all of the peer's entries, and the MASTER's preparation of its answer.

conntrackd tells a port only where it was moved. The kernel that takes a flow in without it asks what
port the flow's siblings have, those that begin at the same port of the same machine: if a moved one is
there already, the flow gets that one's. So the MASTER tells of those that kept their port first, before
the whole table is sent, which has no order.
"""

import math
from dataclasses import dataclass

from appliance.pair.beat import Beat
from appliance.vrrp import Role

ALONE = 3.0  # seconds for which a request waits while no MASTER is heard
PATIENCE = 20.0  # seconds for which it waits for a MASTER at most


@dataclass
class Request:
    """The standby's part: what it asks for, by a number, and since when it waits; None if it does not."""

    number: int
    since: float | None = None

    def ask(self, now: float) -> None:
        """Ask the MASTER to prepare."""
        self.number, self.since = self.number + 1, now

    @property
    def open(self) -> int:
        """The number while it waits, else 0."""
        return 0 if self.since is None else self.number

    def due(self, peer: Beat | None, now: float) -> bool:
        """Whether conntrackd may ask now: all is prepared, or nobody prepares anything."""
        if self.since is None:
            return False
        if peer is None or peer.role != Role.MASTER:
            return now - self.since > ALONE
        return peer.prepared == self.number or now - self.since > PATIENCE


@dataclass
class Preparation:
    """The MASTER's part: for which request, and which of its canaries comes after all that it told."""

    number: int = 0
    barrier: float = math.inf

    def begin(self, peer: Beat | None) -> bool:
        """Whether the peer asks for something new, which is then to be prepared."""
        if peer is None or peer.asks in (0, self.number):
            return False
        self.number, self.barrier = peer.asks, math.inf
        return True

    def arrived(self, peer: Beat | None) -> int:
        """The request for which all has arrived at the peer, else 0."""
        return self.number if peer and peer.seen >= self.barrier else 0
