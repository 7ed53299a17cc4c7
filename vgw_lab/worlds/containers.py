"""The lab in containers: the compose project of compose/lab.yaml, with the simulated internet.

Its figures differ from those of namespaces in two ways: each order to the engine takes some ten
milliseconds, and the network of a dead node goes on for as long: see `ContainerLab.remarks`.
"""

import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

from appliance import ApplianceError, system
from vgw_lab.worlds import compose, engine, entry
from vgw_lab.worlds.engine import Container, Engine
from vgw_lab.worlds.entry import Child
from vgw_lab.worlds.running import Entrance, Lab, addressed, instrument_source, lookouts, signalled
from vgw_lab.worlds.topology import BRIDGES, NodeSpec, Topology

CONFIG = "/etc/vgw/gateway.yaml"


class ContainerNode:
    """A node that is one container of the project."""

    def __init__(self, spec: NodeSpec, host: Engine, project: str) -> None:
        self.spec = spec
        self._host = host
        self._project = project

    @property
    def container(self) -> Container:
        """The container as it is now. Raises ApplianceError when there is none."""
        found = self._host.services(self._project).get(self.spec.name)
        if found is None:
            raise ApplianceError(
                f"{self.spec.name}: project '{self._project}' was made without this container; "
                "end it (vgw lab down), and `vgw lab --engine containers up` makes all of it"
            )
        return found

    @property
    def on(self) -> bool:
        """Whether it runs."""
        found = self._host.services(self._project).get(self.spec.name)
        return found is not None and engine.is_on(found)

    def start(self) -> None:
        """Switch it on and return when it runs. Raises CommandFailed."""
        container = self.container
        with engine.saying(f"{self.spec.name}: start"):
            container.start()

    def stop(self) -> None:
        """Cut its power, as near as an engine comes to that: `docker kill`."""
        container = self.container
        if engine.is_on(container):
            with engine.saying(f"{self.spec.name}: kill"):
                container.kill()

    def crash(self) -> None:
        """SIGKILL to all of its processes: what `docker kill` is."""
        self.stop()

    def shut_down(self) -> None:
        """Ask it to end, by `docker stop`: SIGTERM to its first process, then SIGKILL."""
        container = self.container
        with engine.saying(f"{self.spec.name}: stop"):
            container.stop()

    def signal(self, program: str, how: str, child: bool = False) -> None:
        """A signal, such as KILL, to all processes of that name; or to those begun by another such.

        Raises ApplianceError when the node is off.
        """
        signalled(self, program, how, child)

    def freeze(self) -> None:
        """Stop all of its processes where they are, by `docker pause`. Raises ApplianceError."""
        container = self.container
        with engine.saying(f"{self.spec.name}: pause"):
            container.pause()

    def thaw(self) -> None:
        """Let its processes go on, if they are frozen; it may be off."""
        container = self.container
        if engine.is_frozen(container):
            with engine.saying(f"{self.spec.name}: unpause"):
                container.unpause()

    def read(self, path: str) -> str | None:
        """The text of a file as the node sees it; None when there is none, or the node is off."""
        container = self._host.services(self._project).get(self.spec.name)
        if container is None or not engine.is_on(container) or engine.is_frozen(container):
            return None
        return engine.read(container, path, lambda: self._printed(path))

    def _printed(self, path: str) -> str | None:
        done = self.run(["cat", path])
        return done.stdout if done.returncode == 0 else None

    def run(self, argv: Sequence[str], seconds: float = 30) -> system.Result:
        """Run a program on it to its end. Raises ApplianceError when the node is off."""
        return entry.complete(self.spec.name, self.way(), argv, os.environ, seconds=seconds)

    def popen(self, argv: Sequence[str]) -> Child:
        """Start a program on it. Raises ApplianceError when the node is off."""
        return entry.begin([*self.way("--interactive"), *argv], os.environ)

    def instrument(self, module: str, words: Sequence[str]) -> Child:
        """Start one of the lab's own instruments on it: `probe` or `witness`, with its options.

        By its source: an image is older than the lab, or knows nothing of it.
        """
        return self.popen(["python3", "-c", instrument_source(module), *words])

    def way(self, *options: str) -> list[str]:
        """The command that runs what follows in it. Raises ApplianceError when the node is off."""
        container = self.container
        if not engine.is_on(container):
            raise ApplianceError(entry.off(compose.lab_of(self._project), self.spec.name))
        return [system.program("docker"), "exec", *options, str(container.id)]


@dataclass(frozen=True)
class Orders:
    """An ip(8) that waits in a node for its orders, and what the node calls its interfaces."""

    waiting: Child
    interfaces: Mapping[str, str]


