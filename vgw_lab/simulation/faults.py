"""The grammar of what happens to a simulated pair: each kind with its sentence, how it begins, and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from vgw_lab.simulation import lies, operator
from vgw_lab.simulation.node import Node
from vgw_lab.simulation.wires import LAN, SYNC, WAN, Wire
from vgw_lab.simulation.world import World


@dataclass(frozen=True)
class Fault:
    """One thing that happens: when, what, to which node, and for how many seconds."""

    at: float
    kind: str
    node: int
    seconds: float

    @property
    def sentence(self) -> str:
        """What happens, for people."""
        kind, name = KINDS[self.kind], ("master", "backup")[self.node]
        lasts = f", for {self.seconds:g} s" if kind.end else ""
        return kind.sentence.format(node=name) + lasts


Deed = Callable[[World, Node], object]


@dataclass(frozen=True)
class Kind:
    """One kind; `end` puts right what `begin` did."""

    sentence: str
    begin: Deed
    end: Deed | None = None


def inject(world: World, fault: Fault) -> None:
    """Plan a fault, and its end."""
    kind, node = KINDS[fault.kind], world.nodes[fault.node]
    world.timeline.at(fault.at, partial(_do, world, kind.begin, node, fault.sentence))
    if kind.end:
        over = f"over: {kind.sentence.format(node=node.name)}"
        world.timeline.at(fault.at + fault.seconds, partial(_do, world, kind.end, node, over))


def _do(world: World, deed: Deed, node: Node, sentence: str) -> None:
    world.tell(sentence)
    deed(world, node)
    world.disturb()


def _cable(*interfaces: str) -> tuple[Deed, Deed]:
    def pull(_: World, node: Node) -> None:
        for interface in interfaces:
            node.plug(interface, carries=False)

    def put(_: World, node: Node) -> None:
        for interface in interfaces:
            node.plug(interface, carries=True)

    return pull, put


def _wire(name: str, *, from_node: bool, from_peer: bool, alone: bool = False) -> tuple[Deed, Deed]:
    """A wire parts in one direction or both; `alone`: no machine is on the node's side either."""

    def switch(parts: bool, world: World, node: Node) -> None:
        wire: Wire = getattr(world.networks, name)
        for way, concerned in ((node.index, from_node), (node.peer.index, from_peer)):
            if concerned:
                wire.ways[way].open = world.networks.bar(f"{name} from {way}", barred=parts)
        if alone:
            free = world.networks.bar(f"machines at {node.index}", barred=parts)
            world.networks.machines[node.index] = free

    return partial(switch, True), partial(switch, False)


def _quality(name: str, *, loss: float = 0.0, jitter: float = 0.001) -> tuple[Deed, Deed]:
    def spoil(lost: float, late: float, world: World, _: Node) -> None:
        wire: Wire = getattr(world.networks, name)
        for way in wire.ways:
            way.loss, way.jitter = lost, late

    return partial(spoil, loss, jitter), partial(spoil, 0.0, 0.001)


def _outside(*, both: bool) -> tuple[Deed, Deed]:
    def switch(dies: bool, world: World, node: Node) -> None:
        for one in world.nodes:
            if both or one is node:
                free = world.networks.bar(f"answers to {one.index}", barred=dies)
                world.networks.answers[one.index] = free

    return partial(switch, True), partial(switch, False)


def _freeze(_: World, node: Node) -> None:
    if node.powered:
        node.keepalived.freeze()
        node.life.freeze()
        node.conntrackd.frozen = True


def _thaw(world: World, node: Node) -> None:
    if node.powered:
        node.keepalived.thaw(hears_first=world.chance.random() < 0.5)
        _thaw_conntrackd(world, node)
        node.life.thaw()


def _thaw_conntrackd(_: World, node: Node) -> None:
    """It reads what the kernel has kept for it."""
    node.conntrackd.thaw()
    node.peer.conntrackd.flush()


def _refuse_rules(refuses: bool, _: World, node: Node) -> None:
    node.kernel.refuses_rules = refuses
    if refuses:
        node.kernel.ruleset = False
    node.life.wake()


def _lacks(what: str, sentence: str, _: World, node: Node) -> None:
    setattr(node.kernel, what, sentence)
    node.life.wake()


def _lose_rules(_: World, node: Node) -> None:
    node.kernel.ruleset = False
    node.life.wake()


def _lose_addresses(world: World, node: Node) -> None:
    """Somebody deletes the floating addresses: keepalived hears of it, and puts them again."""
    held = node.kernel.floating and node.keepalived.process
    node.hold(False)
    node.life.wake()
    if held:
        world.timeline.after(0.03, node.keepalived.put_again)


def _make_anew(interface: str, world: World, node: Node) -> None:
    """The interface goes, and comes again with another index: keepalived is deaf, where it was the LAN's."""
    node.plug(interface, carries=False)

    def come() -> None:
        node.kernel.make_anew(interface)
        node.keepalived.deaf = interface == LAN and node.keepalived.terms.version == 3
        node.plug(interface, carries=True)

    world.timeline.after(2.0, come)


def _lose_events(world: World, node: Node) -> None:
    node.conntrackd.deafened = True
    world.timeline.after(0.4, partial(_set, "deafened", False, world, node))


def _start_anew(world: World, node: Node) -> None:
    node.shut_down()
    world.timeline.after(3.0, node.power_on)


