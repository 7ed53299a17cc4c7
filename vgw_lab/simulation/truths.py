"""What is so in a simulated world, as no node may know it: who could serve, who hears whom, what lacks where."""

from functools import cache

from appliance import vrrp
from appliance.config.model import Failback
from appliance.pair.readiness import ENOUGH, SPARE
from appliance.status import health
from appliance.status.node_status import Moment
from appliance.vrrp import Role
from vgw_lab.simulation import pairs
from vgw_lab.simulation.agent import BOOT
from vgw_lab.simulation.connections import Flow
from vgw_lab.simulation.node import Node
from vgw_lab.simulation.wires import LAN, SYNC
from vgw_lab.simulation.world import World

SPARE_TIME = 1.0  # seconds by which a takeover may be later than VRRP's formula
YOUNG = 4.0  # flows that began in the last few seconds may lack before that counts
NEWEST, ENOUGH_TO_TELL = 16.0, 4  # of those that are younger than this, so many lack together


@cache
def promise(kind: str) -> float:
    """The longest takeover of VRRP's formula, and a little."""
    vgw = pairs.config(kind).vgw
    return vrrp.master_down_interval(vgw.vrrp_version, 1, vgw.advert_interval) + SPARE_TIME


@cache
def is_plain(kind: str) -> bool:
    """Whether VRRP alone decides there."""
    return pairs.config(kind).vgw.failback is Failback.PLAIN


def could_serve(node: Node) -> bool:
    """Whether it would serve, were it MASTER: powered, cabled, with rules, and its programs run."""
    kernel, keepalived = node.kernel, node.keepalived
    runs = node.powered and node.life.runs and keepalived.process and not keepalived.frozen
    fit = kernel.ruleset and not kernel.lost and not kernel.stolen
    return bool(runs) and kernel.cabled and fit


def decides(node: Node) -> bool:
    """Whether it is off, or its agent and its keepalived are let run."""
    return not node.powered or (node.life.runs and not node.keepalived.frozen)


def connected(world: World) -> bool:
    """Whether the sync wire carries all that the two nodes say to each other."""
    return world.networks.sync.whole and all(node.kernel.carries[SYNC] for node in world.nodes)


def hears_of(world: World, node: Node) -> bool:
    """Whether a node can know that its peer leads: by beats, or by adverts, which it hears by an address of its own."""
    wires = [(world.networks.sync, SYNC)]
    if not any(one.kernel.lost for one in world.nodes):
        wires.append((world.networks.lan, LAN))
    return any(
        wire.ways[node.peer.index].open
        and all(one.kernel.carries[interface] for one in world.nodes)
        for wire, interface in wires
    )


def would_serve(world: World, node: Node) -> bool:
    """Whether a node that is ready has all it needs, and the two can settle who is MASTER."""
    networks = world.networks
    free = networks.lan.whole and connected(world) and all(map(decides, world.nodes))
    has = networks.answers[node.index] and networks.machines[node.index]
    return free and has and could_serve(node) and node.files.ready and not node.keepalived.deaf


def hear_each_other(world: World) -> bool:
    """Whether the two nodes can settle who is MASTER.

    By the LAN: adverts go both ways. By the sync wire: where one alone is deaf on the LAN, it lets go; but where
    machines are heard on both sides, each side needs a gateway (decision 0019), and with plain preemption VRRP alone decides.
    """
    nodes, networks = world.nodes, world.networks
    hearing = [node.keepalived.takes_part and not node.kernel.lost for node in nodes]
    lan = networks.lan.whole and all(hearing)
    if lan:
        return True
    agents = all(node.life.runs for node in nodes)
    unfit = [node for node in nodes if not node.keepalived.process or node.kernel.lost]
    settled = _lonely_lets_go(world) or len(unfit) == 1
    return connected(world) and agents and not is_plain(world.kind) and settled


def _lonely_lets_go(world: World) -> bool:
    """Whether the LAN is parted, and the one node that hears no machine can have its keepalived let go."""
    networks = world.networks
    lonely = [node for node in world.nodes if not networks.machines[node.index]]
    parted = not any(way.open for way in networks.lan.ways)
    return parted and len(lonely) == 1 and not lonely[0].keepalived.frozen


def names_it(node: Node) -> bool:
    """Whether `vgw health` or `vgw status` of this node names a cause."""
    agent = node.life.agent
    if agent is None or node.life.frozen:
        return True  # `vgw health` says how long its status is silent
    told = agent.told()
    sick = health.sickness(told, Moment(BOOT, node.clock.monotonic(), node.clock.wall()))
    return bool(sick or told.pair.uplink is False or told.pair.degraded)


def leading(world: World) -> tuple[Node | None, Node | None]:
    """The MASTER and its standby, where both live, have agents that run, and the standby can know of the other."""
    nodes = world.nodes
    holders = [node for node in nodes if node.holds]
    alive = all(node.powered and node.life.runs for node in nodes)
    if len(holders) != 1 or not alive or not hears_of(world, holders[0].peer):
        return None, None
    roles = [node.life.agent.state.role if node.life.agent else None for node in nodes]
    if roles[holders[0].index] is not Role.MASTER or Role.MASTER is roles[holders[0].peer.index]:
        return None, None
    return holders[0], holders[0].peer


def lacks(master: Node, standby: Node, now: float, *, emptied: bool) -> list[Flow]:
    """The MASTER's entries that the standby has not, or by another port, where they are many or the newest.

    `emptied`: the standby's kernel has forgotten its table; then the newest are nothing of their own.
    """
    mine, theirs = master.kernel.table.ports, standby.kernel.table.ports
    lack = [
        flow for flow, port in mine.items() if now - flow.began > YOUNG and theirs.get(flow) != port
    ]
    many = 2 * (SPARE + (1 - ENOUGH) * master.kernel.table.weight)
    if sum(flow.weight for flow in lack) > many:
        return lack
    newest = [flow for flow in mine if YOUNG < now - flow.began < NEWEST]
    arrived = emptied or any(flow in theirs for flow in newest)
    return [] if arrived or len(newest) < ENOUGH_TO_TELL else newest


def tells_of_lack(master: Node, standby: Node) -> bool:
    """Whether one of the two says that a takeover would lose flows; a standby that is not ready says why."""
    memories = [node.life.agent.pair.memory for node in (master, standby) if node.life.agent]
    told = any(memory.degraded or memory.behind for memory in memories)
    return told or not standby.files.ready
