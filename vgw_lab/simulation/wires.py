"""The wires between the two nodes: each direction on its own opens and parts, loses, delays and reorders."""

from dataclasses import dataclass
from random import Random

from vgw_lab.simulation.timeline import Deed, Timeline

LAN, WAN, SYNC = "eth1", "eth0", "eth2"


@dataclass
class Way:
    """One direction of a wire. Times in seconds; what overtakes what is up to the jitter."""

    open: bool = True
    loss: float = 0.0
    delay: float = 0.0005
    jitter: float = 0.001


class Wire:
    """A network that both nodes are on; a direction is known by who sends, 0 or 1."""

    def __init__(self, timeline: Timeline, chance: Random) -> None:
        self.timeline, self.chance = timeline, chance
        self.ways = (Way(), Way())

    def carry(self, sender: int, arrival: Deed) -> None:
        """Have something arrive at the other node, if it does."""
        way = self.ways[sender]
        if way.open and not (way.loss and self.chance.random() < way.loss):
            self.timeline.after(way.delay + way.jitter * self.chance.random(), arrival)

    @property
    def whole(self) -> bool:
        """Whether both directions are open and lose nothing."""
        return all(way.open and not way.loss for way in self.ways)
