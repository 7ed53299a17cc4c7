"""What conntrackd can be told, what came of it, and what waits for it: in neutral words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Order(StrEnum):
    """One order; each may be given again at any time, so whoever was interrupted begins anew.

    How it is carried out, and in whose words, is the driver's business (`conntrackd`).
    """

    DISOWN = "disown"  # forget whose entries these are: their end is no business of the peer's
    OWN = (
        "own"  # every entry of the kernel is ours from now on: the peer is told what becomes of it
    )
    ANNOUNCE = "announce"  # tell the peer of all entries that are ours
    REQUEST = "request"  # ask the peer for all of its entries
    FLUSH = "flush"  # empty the kernel's table without telling the peer
    TOUCH_KEPT_PORTS = "touch kept ports"  # tell of flows that kept the port which siblings lost
    DROP_MOVED = "drop moved"  # drop the replicas that have another port than their flow's own
    COUNT = "count"  # read conntrackd's counters


@dataclass(frozen=True)
class Outcome:
    """How an order ended: with a problem in a sentence, or well.

    `counters` are the answer to COUNT; `dropped` is how many entries DROP_MOVED did.
    """

    order: Order
    problem: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)
    dropped: int = 0


class Queues(NamedTuple):
    """What waits for conntrackd in the kernel, in bytes, and how many events found no room there."""

    events: int
    messages: int
    dropped: int
