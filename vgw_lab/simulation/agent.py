"""The agent's life on a simulated node: the real judgement, woken as `agent.loop` is and looking as `agent.look` does.

What those do to a machine by drivers is done to the simulated kernel; what they decide by is the product's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance import vrrp
from appliance.agent import roles
from appliance.agent.guard import NO_RULES_SECONDS
from appliance.agent.loop import TICK
from appliance.bulkhead import Bulkheads
from appliance.config.model import Config
from appliance.pair import election, pair_status
from appliance.pair.doors import Doors
from appliance.pair.election import ElectionSight, KeepalivedOrder
from appliance.pair.side import Pair
from appliance.run_dir import RunDir
from appliance.status.node_status import Snapshot
from appliance.vrrp import Role
from vgw_lab.simulation.conntrackd import Conntrackd
from vgw_lab.simulation.keepalived import Keepalived
from vgw_lab.simulation.kernel import Kernel
from vgw_lab.simulation.outside import Files
from vgw_lab.simulation.timeline import Clock
from vgw_lab.simulation.wires import LAN


@dataclass(frozen=True)
class Machine:
    """What an agent looks at and acts on. `give_up`: the node ends itself."""

    name: str
    clock: Clock
    kernel: Kernel
    keepalived: Keepalived
    conntrackd: Conntrackd
    files: Files
    kill_keepalived: Callable[[], None]
    give_up: Callable[[], None]


# Ages are told by the monotonic clock, of a node that does not boot meanwhile.
BOOT = "simulated"


class Agent:
    """One agent, from its start to its death."""

    def __init__(self, machine: Machine, config: Config, doors: Doors) -> None:
        self.machine, self.config = machine, config
        now = machine.clock.monotonic()
        bulkheads = Bulkheads(machine.clock.monotonic)
        self.pair = Pair(config, machine.name, RunDir(), now, doors, bulkheads)
        self.state = roles.RoleState()
        self.election = election.Election()
        self.problem = ""
        self.sentence = "just started"
        self.missing_since: float | None = None
        self.next_tick = now
        # When it last wrote its status.
        self.written = now

    def step(self, lines: Sequence[str], *, local: bool) -> float:
        """Take in what has come and do what follows; how many seconds it may wait then. `lines` are keepalived's."""
        now = self.machine.clock.monotonic()
        # It looks before it says its first word.
        news = self.state.role is not None and self.pair.serve(now)
        if roles.flickered(lines):
            self.pair.flickered(now)
        if local:
            self.look("keepalived or the kernel said something")
        elif news:
            self.look(self.pair.memory.verdict.reason)
        elif now >= self.next_tick:
            self.look("found by looking")
        return max(0.0, min(self.next_tick - now, self.pair.wait(now)))

    def look(self, cause: str) -> None:
        """Read the role from the world, and follow it."""
        machine, pair, kernel = self.machine, self.pair, self.machine.kernel
        now = machine.clock.monotonic()
        if pair.contested and not machine.keepalived.process:
            kernel.floating = False
        pair.cable(now, carries=kernel.cabled, lan=LAN, lost=kernel.lost)
        unfit = pair.own.unfit
        sight = roles.RoleSight(kernel.floating, machine.files.ready, kernel.cabled, unfit)
        self.state, sentence = roles.decide(self.state, sight, cause, now)
        if sentence:
            self.sentence = sentence
            pair.become(self.state.role or Role.BACKUP, now)
        kernel.put_rules()
        self._guard(now)
        electable = bool(machine.keepalived.process)
        process, stolen = machine.conntrackd.process, kernel.stolen
        pair.settle(now, electable=electable, generation=process, stolen=stolen)
        self._elect(now)
        self.next_tick, self.written = now + TICK, now

    def take_up(self, config: Config) -> None:
        """Go by another file."""
        self.config = config
        self.pair.take_up(config, self.machine.clock.monotonic())

    def told(self) -> Snapshot:
        """What its status says."""
        kernel = self.machine.kernel
        two = self.pair.two_holders(self.machine.clock.monotonic())
        lasting = (kernel.lost, kernel.stolen, *self.pair.bulkheads.problems, self.problem, two)
        problems = tuple(filter(None, lasting))
        if self.missing_since is not None:
            problems += ("the ruleset cannot be put in force",)
        running = "RUNNING" if self.machine.keepalived.process else "EXITED"
        vgw = self.config.vgw
        return Snapshot(
            node=self.machine.name,
            config="",
            role=self.state.role or Role.FAULT,
            since=0.0,
            written=0.0,
            sentence=self.sentence,
            vgw="",
            wan_vip="",
            profile=vgw.profile,
            failback=str(vgw.failback),
            promise=pair_status.promise(self.config),
            ready=self.machine.files.ready,
            programs={"keepalived": running},
            pair=pair_status.of(self.pair),
            version="",
            problems=problems,
            boot=BOOT,
            written_s=self.written,
        )

    def _guard(self, now: float) -> None:
        ruleset = self.machine.kernel.ruleset
        if ruleset:
            self.missing_since = None
        elif self.missing_since is None:
            self.missing_since = now
        self.pair.guard(now, ruleset=ruleset)
        if self.missing_since is not None and now - self.missing_since > NO_RULES_SECONDS:
            self.machine.give_up()

    def _elect(self, now: float) -> None:
        machine, vgw, kernel = self.machine, self.config.vgw, self.machine.kernel
        advert, keepalived = self.pair.last_advert, self.machine.keepalived
        sight = ElectionSight(
            role=self.pair.own.role,
            dismissed=self.pair.dismissed,
            usable=kernel.cabled and not kernel.lost,
            interfaces=dict(kernel.indices),
            lan=LAN,
            process=keepalived.process,
            sockets=0 if keepalived.deaf else 2,
            peer=self.pair.ears.peer.beat,
            advert=(advert.at, advert.priority) if advert else None,
            promise=vrrp.master_down_interval(vgw.vrrp_version, 1, vgw.advert_interval),
        )
        judged = election.judge(self.election, sight, now)
        self.election, self.problem = judged.state, judged.problem
        if judged.order is KeepalivedOrder.RELOAD:
            keepalived.reload()
        if judged.order is KeepalivedOrder.RESTART:
            machine.kill_keepalived()