def _set(name: str, value: object, _: World, node: Node) -> None:
    setattr(node.conntrackd, name, value)


def _busy(seconds: float, _: World, node: Node) -> None:
    node.life.busy = seconds


KINDS: dict[str, Kind] = {
    "power": Kind("{node} loses its power", lambda _, n: n.power_off(), lambda _, n: n.power_on()),
    "restart": Kind("{node} is stopped in order, and started again", _start_anew),
    "lan cable": Kind("{node}'s LAN cable is out", *_cable(LAN)),
    "wan cable": Kind("{node}'s WAN cable is out", *_cable(WAN)),
    "sync cable": Kind("{node}'s sync cable is out", *_cable(SYNC)),
    "all cables": Kind("all cables of {node} are out", *_cable(LAN, WAN, SYNC)),
    "lan parts": Kind(
        "the LAN parts, {node} is alone on its side",
        *_wire("lan", from_node=True, from_peer=True, alone=True),
    ),
    "lan splits": Kind(
        "the LAN parts, with machines on both sides", *_wire("lan", from_node=True, from_peer=True)
    ),
    "lan one way": Kind(
        "{node}'s adverts do not get through", *_wire("lan", from_node=True, from_peer=False)
    ),
    "sync parts": Kind("the sync wire parts", *_wire("sync", from_node=True, from_peer=True)),
    "sync one way": Kind(
        "what {node} says over the sync wire gets lost",
        *_wire("sync", from_node=True, from_peer=False),
    ),
    "lan loses": Kind("the LAN loses a third", *_quality("lan", loss=0.33)),
    "sync loses": Kind("the sync wire loses a third", *_quality("sync", loss=0.33)),
    "sync lags": Kind("the sync wire delays by up to 0.4 s", *_quality("sync", jitter=0.4)),
    "way out dead": Kind("nothing outside answers {node}", *_outside(both=False)),
    "internet dead": Kind("nothing outside answers anybody", *_outside(both=True)),
    "kill keepalived": Kind("{node}'s keepalived is killed", lambda _, n: n.kill_keepalived()),
    "stop keepalived": Kind(
        "{node}'s keepalived is stopped",
        lambda _, n: n.stop_keepalived(),
        lambda _, n: n.start_keepalived(),
    ),
    "freeze keepalived": Kind(
        "{node}'s keepalived is frozen",
        lambda _, n: n.keepalived.freeze(),
        lambda w, n: n.keepalived.thaw(hears_first=w.chance.random() < 0.5),
    ),
    "kill conntrackd": Kind("{node}'s conntrackd is killed", lambda _, n: n.kill_conntrackd()),
    "freeze conntrackd": Kind(
        "{node}'s conntrackd is frozen", partial(_set, "frozen", True), _thaw_conntrackd
    ),
    "orders refused": Kind(
        "{node}'s conntrackd refuses all orders",
        partial(_set, "refuses", True),
        partial(_set, "refuses", False),
    ),
    "events lost": Kind("{node}'s kernel drops events before conntrackd", _lose_events),
    "kill agent": Kind("{node}'s agent is killed", lambda _, n: n.kill_agent()),
    "freeze agent": Kind(
        "{node}'s agent is frozen", lambda _, n: n.life.freeze(), lambda _, n: n.life.thaw()
    ),
    "busy": Kind(
        "{node} lets its agent run up to 0.4 s late", partial(_busy, 0.4), partial(_busy, 0.0)
    ),
    "freeze all": Kind("all programs of {node} are frozen", _freeze, _thaw),
    "rules gone": Kind("{node}'s ruleset is flushed", _lose_rules),
    "rules refused": Kind(
        "{node}'s ruleset is gone and cannot be put",
        partial(_refuse_rules, True),
        partial(_refuse_rules, False),
    ),
    "addresses gone": Kind("{node}'s floating addresses are deleted", _lose_addresses),
    "own address gone": Kind(
        "{node} loses its own address on the LAN",
        partial(_lacks, "lost", "192.168.100.2/24 is not on eth1"),
        partial(_lacks, "lost", ""),
    ),
    "route stolen": Kind(
        "somebody's route takes what {node} forwards",
        partial(_lacks, "stolen", "packets from inside would leave by tun0"),
        partial(_lacks, "stolen", ""),
    ),
    "table flushed": Kind("{node}'s connection table is emptied", operator.empty_table),
    "lan anew": Kind("{node}'s LAN interface is made anew", partial(_make_anew, LAN)),
    "wan anew": Kind("{node}'s WAN interface is made anew", partial(_make_anew, WAN)),
    "clock ahead": Kind("{node}'s clock is set an hour ahead", partial(lies.set_clock, 3600.0)),
    "clock behind": Kind("{node}'s clock is set an hour behind", partial(lies.set_clock, -3600.0)),
    "stale beat": Kind("the sync wire repeats an old beat to {node}", lies.repeat_beat),
    "forged beat": Kind("somebody on the sync wire forges a beat to {node}", lies.forge_beat),
    "file changes": Kind(
        "{node} takes up another file", lambda _, n: n.take_up(1), lambda _, n: n.take_up(0)
    ),
    "switchover": Kind("an operator asks {node} to hand over", operator.switchover),
}
LIES = frozenset({"stale beat", "forged beat"})
JUMPS = frozenset({"clock ahead", "clock behind"})
