"""Canaries: entries that no traffic has, planted by the MASTER to see whether they arrive. Pure."""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from appliance.pair.beat import Beat
from appliance.pair.changed import changed
from appliance.vrrp import Role

# A canary's number tells who planted it: those of one node are even, those of the other odd.
CANARY_STEP = 2
CANARY_INTERVAL = 1.0  # seconds between two canaries of the MASTER
# The same while the peer lacks replicas: it waits for one that shows that they have come.
AWAITED_INTERVAL = 0.5
REPEATED = 1.5  # seconds in which a message that was lost on its way is repeated
STAYS = 6.0  # seconds for which one that has arrived is sure to be in the table
# A number from outside moves ours up to here at most: canaries for two centuries are left above it.
MOST_SEEN = 2**33
_KEPT = 60  # of those on their way; one that is older has expired in either table
_Times = Mapping[int, float]


@dataclass(frozen=True)
class Canaries:
    """Numbers and times, in seconds on the monotonic clock.

    Numbers begin at the time of day, so that an agent that starts anew repeats none; and beyond what the peer has seen, for a
    clock may be behind.
    """

    # The last that this node planted.
    number: int
    # The last one of the peer's that has arrived here.
    seen: int = 0
    # When each that may be on its way was planted here, or announced by the peer.
    planted: _Times = field(default_factory=dict)
    awaited: _Times = field(default_factory=dict)
    # How long the last one of the peer's that has arrived took from its announcement; and when that was.
    lag_ms: float | None = None
    announced: float = -math.inf
    # When the last was planted; the next is due at once where none was.
    last: float = -math.inf
    # One that has arrived here, or was planted here, and when: it stays for a while, unless the table is emptied.
    witness: tuple[int, float] | None = None

    def following(self, *, even: bool) -> int:
        """The number of the next one that this node plants."""
        ours = self.number % CANARY_STEP == (0 if even else 1)
        return self.number + (CANARY_STEP if ours else 1)

    def due(self, peer: Beat | None, now: float) -> bool:
        """Whether it is time for the next."""
        awaited = peer is not None and not peer.replicas
        return now - self.last >= (AWAITED_INTERVAL if awaited else CANARY_INTERVAL)

    def acknowledged(self, seen: int) -> "Canaries":
        """With what the peer has seen: that is on its way no more, also where the peer's agent starts anew and knows of none.

        Numbers go beyond it: it may have been planted by an agent whose clock was ahead.
        """
        number = seen if self.number < seen < MOST_SEEN else self.number
        if min(self.planted, default=math.inf) > seen:
            return changed(self, number=number)
        left = {planted: then for planted, then in self.planted.items() if planted > seen}
        return changed(self, number=number, planted=left)

    @property
    def told(self) -> int:
        """The last that this node planted since it leads; 0 where it has planted none."""
        return self.number if self.last > -math.inf else 0

    def hastened(self, now: float) -> "Canaries":
        """With the next due at once."""
        return changed(self, last=min(self.last, now - CANARY_INTERVAL))

    def plant(self, now: float, *, even: bool) -> "Canaries":
        """With the next one planted."""
        number = self.following(even=even)
        recent = {n: then for n, then in self.planted.items() if n > number - _KEPT * CANARY_STEP}
        return changed(self, number=number, last=now, planted={**recent, number: now})

    def looked_for(self, peer: Beat | None, role: Role) -> frozenset[int]:
        """Those to look for in the table now: the peer's that are awaited, a MASTER's own last, and the witness."""
        own = {self.told} if role is Role.MASTER and self.told else set()
        return self.staying.union(self._expected(peer, role, 0.0), own)

    @property
    def staying(self) -> frozenset[int]:
        """Those that have arrived and should still be in the table."""
        return frozenset([self.witness[0]] if self.witness else [])

    def emptied(self, arrived: AbstractSet[int], now: float) -> bool:
        """Whether one that had arrived is gone before its time, as all that came before it is."""
        if self.witness is None:
            return False
        number, since = self.witness
        return now - since < STAYS and number not in arrived

    def look_out(
        self, peer: Beat | None, role: Role, arrived: AbstractSet[int], now: float
    ) -> tuple["Canaries", float | None]:
        """With what has arrived; and when the newest that did was announced, None where none did."""
        awaited = self._expected(peer, role, now)
        if role is Role.MASTER and self.told in arrived:
            return changed(self, awaited=awaited, witness=self._witness(self.told, now)), None
        left = {number: then for number, then in awaited.items() if number not in arrived}
        here = max(awaited.keys() & arrived, default=0)
        if here <= self.seen:
            return changed(self, awaited=left if here else awaited), None
        since = awaited[here]
        lag = round((now - since) * 1000, 1)
        witness = self._witness(here, now)
        found = changed(self, seen=here, lag_ms=lag, announced=since, awaited=left, witness=witness)
        return found, since

    def overtaken(self, now: float) -> frozenset[int]:
        """Those that have not come though a later one has: messages come in order, but for a moment in which one is repeated."""
        return frozenset(
            number
            for number, then in self.awaited.items()
            if number < self.seen and now - then >= REPEATED
        )

    def overdue(self, now: float) -> bool:
        """Whether one that was announced should long have come."""
        return now - min(self.awaited.values(), default=now) >= REPEATED

    def awaited_since_before(self, moment: float) -> frozenset[int]:
        """Those of the peer's that were announced before this moment and have not come."""
        return frozenset(number for number, then in self.awaited.items() if then < moment)

    def without(self, lost: AbstractSet[int]) -> "Canaries":
        """Without these, which will not come any more."""
        left = {number: then for number, then in self.awaited.items() if number not in lost}
        return changed(self, awaited=left)

    def waited(self, peer: Beat, role: Role, now: float) -> float:
        """Age in seconds of the oldest one that has not arrived.

        On the MASTER of those that it planted and the peer has not acknowledged; on a standby of those that
        the peer announced.
        """
        if role is not Role.MASTER:
            ahead = [then for number, then in self.awaited.items() if number > self.seen]
            return now - min(ahead, default=now)
        due = [then for number, then in self.planted.items() if number > peer.seen]
        return now - min(due, default=now)

    def imminent(self, now: float) -> bool:
        """Whether one was announced just now and is looked out for."""
        newest = max(self.awaited.values(), default=None)
        return newest is not None and now - newest < CANARY_INTERVAL / 2

    def forgotten(self) -> "Canaries":
        """Without those that are on their way, or should be here."""
        return changed(
            self, planted={}, awaited={}, witness=None, announced=-math.inf, last=-math.inf
        )

    def _witness(self, number: int, now: float) -> tuple[int, float]:
        """The one that shows whether the table is emptied: the former for half of its time, then this one."""
        if self.witness and now - self.witness[1] < STAYS / 2:
            return self.witness
        return number, now

    def _expected(self, peer: Beat | None, role: Role, now: float) -> _Times:
        """The peer's that have not arrived, with the one that it announces now."""
        if peer is None:
            return self.awaited
        if peer.role != Role.MASTER or role is Role.MASTER:
            return {}
        new = peer.canary > self.seen and peer.canary not in self.awaited
        return {**self.awaited, peer.canary: now} if new else self.awaited
