"""A pair that somebody runs: its nodes reached by commands of the user's, such as `ssh root@gw1`.

Drills see it as a lab, of which only some things can be asked: nobody can cut its power from here, and
what the real internet sees is not ours to count.
"""

import os
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from appliance import ApplianceError, CommandFailed, system
from appliance.run_dir import RunDir
from appliance.status import node_status
from appliance.status.node_status import Snapshot
from vgw_lab.worlds import entry, topology
from vgw_lab.worlds.capture import Capture
from vgw_lab.worlds.entry import Child
from vgw_lab.worlds.running import Entrance, Lab, addressed, instrument_source, lookouts, signalled
from vgw_lab.worlds.topology import NodeSpec

# The machine behind the pair from which the probe asks.
HERE = "here"
# A cable that was pulled comes back by itself after so many seconds, whoever was cut off by it.
CABLE_SECONDS = 15
_ANSWER_SECONDS = 10.0
_STATUS = str(RunDir().status)


@dataclass(frozen=True)
class Way:
    """How a node is reached: the words of a command that runs what follows there; none for here."""

    words: tuple[str, ...] = ()

    def to(self, argv: Sequence[str]) -> list[str]:
        """The command that runs a program there.

        ssh hands its words to a shell, so they are quoted once more; docker exec and nsenter do not.
        """
        if self.words and Path(self.words[0]).name == "ssh":
            return [*self.words, shlex.join(argv)]
        return [*self.words, *argv]

    def __str__(self) -> str:
        return f"`{shlex.join(self.words)}`" if self.words else "this machine"


class InstallNode:
    """A node or a machine of the install, as far as its command leads."""

    def __init__(self, spec: NodeSpec, way: Way, target: str) -> None:
        self.spec, self.way, self.target = spec, way, target

    @property
    def on(self) -> bool:
        """Whether a program can be run there."""
        return self.run(["true"], _ANSWER_SECONDS).returncode == 0

    def start(self) -> None:
        """Cannot be done from here."""
        raise self._refusal("switch on")

    def stop(self) -> None:
        """Cannot be done from here."""
        raise self._refusal("cut the power of")

    def crash(self) -> None:
        """Cannot be done from here."""
        raise self._refusal("kill")

    def shut_down(self) -> None:
        """Cannot be done from here."""
        raise self._refusal("shut down")

    def signal(self, program: str, how: str, child: bool = False) -> None:
        """A signal, such as KILL, to all processes of that name; or to those begun by another such."""
        signalled(self, program, how, child)

    def freeze(self) -> None:
        """Cannot be done from here."""
        raise self._refusal("freeze")

    def thaw(self) -> None:
        """Cannot be done from here."""
        raise self._refusal("thaw")

    def read(self, path: str) -> str | None:
        """The text of a file there; None when there is none, or nobody answers."""
        done = self.run(["cat", path], _ANSWER_SECONDS)
        return done.stdout if done.returncode == 0 else None

    def run(self, argv: Sequence[str], seconds: float = 30) -> system.Result:
        """Run a program there to its end. Raises CommandFailed where it has none in time."""
        return entry.complete(self.spec.name, [], self.way.to(argv), os.environ, seconds=seconds)

    def popen(self, argv: Sequence[str]) -> Child:
        """Start a program there."""
        return entry.begin(self.way.to(argv), os.environ)

    def instrument(self, module: str, words: Sequence[str]) -> Child:
        """Start one of the lab's instruments there, by its source.

        The target speaks none of the lab's protocols: a probe pings it, and flows ask it for names.
        """
        target = ["--target", self.target]
        if module == "probe":
            words = [*words, *target, "--port", "0"]
        elif module == "flows":
            module, words = "queries", target
        return self.popen(["python3", "-c", instrument_source(module), *words])

    def _refusal(self, verb: str) -> ApplianceError:
        return ApplianceError(f"{self.spec.name}: a drill cannot {verb} a node of an install")


