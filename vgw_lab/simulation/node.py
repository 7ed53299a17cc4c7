"""One node of a simulated pair: its machine, its programs, and who starts them anew."""

import math
from collections.abc import Callable
from functools import partial
from random import Random

from appliance import vrrp
from appliance.pair.doors import Doors, Wires
from appliance.wires.adverts import Advert
from vgw_lab.simulation import pairs
from vgw_lab.simulation.agent import Agent, Machine
from vgw_lab.simulation.around import Around
from vgw_lab.simulation.conntrackd import Conntrackd, Message, Surroundings
from vgw_lab.simulation.keepalived import Keepalived, Outside, VrrpTerms
from vgw_lab.simulation.kernel import Kernel
from vgw_lab.simulation.lease import Lease
from vgw_lab.simulation.life import Life
from vgw_lab.simulation.outside import Adverts, Files, LanEar, LanVoice, Pings, Socket, TableDoor
from vgw_lab.simulation.timeline import Clock, Timeline
from vgw_lab.simulation.wires import LAN, SYNC, WAN

RESTARTED = 3.0  # seconds after which a node that has ended is started again


class Node:
    """A node: powered or not, with its kernel, keepalived, conntrackd and agent."""

    def __init__(self, index: int, around: Around, clock: Clock) -> None:
        self.index, self.around, self.clock = index, around, clock
        self.peer = self
        self.powered = False
        self.edition = 0
        self.kernel = Kernel()
        self.wires = (Socket(self._say), Adverts())
        timeline, chance = around.timeline, around.chance
        self.life = Life(timeline, chance, clock.rate)
        self._programs(timeline, chance)

    def _programs(self, timeline: Timeline, chance: Random) -> None:
        config = pairs.config(self.around.kind)
        self.kernel.lease = Lease(vrrp.DOWN_ADVERTS * config.vgw.advert_interval)
        self.files = Files(self._files_changed)
        outside = Outside(
            ready=lambda: self.files.ready,
            aside=lambda: self.files.aside,
            cabled=lambda: self.kernel.cabled,
            advertise=self._advertise,
            hold=self.hold,
            notify=self._notify,
        )
        self.keepalived = Keepalived(VrrpTerms.of(config, self.name), outside, timeline)
        surroundings = Surroundings(
            table=lambda: self.kernel.table,
            holds=lambda: self.kernel.floating,
            passes=self._passes,
            takes=self._carry_messages,
            ended=lambda flow: self.around.ended(self.index, flow),
            wake=self.life.order_ended,
            die=self.kill_conntrackd,
        )
        self.conntrackd = Conntrackd(surroundings, timeline, chance)

    # Power, and supervisord.

    def power_on(self) -> None:
        """Start: the files say that the node is not ready; the programs come one after the other."""
        if self.powered:
            return
        self.kernel.put_rules()
        if not self.kernel.ruleset:
            self.around.timeline.after(RESTARTED, self.power_on)
            return
        self.powered = True
        self.files.clear()
        self._start(0.3, self._start_conntrackd)
        self._start(0.4, self._start_keepalived)
        self._start(0.8, self._start_agent)
        self.around.stir()

    def power_off(self) -> None:
        """The plug: all is forgotten."""
        for die in (self.keepalived.die, self.conntrackd.die, self.life.die):
            die()
        self.powered, former = False, self.kernel
        lease = Lease(former.lease.seconds)
        self.kernel = Kernel(former.carries, refuses_rules=former.refuses_rules, lease=lease)
        self.wires[0].inbox.clear()
        self.wires[1].last = None
        self.around.stir()

    def shut_down(self) -> None:
        """A stop in order: keepalived goes first."""
        self.keepalived.stop()
        self.power_off()

    def give_up(self) -> None:
        """The node ends itself with 20, and whoever started it does so again."""
        self.shut_down()
        self.around.timeline.after(RESTARTED, self.power_on)

    def kill_keepalived(self) -> None:
        """It dies, and supervisord starts another."""
        if self.keepalived.process:
            self.keepalived.die()
            self._start(1.0, self._start_keepalived)
            self.around.stir()

    def kill_conntrackd(self) -> None:
        """The same of conntrackd."""
        if self.conntrackd.process:
            self.conntrackd.die()
            self._start(0.6, self._start_conntrackd)
            self.around.stir()

    def kill_agent(self) -> None:
        """The same of the agent."""
        if self.life.agent:
            self.life.die()
            self._start(0.8, self._start_agent)
            self.around.stir()

    def stop_keepalived(self) -> None:
        """Stop it in order, and leave it so."""
        self.keepalived.stop()
        self.life.wake()

    def start_keepalived(self) -> None:
        """Start it where it does not run."""
        if self.powered and not self.keepalived.process:
            self._start_keepalived()

    def _start(self, seconds: float, deed: Callable[[], None]) -> None:
        self.around.timeline.after(seconds * (0.7 + 0.6 * self.around.chance.random()), deed)

    def _start_keepalived(self) -> None:
        if self.powered and not self.keepalived.process:
            self.keepalived.start(self.around.process())

    def _start_conntrackd(self) -> None:
        if self.powered and not self.conntrackd.process:
            self.conntrackd.start(self.around.process())
            self.life.wake()

    def _start_agent(self) -> None:
        if not self.powered or self.life.agent:
            return
        config = pairs.config(self.around.kind, self.edition)
        machine = Machine(
            self.name,
            self.clock,
            self.kernel,
            self.keepalived,
            self.conntrackd,
            self.files,
            self.kill_keepalived,
            self.give_up,
        )
        self.life.begin(Agent(machine, config, self._doors()))
        self.around.stir()

    def _doors(self) -> Doors:
        now = self.clock.monotonic()
        pings = Pings(self._answered, last=now, sampled=now)
        table = TableDoor(lambda: self.kernel.table, self.around.timeline)
        table.planting = self.conntrackd.planted
        socket, adverts = self.wires
        socket.inbox.clear()
        adverts.last = None
        self.conntrackd.open_door()
        return Doors(
            wires=lambda _, opened: Wires(socket, adverts, pings, (), LanVoice(), opened),
            table=table,
            conntrackd=lambda _: self.conntrackd,
            lan=LanEar(self._hears_machines, last=now),
            wall=self.clock.wall,
            files=lambda _: self.files,
        )

    # What comes, and what goes.

    def hold(self, held: bool) -> None:
        """Have VGW and WAN VIP, or not."""
        if held is not self.kernel.floating:
            self.kernel.floating = held
            self.around.stir()
            (self.around.served if held else self.around.left)(self.index)

    def plug(self, interface: str, *, carries: bool) -> None:
        """Put a cable in, or pull it."""
        self.kernel.carries[interface] = carries
        self.around.timeline.after(0.002, self.keepalived.look)
        self.life.wake()
        self.around.stir()

    def take_up(self, edition: int) -> None:
        """Have another file, and the agent take it up."""
        self.edition = edition
        if self.life.agent:
            self.life.agent.take_up(pairs.config(self.around.kind, edition))

    def receive_beat(self, datagram: bytes) -> None:
        """A beat has come over the sync link."""
        if self.powered and self.kernel.carries[SYNC] and self.life.agent:
            socket = self.wires[0]
            socket.inbox.append(datagram)
            socket.heard = [*socket.heard[-7:], datagram]
            self.life.hear()

    def _say(self, datagram: bytes) -> None:
        self.kernel.lease.lives = self.around.timeline.now
        if self.kernel.carries[SYNC]:
            sync = self.around.networks.sync
            sync.carry(self.index, partial(self.peer.receive_beat, datagram))

    def _advertise(self, priority: int) -> None:
        now = self.around.timeline.now
        if priority and self.kernel.lease.hushes(now):
            return
        if priority:
            self.kernel.lease.leads = now
        if self.kernel.carries[LAN] and not self.kernel.lost:
            self.around.networks.lan.carry(self.index, partial(self.peer.receive_advert, priority))

    def receive_advert(self, priority: int) -> None:
        """An advert has come by the LAN: keepalived and the agent's own socket both have it."""
        if self.powered and self.kernel.carries[LAN] and not self.kernel.lost:
            self.wires[1].last = Advert(self.clock.monotonic(), priority)
            self.kernel.lease.peer_leads = self.around.timeline.now if priority else -math.inf
            self.keepalived.hear(priority)

    def _passes(self) -> bool | None:
        """Whether conntrackd's messages get to the peer now; None where nobody takes them, or this kernel drops them.

        Also those of a cut are there within a second of its end, seen in a lab with cuts of 0.3 to 6 s on either side.
        """
        if self.kernel.lease.hushes(self.around.timeline.now):
            return None
        peer, sync = self.peer, self.around.networks.sync
        cabled = self.kernel.carries[SYNC] and peer.kernel.carries[SYNC]
        if not cabled or not all(way.open for way in sync.ways):
            return False
        return None if not peer.conntrackd.process else not peer.conntrackd.frozen

    def _carry_messages(self, messages: list[Message]) -> bool:
        return self.peer.conntrackd.take(messages)

    def _files_changed(self) -> None:
        """keepalived is told by inotify."""
        delay = 0.001 + 0.015 * self.around.chance.random()
        self.around.timeline.after(delay, self.keepalived.look)
        self.around.stir()

    def _notify(self, state: str) -> None:
        """A line in the FIFO, and the kernel's word of the addresses: the agent runs a little later."""
        self.around.stir()
        self.life.lines += (f'INSTANCE "VI_1" {state} 100',)
        self.around.timeline.after(0.02 * self.around.chance.random() ** 3, self.life.wake)

    def _answered(self) -> bool:
        return self.kernel.carries[WAN] and self.around.networks.answers[self.index]

    def _hears_machines(self) -> bool | None:
        lan = self.around.networks
        peer_speaks = self.peer.kernel.floating and lan.lan.ways[self.peer.index].open
        heard = lan.machines[self.index] or peer_speaks
        return self.kernel.carries[LAN] and heard

    # What is so.

    @property
    def name(self) -> str:
        """As the file has it."""
        return pairs.NAMES[self.index]

    @property
    def holds(self) -> bool:
        """Whether it holds the VGW, where machines could reach it."""
        return self.powered and self.kernel.floating and self.kernel.carries[LAN]

    @property
    def answers(self) -> bool:
        """Whether it answers for the VGW, which its kernel does not where its peer leads and it is silent itself."""
        return self.holds and not self.kernel.lease.silences(self.around.timeline.now)

    def belief(self) -> str:
        """What the node makes of it all, in one line."""
        agent = self.life.agent
        if not self.powered or agent is None:
            return "nothing: it is off" if not self.powered else "nothing: no agent runs"
        memory, files = agent.pair.memory, self.files
        words = [str(agent.state.role), "ready" if files.ready else "not ready"]
        words += ["aside"] if files.aside else []
        reason = memory.verdict.reason.partition(" in ")[0]
        lacking = ["degraded"] if memory.degraded else []
        lacking += ["behind"] if memory.behind else []
        return f"{', '.join([*words, *lacking])} ({reason}; keepalived: {self.keepalived.state})"
