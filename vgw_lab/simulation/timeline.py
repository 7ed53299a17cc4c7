"""The one clock of a simulated world, what is due on it, and the clocks that its nodes believe in."""

import heapq
from collections.abc import Callable
from itertools import count

Deed = Callable[[], object]
WALL = 1_767_225_600.0  # what the clocks on the wall say at the beginning


class Timeline:
    """Deeds at their times, in seconds since the beginning; those of one moment in the order they were planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Deed]] = []
        self._numbers = count()

    def after(self, seconds: float, deed: Deed) -> None:
        """Have a deed done in so many seconds."""
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), deed))

    def at(self, when: float, deed: Deed) -> None:
        """Have a deed done at a time that is still to come."""
        heapq.heappush(self._due, (when, next(self._numbers), deed))

    def run(self, until: float, seen: Callable[[], object]) -> None:
        """Do what is due until then; `seen` is called after each deed."""
        due = self._due
        while due and due[0][0] <= until:
            self.now, _, deed = heapq.heappop(due)
            deed()
            seen()
        self.now = until


class Clock:
    """A node's two clocks: the monotonic one drifts, the one on the wall can be set as well."""

    def __init__(self, timeline: Timeline, rate: float, behind: float) -> None:
        self.timeline, self.rate, self.behind = timeline, rate, behind
        self.shift = 0.0

    def monotonic(self) -> float:
        """Seconds since this node's own zero."""
        return self.behind + self.timeline.now * self.rate

    def wall(self) -> float:
        """Seconds since 1970, as this node has them."""
        return WALL + self.timeline.now * self.rate + self.shift
