"""What a person does to a simulated pair: asks for a switchover, empties a table."""

from dataclasses import dataclass

from appliance import ApplianceError
from appliance.commands.switchover import BARRIER_SECONDS, MOVE_SECONDS, has_arrived, successor
from appliance.status.node_status import Snapshot
from appliance.vrrp import Role
from vgw_lab.simulation.node import Node
from vgw_lab.simulation.world import World

LOOK = 0.05  # seconds between two looks of the command


def switchover(world: World, node: Node) -> None:
    """Ask this node to hand over, as `commands.switchover` does."""
    if not node.life.agent:
        return
    snapshot = node.life.agent.told()
    try:
        successor(snapshot, None)
    except ApplianceError as error:
        world.tell(f"refused: {error}")
        return
    command = Command(world, node, snapshot.pair.canary)
    command.await_barrier(world.timeline.now + BARRIER_SECONDS)


@dataclass
class Command:
    """A switchover that goes on; `number` is of the canary that was the last when it began."""

    world: World
    node: Node
    number: int

    def await_barrier(self, deadline: float) -> None:
        """Wait until the peer has told of a canary that was planted since."""
        if self.node.life.agent and has_arrived(self._told(), self.number):
            self.world.tell(f"all flows of {self.node.name} are at its peer, which is to take over")
            self.node.files.asked = True
            self._await_move(self.world.timeline.now + MOVE_SECONDS)
        elif self.world.timeline.now < deadline:
            self.world.timeline.after(LOOK, lambda: self.await_barrier(deadline))

    def _await_move(self, deadline: float) -> None:
        told = self._told() if self.node.life.agent else None
        if (
            told
            and told.role is not Role.MASTER
            and told.pair.peer
            and told.pair.peer.role is Role.MASTER
        ):
            return
        if self.world.timeline.now < deadline:
            self.world.timeline.after(LOOK, lambda: self._await_move(deadline))
        else:
            self.node.files.asked = False

    def _told(self) -> Snapshot:
        assert self.node.life.agent
        return self.node.life.agent.told()


def empty_table(world: World, node: Node) -> None:
    """`conntrack -F`: flows that live and speak are there again at once, where they begin at a machine."""
    world.times.emptied[node.index] = world.timeline.now
    node.kernel.table.canaries.clear()
    for flow in list(node.kernel.table.ports):
        node.kernel.table.end(flow)
        node.conntrackd.over(flow)
    if world.server() is node:
        world.traffic.speak(node)