class Install(Lab):
    """The pair behind two commands, seen from a machine behind it."""

    engine = "install"
    remarks: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("lan-down", "kill-keepalived", "switchover"),
        "takeover counts from the order on, and an order takes as long as its command takes",
    )
    shared = True
    up = True

    def __init__(self, gateways: Sequence[Way], machine: Way, target: str) -> None:
        """Ask who they are. Raises ApplianceError where that cannot be told."""
        super().__init__("install")
        self.target, self._machine = target, machine
        self._ways = {_status(way).node: way for way in gateways}
        plan = topology.from_yaml(self.text())
        names = [spec.name for spec in plan.gateways]
        if sorted(self._ways) != sorted(names):
            raise ApplianceError(
                f"--gateway: these lead to {' and '.join(self._ways)}; the pair is "
                f"{' and '.join(names)}, and a command for each is needed"
            )
        here = NodeSpec(HERE, "machine", ())
        self._topology = replace(plan, nodes=(*plan.gateways, here))

    def text(self) -> str:
        """The gateway YAML that the pair goes by."""
        way = next(iter(self._ways.values()))
        place = _status(way).config
        done = entry.complete(str(way), [], way.to(["cat", place]), os.environ)
        if done.returncode != 0:
            raise CommandFailed(f"{way}: {place} cannot be read: {done.output}")
        return done.stdout

    def prepare(self, say: Callable[[str], None], build: bool) -> None:
        """It is there."""

    def start(self, tied: bool = False) -> None:
        """It runs."""

    def end(self) -> None:
        """It is not ours to end."""

    def node(self, name: str) -> InstallNode:
        """The node of that name. Raises ApplianceError, with the names there are."""
        return InstallNode(self.topology.node(name), self.way(name), self.target)

    def way(self, name: str) -> Way:
        """How a node is reached."""
        return self._ways.get(name, self._machine)

    def log(self, node: str, lines: int | None = None) -> str:
        """Where a node's log is only its owner knows."""
        return ""

    def follow(self, node: str) -> Entrance:
        """Where a node's log is only its owner knows."""
        raise ApplianceError(f"{node}: its log is where its owner keeps it")

    def enter(self, node: str, command: Sequence[str]) -> Entrance:
        """The command that runs a program on a node."""
        return Entrance(self.way(node).to(command), os.environ)

    def capture(self) -> Capture:
        """What the real internet sees of this pair is not ours to count."""
        return Capture(translated=0, untranslated=0, offenders=())

    def require_on(self) -> None:
        """Whoever answers is on: what is behind the commands was asked when this was made."""

    def interface(self, node: str, bridge: str) -> str:
        """What a node calls its interface to a network: the one that has the node's address there."""
        return addressed(self, node, bridge)

    def arm(self, node: str) -> None:
        """Nothing to get ready: how long an order takes to arrive is the way's affair."""

    def cable(self, node: str, bridge: str, state: Literal["down", "up"]) -> None:
        """Take a node's interface down, and up again by itself, for it may be the one we came by."""
        name = self.interface(node, bridge)
        script = f"ip link set {name} {state}"
        if state == "down":
            back = f"{script}; sleep {CABLE_SECONDS}; ip link set {name} up"
            script = f"setsid sh -c '{back}' </dev/null >/dev/null 2>&1 &"
        done = self.node(node).run(["sh", "-c", script])
        if done.returncode != 0:
            raise CommandFailed(f"{node}: {script}: {done.output}")

    def look_on(self, words: Sequence[str], there: Collection[str]) -> dict[str, Child]:
        """Start a lookout within each gateway."""
        return lookouts(self, there)

    def witness(self, standby: str) -> Child:
        """Start the witness on the standby, which hears all that the LAN says to both."""
        words = ["--interface", self.interface(standby, "lan")]
        return self.node(standby).instrument("witness", words)


def _status(way: Way) -> Snapshot:
    """What the node behind a command says of itself. Raises ApplianceError where it cannot be read."""
    done = entry.complete(
        str(way), [], way.to(["cat", _STATUS]), os.environ, seconds=_ANSWER_SECONDS
    )
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise ApplianceError(
            f"--gateway {way}: no gateway answers there: {said}; the command must run what follows "
            "it as root on a node that runs, such as `ssh root@gw1` or `docker exec -i gw1`"
        )
    return node_status.from_json(done.stdout, f"--gateway {way}: {_STATUS}")
