"""A pair in its world: two nodes, the wires between them, machines that speak, and an operator."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from appliance.config.model import Failback
from vgw_lab.simulation.around import Around, Networks
from vgw_lab.simulation.connections import Flow
from vgw_lab.simulation.node import Node
from vgw_lab.simulation.timeline import Clock, Timeline
from vgw_lab.simulation.traffic import Traffic
from vgw_lab.simulation.wires import WAN, Wire

EAGER = 2.0  # seconds after anything happened for which all is looked at closely
FORGOTTEN = 6.0  # seconds in which a node has noticed that its table was emptied
LETTING_GO = 0.5  # seconds from where a node lets go until its conntrackd has been told that the entries are the peer's
DRIFT = 300e-6  # a node's clock gains or loses at most so much


@dataclass
class Times:
    """When each node took the VGW last, let it go, and its table was emptied; and when faults began or ended."""

    held: list[float] = field(default_factory=lambda: [0.0, 0.0])
    left: list[float] = field(default_factory=lambda: [0.0, 0.0])
    emptied: list[float] = field(default_factory=lambda: [-100.0, -100.0])
    disturbed: list[float] = field(default_factory=list)


class World:
    """All there is. `version` changes with everything that an invariant might see."""

    def __init__(self, kind: str, seed: int, *, clocks_jump: bool = True) -> None:
        self.clocks_jump = clocks_jump
        self.kind, self.timeline, self.chance = kind, Timeline(), Random(seed)
        self.version = 0
        self.listeners: list[Callable[[float, str], None]] = []
        # What broke, or was done, that no node may do; the first is told.
        self.wrong: list[tuple[str, str]] = []
        lan, sync = (Wire(self.timeline, self.chance) for _ in range(2))
        self.networks = Networks(lan, sync, machines=[True, True], answers=[True, True])
        processes = count(1000)
        around = Around(
            kind=kind,
            timeline=self.timeline,
            chance=self.chance,
            networks=self.networks,
            process=lambda: next(processes),
            stir=self.stir,
            ended=self._ended,
            served=self._served,
            left=self._left,
        )
        clocks = [self._clock() for _ in range(2)]
        self.times = Times()
        self.nodes = tuple(Node(index, around, clock) for index, clock in enumerate(clocks))
        self.nodes[0].peer, self.nodes[1].peer = self.nodes[1], self.nodes[0]
        self.traffic = Traffic(self.timeline, self.chance, self.server)

    def begin(self) -> None:
        """Power on, and have the machines speak."""
        for node in self.nodes:
            self.timeline.after(self.chance.random(), node.power_on)
        self.traffic.begin()

    def tell(self, sentence: str) -> None:
        """Say what happens, to whoever listens."""
        for listener in self.listeners:
            listener(self.timeline.now, sentence)

    def stir(self) -> None:
        """Something has happened."""
        self.version += 1
        for node in self.nodes:
            node.life.eager_until = self.timeline.now + EAGER

    def disturb(self) -> None:
        """A fault begins or ends."""
        self.times.disturbed.append(self.timeline.now)
        self.stir()
        for node in self.nodes:
            node.life.hear()

    def serves(self, node: Node) -> bool:
        """Whether machines that send to this node get answers."""
        networks = self.networks
        out = node.kernel.carries[WAN] and networks.answers[node.index]
        kernel = node.kernel
        leaves = kernel.ruleset and not kernel.stolen
        return node.answers and leaves and networks.machines[node.index] and out

    def server(self) -> Node | None:
        """Through whom flows go: the node that serves, where there is just one."""
        serving = [node for node in self.nodes if self.serves(node)]
        return serving[0] if len(serving) == 1 else None

    def _clock(self) -> Clock:
        rate = 1 + DRIFT * (2 * self.chance.random() - 1)
        return Clock(self.timeline, rate, 100 + 1000 * self.chance.random())

    def _ended(self, index: int, flow: Flow) -> None:
        node = self.nodes[index]
        emptied, left = self.times.emptied[node.peer.index], self.times.left[node.peer.index]
        if node.answers and (node.peer.answers or 0.0 <= emptied - left < LETTING_GO):
            # Two lead or did until just now, one of them was emptied, and both have lost it now.
            self.traffic.live.pop(flow, None)
        elif node.answers and flow in self.traffic.live:
            text = f"flow {flow.number} was ended on {node.name}, the MASTER, by its peer's word"
            self.wrong.append(("peer ends a flow", text))

    def _served(self, index: int) -> None:
        node = self.nodes[index]
        self.times.held[node.index] = self.timeline.now
        broken = self.traffic.served(node)
        old = [flow for flow in broken if self._should_live(flow, node)]
        if old and self._planned(node):
            names = ", ".join(str(flow.number) for flow in old[:5])
            text = f"{node.name} took the VGW as planned and lacks {len(old)} flows: {names}"
            self.wrong.append(("planned move breaks flows", text))

    def _left(self, index: int) -> None:
        """Where two held the VGW, all flows go to the other one now; what that does not know breaks."""
        other = self.nodes[index].peer
        self.times.left[index] = self.timeline.now
        if other.answers:
            self.traffic.served(other)

    def _should_live(self, flow: Flow, node: Node) -> bool:
        """Whether a planned move to a node must keep it: it has been there for a second, and it is none of those that are here by
        another port, which decision 0021 gives up.
        """
        return self.timeline.now - flow.began > 1.0 and flow not in node.kernel.table.ports

    def _planned(self, node: Node) -> bool:
        """Whether this is a move that nobody was forced to make, with replication well by both nodes' word."""
        peer, networks = node.peer, self.networks
        agents = [one.life.agent for one in self.nodes if one.life.runs]
        well = len(agents) == 2 and not any(
            agent.pair.memory.degraded or agent.pair.memory.behind for agent in agents if agent
        )
        whole = networks.lan.whole and networks.sync.whole
        long = self.timeline.now - self.times.held[peer.index] > 1.0
        led = peer.holds and long and peer.keepalived.takes_part
        gated = node.keepalived.terms.failback is not Failback.PLAIN and not node.files.aside
        # Who stood still takes over before it has read the adverts that waited.
        asked = not node.keepalived.waking
        # Nobody can know within a second what a kernel has just forgotten.
        knowable = self.timeline.now - self.times.emptied[node.index] > FORGOTTEN
        return led and gated and asked and well and whole and knowable
