"""Does the kernel drop new flows for want of room in its connection table? A pure judgement of what it counts."""

import math
from dataclasses import dataclass

# For so many seconds after the last one that was dropped the table counts as full.
FULL_SECONDS = 5.0
PROBLEM = (
    "the connection table is full, and the kernel drops new flows: raise net.netfilter.nf_conntrack_max on the host, "
    "or shorten `timeouts`"
)


@dataclass(frozen=True)
class Room:
    """What is remembered: the kernel's count, and when it rose last, in seconds."""

    dropped: int | None = None
    rose: float = -math.inf

    def after(self, dropped: int | None, now: float) -> "Room":
        """With another reading; None where the kernel does not tell."""
        more = None not in (self.dropped, dropped) and dropped != self.dropped
        return Room(dropped, now if more else self.rose)

    def problem(self, now: float) -> str:
        """What to say; empty where there is room."""
        return PROBLEM if now - self.rose < FULL_SECONDS else ""
