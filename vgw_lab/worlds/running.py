"""A lab: its topology and its nodes together, whatever they are made of, and how the pair is doing."""

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from appliance import ApplianceError, CommandFailed, NotConverged
from appliance.config.model import Failback
from appliance.run_dir import RunDir
from appliance.status import node_status
from appliance.status.node_status import Snapshot
from vgw_lab.worlds import capture, entry, topology
from vgw_lab.worlds.entry import Child
from vgw_lab.worlds.nodes import Node
from vgw_lab.worlds.topology import INTERNET, Topology
from vgw_lab.worlds.world import wait_until

HEALTHY_SECONDS = 30.0
_LAST_WORDS = 12
PING_TARGET = "8.8.8.8"

_INSTRUMENTS = Path(__file__).parents[1] / "instruments"


def instrument_source(name: str) -> str:
    """The source of an instrument, for a machine that has no lab: each runs from that alone."""
    return (_INSTRUMENTS / f"{name}.py").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Health:
    """The pair at one moment: who holds the VGW, each node's role, and whether a ping passes."""

    holders: tuple[str, ...]
    roles: dict[str, str]
    ping: bool

    def sentence(self) -> str:
        """What an operator wants to know of it."""
        roles = ", ".join(f"{node} {role}" for node, role in self.roles.items())
        holders = " and ".join(self.holders) or "nobody"
        return f"the VGW is held by {holders}; {roles}; ping {'passes' if self.ping else 'fails'}"


@dataclass(frozen=True)
class Entrance:
    """The command that takes the caller's terminal into a lab, and its environment."""

    argv: list[str]
    variables: Mapping[str, str]


class Lab(ABC):
    """One lab by its name, up or down. Each engine fills in what its nodes are made of."""

    engine: ClassVar[str]
    # What to bear in mind when reading a drill's figures, by the drill's name.
    remarks: ClassVar[Mapping[str, str]] = {}
    # Whether its bridges are at hand, and not somewhere on an engine's host.
    bridged: ClassVar[bool] = False
    # Whether flows of others go through it too: its tables are then never at rest.
    shared: ClassVar[bool] = False

    def __init__(self, name: str, plan: Topology | None = None) -> None:
        self.name = name
        self._topology = plan

    @property
    @abstractmethod
    def up(self) -> bool:
        """Whether it is there."""

    @abstractmethod
    def text(self) -> str:
        """The gateway YAML of a lab that is up."""

    @abstractmethod
    def prepare(self, say: Callable[[str], None], build: bool) -> None:
        """Have all that `start` needs; with `build` even what is there is made anew."""

    @abstractmethod
    def start(self, tied: bool = False) -> None:
        """Make it and switch all nodes on; with `tied` it ends with the calling process, where its engine lets it.

        Raises ApplianceError, and then nothing is left of it.
        """

    @abstractmethod
    def end(self) -> None:
        """End it and everything in it; it may be gone already. Raises CommandFailed."""

    @abstractmethod
    def node(self, name: str) -> Node:
        """The node of that name. Raises ApplianceError, with the names there are."""

    @abstractmethod
    def log(self, node: str, lines: int | None = None) -> str:
        """What a node's programs printed; the last lines only, if so many are asked for."""

    @abstractmethod
    def follow(self, node: str) -> Entrance:
        """The command that prints a node's log as it grows."""

    @abstractmethod
    def enter(self, node: str, command: Sequence[str]) -> Entrance:
        """The command that runs a program, or else a shell, on a node."""

    @abstractmethod
    def arm(self, node: str) -> None:
        """Get ready to pull a gateway's cables, so that this then takes no time to begin."""

    @abstractmethod
    def cable(self, node: str, bridge: str, state: Literal["down", "up"]) -> None:
        """Pull a node's cable from a bridge, or plug it in again."""

    def part(self, node: str, bridge: str, *, parted: bool) -> None:
        """Part a node from a bridge, or join it again, while its carrier stays up; see `bridged`."""
        raise ApplianceError(f"{node}: the bridges of this lab are its engine's own")

    def wire(self, node: str, bridge: str, *, there: bool) -> None:
        """Take a node's interface to a bridge away, or make it anew under its old name; see `bridged`."""
        raise ApplianceError(f"{node}: the bridges of this lab are its engine's own")

    @abstractmethod
    def witness(self, standby: str) -> Child:
        """Start the witness on the LAN, where no fault of `standby`'s peer can reach it."""

    @abstractmethod
    def look_on(self, words: Sequence[str], there: Collection[str]) -> dict[str, Child]:
        """Start the look at the invariants: who looks, by the node looked at, or `world` for both.

        `words` are the options of `looker`; who is `there` already is not started again.
        """

    @property
    def topology(self) -> Topology:
        """What the lab is wired after; of a running lab, read back from it."""
        if self._topology is None:
            self._topology = topology.from_yaml(self.text())
        return self._topology

    def interface(self, node: str, bridge: str) -> str:
        """What a node calls its interface to a bridge."""
        wires = self.topology.node(node).wires
        return next(wire.interface for wire in wires if wire.bridge == bridge)

    def status(self, gateway: str) -> Snapshot | None:
        """What a gateway says of itself; None while it says nothing that this version can read."""
        try:
            return node_status.from_json(self._status_text(gateway))
        except ApplianceError:
            return None

    def _status_text(self, gateway: str) -> str:
        return self.node(gateway).read(str(RunDir().status)) or ""

    def holders(self) -> tuple[str, ...]:
        """The gateways that have the VGW on an interface, as their kernels see it."""
        address = str(self.topology.vgw.address.ip)
        names = [spec.name for spec in self.topology.gateways]
        return tuple(
            name
            for name in names
            if address in local_addresses(self.node(name).read("/proc/net/fib_trie") or "")
        )

    def role(self, gateway: str) -> str:
        """A gateway's role in its own words, `off` or `starting`."""
        if not self.node(gateway).on:
            return "off"
        return told_role(self._status_text(gateway)) or "starting"

    def behind(self, gateway: str) -> str:
        """Which flows the standby lacks, in a gateway's own words; empty where none."""
        told = self.status(gateway)
        return told.pair.behind if told else ""

    def pings(self, machine: str, target: str = PING_TARGET) -> bool:
        """Whether one ping from a machine is answered within a second."""
        done = self.node(machine).run(["ping", "-n", "-c", "1", "-W", "1", target])
        return done.returncode == 0

    def health(self) -> Health:
        """How the pair is doing now."""
        holders = self.holders()
        roles = {spec.name: self.role(spec.name) for spec in self.topology.gateways}
        machines = self.topology.machines
        ping = bool(holders) and all(self.pings(machine.name) for machine in machines[:1])
        return Health(holders, roles, ping)

    def wait_healthy(self, seconds: float = HEALTHY_SECONDS) -> str:
        """The name of the one MASTER, once the pair is at rest and a ping passes.

        At rest: one node holds the VGW, the other is its BACKUP and has all of its flows, and no failback
        is to come.
        Raises NotConverged, with what was still missing after `seconds`.
        """
        if not wait_until(self._at_rest, seconds, every=0.05):
            raise NotConverged(
                f"lab '{self.name}': not healthy after {seconds:g} s: {self.health().sentence()}; {self._remedy()}"
            )
        return self.holders()[0]

    def _remedy(self) -> str:
        """What to do about a pair that does not come to rest."""
        first = self.topology.gateways[0].name
        told, other = self.status(first), self.other(first)
        if told is not None and told.ready and self.holders() == (other,):
            way = f"`vgw lab exec{entry.option(self.name)} {other} -- vgw switchover`"
            return f"{first} is ready, and does not take it back; {way} hands it over"
        return "`vgw lab logs NODE` shows what a node said"

    def require_on(self) -> None:
        """Raise NotConverged where a node is off that the pair, or a ping, cannot do without."""
        needed = (*self.topology.gateways, *self.topology.machines[:1])
        for name in (*(spec.name for spec in needed), INTERNET):
            if not self.node(name).on:
                raise NotConverged(entry.off(self.name, name))

    def _at_rest(self) -> bool:
        for spec in self.topology.gateways:
            if not self.node(spec.name).on:
                raise NotConverged(
                    f"{spec.name}: the gateway has ended by itself; its last words:\n"
                    f"{self.log(spec.name, _LAST_WORDS)}"
                )
        holders = self.holders()
        if len(holders) != 1:
            return False
        first = self.topology.gateways[0].name
        if self.topology.vgw.failback != Failback.NEVER and holders[0] != first:
            return False
        other = self.other(holders[0])
        roles = (self.role(holders[0]), self.role(other))
        if roles != ("MASTER", "BACKUP") or any(map(self.behind, (holders[0], other))):
            return False
        return self.health().ping

    def other(self, gateway: str) -> str:
        """The peer of a gateway."""
        return next(spec.name for spec in self.topology.gateways if spec.name != gateway)

    def capture(self) -> capture.Capture:
        """What the internet saw on its wire."""
        return capture.read(self.node(INTERNET).run)


