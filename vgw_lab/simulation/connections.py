"""A kernel's connection table, as far as a pair feels it: who is in it, and by which outside port."""

from dataclasses import dataclass, field

FIRST_FREE = 40_000


@dataclass(frozen=True, eq=False)
class Flow:
    """A machine's flow to a server, or `weight` of them at once, which share one fate.

    `end` is the machine and the port that it begins at: flows with the same are siblings.
    """

    number: int
    end: tuple[int, int]
    server: int
    weight: int = 1
    began: float = 0.0


@dataclass
class Connections:
    """The entries: flows with their outside ports, and canaries with the time at which they expire."""

    ports: dict[Flow, int] = field(default_factory=dict)
    canaries: dict[int, float] = field(default_factory=dict)
    weight: int = 0
    _taken: dict[tuple[int, int], Flow] = field(default_factory=dict)

    def add(self, flow: Flow, port: int | None = None) -> int:
        """Take a flow in, and choose its outside port where none is told; that one is not changed any more."""
        if flow in self.ports:
            return self.ports[flow]
        chosen = self._chosen(flow) if port is None else port
        if (flow.server, chosen) in self._taken:
            chosen = self._free(flow.server)
        self.ports[flow] = chosen
        self._taken[flow.server, chosen] = flow
        self.weight += flow.weight
        return chosen

    def end(self, flow: Flow) -> bool:
        """Take a flow out; whether it was there."""
        port = self.ports.pop(flow, None)
        if port is None:
            return False
        del self._taken[flow.server, port]
        self.weight -= flow.weight
        return True

    def flush(self) -> None:
        """Forget all."""
        self.ports, self._taken, self.canaries, self.weight = {}, {}, {}, 0

    def moved(self) -> list[Flow]:
        """Those that the world sees with another port than their own."""
        return [flow for flow, port in self.ports.items() if port != flow.end[1]]

    def kept_beside_moved(self) -> list[Flow]:
        """Those that kept their port while a sibling did not."""
        ends = {flow.end for flow in self.moved()}
        return [
            flow for flow, port in self.ports.items() if flow.end in ends and port == flow.end[1]
        ]

    def _chosen(self, flow: Flow) -> int:
        """As the kernel chooses: a sibling's port, the newest one's, if it is free there; else the flow's own."""
        for sibling in reversed(self.ports):
            if sibling.end == flow.end:
                port = self.ports[sibling]
                return port if (flow.server, port) not in self._taken else flow.end[1]
        return flow.end[1]

    def _free(self, server: int) -> int:
        port = FIRST_FREE
        while (server, port) in self._taken:
            port += 1
        return port
