"""The lab in network namespaces on this machine: no Docker, nothing to pull, up in seconds."""

import os
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Literal

from appliance import ApplianceError, CommandFailed, system
from vgw_lab.worlds import entry
from vgw_lab.worlds.entry import Child
from vgw_lab.worlds.nodes import NamespaceNode, addressed, group
from vgw_lab.worlds.running import Entrance, Lab
from vgw_lab.worlds.topology import Topology
from vgw_lab.worlds.world import World


class NamespaceLab(Lab):
    """A lab in a world of its own."""

    engine = "namespaces"
    bridged = True

    def __init__(self, name: str, plan: Topology | None = None) -> None:
        super().__init__(name, plan)
        self.world = World(name)

    @property
    def up(self) -> bool:
        """Whether it is there."""
        return self.world.pid is not None

    def text(self) -> str:
        """The gateway YAML of a lab that is up."""
        return (self.world.disk / "gateway.yaml").read_text(encoding="utf-8")

    def prepare(self, say: Callable[[str], None], build: bool) -> None:
        """A namespace needs nothing."""

    def start(self, tied: bool = False) -> None:
        """Make the world and switch all nodes on; with `tied` all ends with the calling process.

        Raises ApplianceError, and then nothing is left of it.
        """
        with self.world.claim():
            if self.up:
                raise ApplianceError(f"lab '{self.name}': up already")
            self.world.start(tied)
        try:
            (self.world.disk / "gateway.yaml").write_text(self.topology.text, encoding="utf-8")
            for spec in reversed(self.topology.nodes):
                self.node(spec.name).start()
        except BaseException:
            self.world.end()
            raise

    def end(self) -> None:
        """End it and everything in it; it may be gone already. Raises CommandFailed."""
        self.world.end()

    def node(self, name: str) -> NamespaceNode:
        """The node of that name. Raises ApplianceError, with the names there are."""
        return NamespaceNode(self.topology.node(name), self.world, self.topology)

    def log(self, node: str, lines: int | None = None) -> str:
        """What a node's programs printed; the last lines only, if so many are asked for."""
        file = self.world.disk / self.topology.node(node).name / "log"
        text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
        return text if lines is None else "\n".join(text.splitlines()[-lines:])

    def follow(self, node: str) -> Entrance:
        """The command that prints a node's log as it grows."""
        log = f"/run/lab/{self.topology.node(node).name}/log"
        return self._entrance(entry.WORLD, self.world.pid or 0, ["tail", "-n", "+1", "-f", log])

    def enter(self, node: str, command: Sequence[str]) -> Entrance:
        """The command that runs a program, or else a shell, on a node or in the `world`."""
        first = entry.first(self.name, node)
        if first is None:
            name = self.topology.node(node).name
            raise ApplianceError(entry.off(self.name, name))
        return self._entrance(node, first, command or [os.environ.get("SHELL", "/bin/sh")])

    def arm(self, node: str) -> None:
        """Get ready to pull a gateway's cables, so that this then takes no time to begin."""
        self.world.arm()

    def cable(self, node: str, bridge: str, state: Literal["down", "up"]) -> None:
        """Pull a node's cable from a bridge, or plug it in again."""
        self.world.order([f"link set {self.topology.node(node).port(bridge)} {state}"])

    def part(self, node: str, bridge: str, *, parted: bool) -> None:
        """Part a node from a bridge, or join it again, while its carrier stays up."""
        port = self.topology.node(node).port(bridge)
        self.world.order([f"link set {port} {'nomaster' if parted else f'master {bridge}'}"])

    def wire(self, node: str, bridge: str, *, there: bool) -> None:
        """Take a node's interface to a bridge away, or make it anew: its name, MAC and address are the old ones.

        Its index is another one. Raises CommandFailed.
        """
        spec = self.topology.node(node)
        port, mine = spec.port(bridge), f"group {group(spec, self.topology)}"
        if not there:
            self._must(node, self.world.run(["ip", "link", "del", port]))
            return
        wire = next(wire for wire in spec.wires if wire.bridge == bridge)
        first = entry.first(self.name, node)
        assert first
        near = f"{wire.interface} address {wire.mac} netns {entry.in_world(first)}"
        lines = f"link add {port} {mine} type veth peer name {near}\nlink set {port} master {bridge} up\n"
        self._must(node, self.world.run(["ip", "-batch", "-"], lines))
        script = "".join(f"ip {line}\n" for line in addressed(wire))
        self._must(node, self.node(node).run(["sh", "-ec", script]))

    @staticmethod
    def _must(node: str, done: system.Result) -> None:
        if done.returncode != 0:
            raise CommandFailed(f"{node}: {done.output}")

    def witness(self, standby: str) -> Child:
        """Start the witness on the LAN, beside the bridge."""
        return self.world.popen([sys.executable, "-m", "vgw_lab.instruments.witness"])

    def look_on(self, words: Sequence[str], there: Collection[str]) -> dict[str, Child]:
        """Start the look at the invariants, beside the bridges and all nodes' processes."""
        if there:
            return {}
        argv = [sys.executable, "-m", "vgw_lab.measures.looker", *words]
        return {entry.WORLD: self.world.popen(argv)}

    def _entrance(self, node: str, pid: int, argv: Sequence[str]) -> Entrance:
        return Entrance([*entry.prefix(pid), *argv], entry.environment(self.name, node))
