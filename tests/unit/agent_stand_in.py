"""An agent on a machine that no test can harm: its clock, and what it waits for, go as a test tells."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance import CommandFailed, rtnetlink
from appliance.addresses import Address
from appliance.agent import agent as agents
from appliance.agent import look, loop
from appliance.agent.agent import Agent
from appliance.agent.doors import AgentDoors
from appliance.agent.sources import Heard
from appliance.config.model import Config
from appliance.conntrack.ending import Ended
from appliance.conntrack.passing import Passing
from appliance.control.words import ApplyAnswer, ApplyRequest
from appliance.planning.wanted import Names
from appliance.processes.programs import Program
from appliance.run_dir import RunDir
from appliance.site import accepted
from appliance.status import events, status_file
from appliance.status.events import Event
from appliance.status.node_status import Snapshot
from appliance.vrrp import Role
from appliance.wires.claims import Claim

from .machine_stand_in import Gateway, gateway, planned, site
from .node_doors import GOLDEN, Node, config

# A port that leads to a machine, in the place of the file's own `nat:`.
PORT = "nat:\n  destination: [{protocol: tcp, port: 8080, to: 192.168.100.10}]\n"
VGW, WAN_VIP = "192.168.100.99/24", "203.0.113.99/24"
# What happens at one moment, and what the agent hears of it; None: something by which the pair hears.
Deed = Callable[[], Heard | None]
NOTICED = Heard(local=True)  # the kernel's word that something changed


def said(state: str) -> Heard:
    """keepalived's word about a state, as it comes out of its FIFO."""
    return Heard((f'INSTANCE "VI_1" {state} 100',), local=True)


@dataclass
class Story:
    """Stands for all that an agent waits for: deeds at their times, the last of them TERM. Time passes only here."""

    node: Node
    deeds: list[tuple[float, Deed]]
    reload: bool = False
    waits: list[float] = field(default_factory=list)

    def wait(self, others: Sequence[int], seconds: float) -> Heard:
        """Have the next deed done where its time has come, or let so many seconds pass."""
        self.waits.append(seconds)
        at, deed = self.deeds[0]
        until = self.node.now + seconds
        self.node.now = self.node.pings.answered = min(until, max(at, self.node.now))
        if at > until:
            return Heard()
        self.deeds.pop(0)
        return deed() or Heard(others=True)

    def hang_up(self) -> Heard:
        """HUP comes."""
        self.reload = True
        return NOTICED

    def listen(self) -> None:
        """Nobody here has a socket."""

    def close(self) -> None:
        """Nobody here has one to close."""

    def told_to_stop(self) -> bool:
        """Whether the last deed was done."""
        return not self.deeds

    def told_to_reload(self) -> bool:
        """Whether HUP came; once."""
        told, self.reload = self.reload, False
        return told


class FlowEnds:
    """Ends flows as a test tells: at once, and none, unless it says more."""

    def __init__(self) -> None:
        self.begun: list[tuple[Passing, Passing]] = []
        self.ended: Ended | None = Ended({})
        self.refuses = ""
        self.under_way = False

    def begin(self, former: Passing, now: Passing, at: float) -> None:
        """Begin."""
        if self.refuses:
            raise CommandFailed(self.refuses)
        self.begun.append((former, now))
        self.under_way = True

    def is_over(self, at: float) -> bool:
        """Whether a test has said what came of it."""
        return self.under_way and self.ended is not None

    def outcome(self, at: float) -> Ended | None:
        """That."""
        if not self.is_over(at):
            return None
        self.under_way = False
        return self.ended


class Claimed:
    """What is said by ARP, as a test tells: nothing, unless it says more."""

    def __init__(self) -> None:
        self.heard: dict[Claim, float] = {}
        self.asked: list[tuple[str, tuple[Address, ...]]] = []
        self.announced: list[tuple[str, Address]] = []

    def fileno(self) -> int:
        """None: a test has it heard."""
        return -1

    def ask(self, interface: str, addresses: Collection[Address]) -> None:
        """Ask."""
        self.asked.append((interface, tuple(addresses)))

    def hear(
        self, interface: str, addresses: Collection[Address], now: float
    ) -> Mapping[Claim, float]:
        """What a test has had claimed."""
        return {claim: at for claim, at in self.heard.items() if claim.address in addresses}

    def announce(self, interface: str, address: Address) -> None:
        """Keep it."""
        self.announced.append((interface, address))


class Operator:
    """Who asks an agent, and what was answered."""

    def __init__(self, request: ApplyRequest) -> None:
        self.request = request
        self.answers: list[ApplyAnswer] = []

    def answer(self, answer: ApplyAnswer) -> None:
        """Keep it."""
        self.answers.append(answer)


