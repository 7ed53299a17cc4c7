"""What a node is given by its world: the networks, time and chance, and who counts what happens."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from vgw_lab.simulation.connections import Flow
from vgw_lab.simulation.timeline import Timeline
from vgw_lab.simulation.wires import Wire


@dataclass
class Networks:
    """What both nodes are on.

    `machines`: whether each node hears machines on its side of the LAN. `answers`: whether something outside answers it.
    """

    lan: Wire
    sync: Wire
    machines: list[bool]
    answers: list[bool]
    # By how many faults each way is barred.
    barred: Counter[str] = field(default_factory=Counter)

    def bar(self, what: str, *, barred: bool) -> bool:
        """Have one fault more bar this, or one less; whether nothing is in its way then."""
        self.barred[what] += 1 if barred else -1
        return self.barred[what] == 0


@dataclass(frozen=True)
class Around:
    """What a node is given by its world."""

    kind: str
    timeline: Timeline
    chance: Random
    networks: Networks
    process: Callable[[], int]
    stir: Callable[[], None]
    ended: Callable[[int, Flow], None]
    served: Callable[[int], None]
    left: Callable[[int], None]