def addressed(lab: Lab, node: str, bridge: str) -> str:
    """The interface of a node that has its address on a network. Raises ApplianceError."""
    wire = next(wire for wire in lab.topology.node(node).wires if wire.bridge == bridge)
    shown = lab.node(node).run(["ip", "-o", "-4", "address", "show"]).stdout
    for words in map(str.split, shown.splitlines()):
        if str(wire.address) in words:
            return words[1]
    raise ApplianceError(f"{node}: no interface of it has {wire.address}, as the plan says")


def signalled(node: Node, program: str, how: str, child: bool) -> None:
    """Send a signal by a shell on the node, where its processes are not ours. Raises CommandFailed."""
    words = [program, how, *(["child"] if child else [])]
    done = node.run(["sh", "-c", entry.SIGNAL, *words])
    if done.returncode != 0:
        raise CommandFailed(f"{node.spec.name}: kill -{how} {program}: {done.output}")


def lookouts(lab: Lab, there: Collection[str]) -> dict[str, Child]:
    """A lookout within each gateway that is on, by its name, where there is none yet."""
    found = {}
    for spec in lab.topology.gateways:
        if spec.name not in there and lab.node(spec.name).on:
            options = ["--vgw", str(lab.topology.vgw.address.ip)]
            options += ["--interface", lab.interface(spec.name, "lan")]
            options += ["--status", str(RunDir().status)]
            found[spec.name] = lab.node(spec.name).instrument("lookout", options)
    return found


def told_role(status: str) -> str | None:
    """The role in the text of a status file, of any version of VGW; None where it tells none."""
    try:
        return str(json.loads(status)["role"])
    except (ValueError, TypeError, KeyError):
        return None


def local_addresses(fib_trie: str) -> set[str]:
    """A network's own addresses, out of /proc/net/fib_trie (proc_pid_net(5))."""
    pairs = itertools.pairwise(fib_trie.splitlines())
    return {above.strip(" |-") for above, line in pairs if "host LOCAL" in line}