class Living:
    """Node `master`, on which an agent lives."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, directory: Path, case: str = "01-standard"
    ) -> None:
        self.file = directory / "gateway.yaml"
        self.file.write_text((GOLDEN / case / "gateway.yaml").read_text(encoding="utf-8"))
        self.run_dir = RunDir(directory / "run")
        self.run_dir.path.mkdir()
        wanted = config(case)
        self.machine: Gateway = gateway(
            monkeypatch, directory, planned(wanted, Role.BACKUP, self.run_dir)
        )
        self.node = Node(wanted, "master", self.run_dir.path, now=100.0)
        self.story = Story(self.node, [])
        self.packets, self.sockets = 0, 1
        self.traffic = True
        self.ends = FlowEnds()
        self.claimed = Claimed()
        self.preferred: list[tuple[int, int]] = []
        self.may_prefer = True
        self.killed: list[Program] = []
        self.agent = self.begin()

    def doors(self) -> AgentDoors:
        """All that an agent here has to do with."""
        return AgentDoors(
            pair=self.node.doors(),
            monotonic=lambda: self.node.now,
            pause=self.pass_time,
            sources=lambda *_: self.story,
            forwarded=self.forwarded,
            vrrp_sockets=lambda _: self.sockets,
            kill=self.killed.append,
            run_before_others=self.prefer,
            ends=lambda: self.ends,
            claims=lambda: self.claimed,
        )

    def prefer(self, process: int, priority: int) -> bool:
        """Give a process a realtime priority, where this node may."""
        self.preferred.append((process, priority))
        return self.may_prefer

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and what happens meanwhile happen."""
        self.story.wait((), seconds)

    def forwarded(self) -> int:
        """The kernel's count: as long as there is traffic, there is more at each look."""
        self.packets += self.traffic
        return self.packets

    def begin(self) -> Agent:
        """An agent that begins on this node."""
        found = accepted.from_file(self.file, "master")
        agent = agents.begin(found, site(self.run_dir, self.file, own_network=True), self.doors())
        self.node.pair = agent.pair
        return agent

    def begin_anew(self) -> Agent:
        """An agent that begins as supervisord starts it, where another one has lived."""
        agent = loop._begin(self.file, self.run_dir, "master", self.doors())
        self.node.pair = agent.pair
        return agent

    def look(self, cause: str = "found by looking", passed: float = 1.0) -> Snapshot:
        """One look, some time after the last; what was told then."""
        self.node.now += passed
        self.node.pings.answered = self.node.now
        look.look(self.agent, cause, self.node.now)
        return self.told()

    def stand_by(self) -> None:
        """Be a BACKUP that has all it needs."""
        for _ in range(4):
            self.look()
        assert self.told().role is Role.BACKUP, self.told().sentence

    def live(self, *deeds: tuple[float, Deed]) -> None:
        """The agent's life, with deeds so many seconds from now; it ends with the last of them."""
        begin = self.node.now
        self.story.deeds = [(begin + at, deed) for at, deed in deeds]
        loop.run(self.agent)

    def apply(
        self, *, file: str = "", node: str = "", role: str = "", keep_flows: bool = False
    ) -> ApplyAnswer:
        """What the agent, which lives on, answers to `vgw apply`; its status tells of it by then."""
        operator = Operator(ApplyRequest(file, node, role, keep_flows))
        self.live((0.1, lambda: Heard(asked=(operator,))), (0.2, lambda: None))
        (answer,) = operator.answers
        return answer

    def hold_vgw(self) -> Heard:
        """keepalived becomes MASTER: it puts the two floating addresses."""
        self.machine.kernel.add_address("eth1", VGW)
        self.machine.kernel.add_address("eth0", WAN_VIP)
        return said("MASTER")

    def lose_vgw(self) -> Heard:
        """keepalived is MASTER no more."""
        for floating in (VGW, WAN_VIP):
            self.machine.kernel.remove_address(floating)
        return said("BACKUP")

    def told(self) -> Snapshot:
        """What the agent told last."""
        return status_file.read(self.run_dir)

    def changes(self) -> list[Event]:
        """The changes of role that were written down."""
        return [event for event in events.read(self.run_dir) if event.kind == "role"]

    def sources_of(self, table: int) -> list[str | None]:
        """The addresses that a routing table gives to packets."""
        ours = rtnetlink.routes(Names().protocol)
        return [str(one.source) if one.source else None for one in ours if one.table == table]


def edit(node: Living, words: dict[str, str]) -> Config:
    """Have other words in the file; what it says then."""
    text = node.file.read_text()
    for before, after in words.items():
        assert before in text
        text = text.replace(before, after)
    node.file.write_text(text)
    return accepted.from_file(node.file, "master").config


def asking(operator: Operator) -> Deed:
    """Have somebody ask."""
    return lambda: Heard(asked=(operator,))
