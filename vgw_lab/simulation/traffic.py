"""The machines' flows: they begin and end through whoever holds the VGW, and break where it does not know them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

from vgw_lab.simulation.connections import Flow
from vgw_lab.simulation.node import Node
from vgw_lab.simulation.timeline import Timeline

EVERY = 0.8  # seconds between two flows that begin, on average
LIFE = 25.0  # and for which one lives
TOUCHED = 4.0  # seconds between two passes in which the refresher touches a few entries
CROWDS, CROWD = 5, 60  # flows that stand for many, and for how many


@dataclass
class Traffic:
    """All flows that live, each with the outside port by which its server knows it."""

    timeline: Timeline
    chance: Random
    server: Callable[[], Node | None]
    live: dict[Flow, int] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def begin(self) -> None:
        """Have the machines speak from now on."""
        for _ in range(CROWDS):
            self._wait(2.5, self._gather)
        self.timeline.after(2.0, self._next)
        self.timeline.after(TOUCHED, self._touch)

    def served(self, node: Node) -> list[Flow]:
        """A node has taken the VGW: which flows break, for it does not know them by their ports."""
        ports = node.kernel.table.ports
        broken = [flow for flow, port in self.live.items() if ports.get(flow) != port]
        for flow in broken:
            del self.live[flow]
        return broken

    def speak(self, node: Node) -> None:
        """All flows speak to a node that has forgotten them: each begins anew, and breaks where its port is another one."""
        for flow, port in list(self.live.items()):
            chosen = node.kernel.table.add(flow)
            node.conntrackd.begun(flow, chosen)
            if chosen != port:
                del self.live[flow]

    def _gather(self) -> None:
        """A crowd begins as soon as somebody serves."""
        if self.server():
            self._open(CROWD, 1000.0)
        else:
            self._wait(0.5, self._gather)

    def _next(self) -> None:
        self._open(1, LIFE)
        self._wait(EVERY, self._next)

    def _wait(self, average: float, deed: Callable[[], None]) -> None:
        self.timeline.after(self.chance.expovariate(1 / average), deed)

    def _open(self, weight: int, life: float) -> None:
        node = self.server()
        # Few ports and servers, so that flows have siblings and collide.
        end = (self.chance.randrange(2), 5000 + self.chance.randrange(8))
        server, lives = self.chance.randrange(4), self.chance.expovariate(1 / life)
        if node is None:
            return
        flow = Flow(next(self.numbers), end, server, weight, self.timeline.now)
        self.live[flow] = port = node.kernel.table.add(flow)
        node.conntrackd.begun(flow, port)
        self.timeline.after(lives, lambda: self._close(flow))

    def _close(self, flow: Flow) -> None:
        node = self.server()
        if self.live.pop(flow, None) is not None and node and node.kernel.table.end(flow):
            node.conntrackd.over(flow)

    def _touch(self) -> None:
        node = self.server()
        if node and node.kernel.table.ports:
            flows = list(node.kernel.table.ports)
            node.conntrackd.touch(self.chance.sample(flows, min(2, len(flows))))
        self.timeline.after(TOUCHED, self._touch)