class ContainerLab(Lab):
    """A lab that is a compose project: `vgw`, as of a bare `docker compose up`, or `vgw-NAME`."""

    engine = "containers"
    remarks: ClassVar[Mapping[str, str]] = {
        "power-off": "in containers power-off is `docker kill`, after which the dead node's network "
        "forwards on for tens of milliseconds: a real power cut costs that much more",
    }

    def __init__(self, name: str, plan: Topology | None = None) -> None:
        super().__init__(name, plan)
        self.project = compose.Project(name)
        self._orders: dict[str, Orders] = {}

    @cached_property
    def _host(self) -> Engine:
        return Engine()

    @property
    def up(self) -> bool:
        """Whether it is there."""
        return bool(self._host.services(self.project.name))

    @staticmethod
    def gateway_yaml(profile: str, node_wan: bool) -> str:
        """The project's own gateway YAML with another profile."""
        if not node_wan:
            raise ApplianceError(
                "--no-node-wan: an engine gives every container an address of its own; "
                "take --engine namespaces for this"
            )
        return compose.gateway_yaml(profile)

    def text(self) -> str:
        """The gateway YAML of a lab that is up, running or not."""
        for container in self._host.services(self.project.name).values():
            text = engine.file(container, CONFIG)
            if text is not None:
                return text
        raise ApplianceError(f"lab '{self.name}': no container of it holds {CONFIG}")

    def prepare(self, say: Callable[[str], None], build: bool) -> None:
        """Look for compose, and build images that are missing; with `build` all are made anew."""
        compose.check()
        compose.check_wiring(self.topology)
        missing = [name for name in self.project.images() if not self._host.has_image(name)]
        if build or missing:
            say(f"Building {', '.join(missing) or 'the images'}; the first time takes minutes.")
            self.project.build()

    def start(self, tied: bool = False) -> None:
        """Bring the project up; an engine's containers are tied to nobody.

        Raises ApplianceError, and then nothing is left of it.
        """
        try:
            self.project.up(self.topology.text)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Take the whole project away; it may be gone already. Raises CommandFailed."""
        self._release()
        self.project.down()

    def node(self, name: str) -> ContainerNode:
        """The node of that name. Raises ApplianceError, with the names there are."""
        return ContainerNode(self.topology.node(name), self._host, self.project.name)

    def log(self, node: str, lines: int | None = None) -> str:
        """What a node's programs printed; the last lines only, if so many are asked for."""
        return engine.log(self.node(node).container, lines)

    def follow(self, node: str) -> Entrance:
        """The command that prints a node's log as it grows."""
        container = self.node(node).container
        return Entrance(
            [system.program("docker"), "logs", "--follow", str(container.id)], os.environ
        )

    def enter(self, node: str, command: Sequence[str]) -> Entrance:
        """The command that runs a program, or else a shell, on a node."""
        terminal = ["--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
        way = self.node(node).way("--interactive", *terminal)
        return Entrance([*way, *(command or ["sh"])], os.environ)

    def interface(self, node: str, bridge: str) -> str:
        """What a node calls its interface to a bridge: the one that has the node's address there.

        Engines number interfaces as they like.
        """
        return addressed(self, node, bridge)

    def arm(self, node: str) -> None:
        """Get ready to pull a gateway's cables, so that this then takes no time to begin."""
        self._release()
        argv = ["sh", "-c", "exec ip -force -batch - 2>/dev/null"]
        names = {bridge: self.interface(node, bridge) for bridge in BRIDGES}
        self._orders[node] = Orders(self.node(node).popen(argv), names)

    def cable(self, node: str, bridge: str, state: Literal["down", "up"]) -> None:
        """Take the interface in a node down, or up again: the host's side may be elsewhere."""
        if node not in self._orders or self._orders[node].waiting.poll() is not None:
            self.arm(node)
        orders = self._orders[node]
        assert orders.waiting.stdin is not None
        orders.waiting.stdin.write(f"link set {orders.interfaces[bridge]} {state}\n")
        orders.waiting.stdin.flush()

    def witness(self, standby: str) -> Child:
        """Start the witness on the standby, which hears all that the LAN says to both."""
        words = ["--interface", self.interface(standby, "lan")]
        return self.node(standby).instrument("witness", words)

    def look_on(self, words: Sequence[str], there: Collection[str]) -> dict[str, Child]:
        """Start a lookout within each gateway that is on: its network is the engine's own affair."""
        return lookouts(self, there)

    def _release(self) -> None:
        for orders in self._orders.values():
            orders.waiting.communicate()
        self._orders.clear()
