"""A lab: its world, its topology and its nodes together, and how the pair is doing."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import ApplianceError, NotConverged, system
from appliance.lab import capture, topology
from appliance.lab.nodes import NamespaceNode
from appliance.lab.topology import INTERNET, Topology
from appliance.lab.world import World, wait_until

ENGINES = ("namespaces",)
HEALTHY_SECONDS = 30.0
_LAST_WORDS = 12
PING_TARGET = "8.8.8.8"


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


class Lab:
    """One lab by its name, up or down."""

    def __init__(self, name: str, plan: Topology | None = None) -> None:
        self.name = name
        self.world = World(name)
        self._topology = plan

    @property
    def topology(self) -> Topology:
        """What the lab is wired after; of a running lab, read back from its world."""
        if self._topology is None:
            text = (self.world.disk / "gateway.yaml").read_text(encoding="utf-8")
            self._topology = topology.from_yaml(text)
        return self._topology

    def node(self, name: str) -> NamespaceNode:
        """The node of that name. Raises ApplianceError, with the names there are."""
        return NamespaceNode(self.topology.node(name), self.world, self.topology)

    def start(self, tied: bool = False) -> None:
        """Make the world and switch all nodes on; with `tied` all ends with the calling process.

        Raises ApplianceError, and then nothing is left of it.
        """
        with self.world.claim():
            if self.world.pid is not None:
                raise ApplianceError(f"lab '{self.name}': up already")
            self.world.start(tied)
        try:
            (self.world.disk / "gateway.yaml").write_text(self.topology.text, encoding="utf-8")
            for spec in reversed(self.topology.nodes):
                self.node(spec.name).start()
        except BaseException:
            self.world.end()
            raise

    def status(self, gateway: str) -> dict[str, Any]:
        """What a gateway says of itself (its status.json); empty when it says nothing."""
        pid = self.node(gateway).pid
        try:
            text = Path(f"/proc/{pid}/root/run/vgw/status.json").read_text(encoding="utf-8")
            return dict(json.loads(text))
        except (OSError, ValueError):
            return {}

    def holders(self) -> tuple[str, ...]:
        """The gateways that have the VGW on an interface, as their kernels see it."""
        address = str(self.topology.vgw.ip)
        names = [spec.name for spec in self.topology.gateways]
        return tuple(name for name in names if _has_address(self.node(name).pid, address))

    def role(self, gateway: str) -> str:
        """A gateway's role in its own words, `off` or `starting`."""
        if self.node(gateway).pid is None:
            return "off"
        return str(self.status(gateway).get("role", "starting"))

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

        At rest: one node holds the VGW, the other is its BACKUP, and no failback is to come.
        Raises NotConverged, with what was still missing after `seconds`.
        """
        if not wait_until(self._at_rest, seconds, every=0.05):
            raise NotConverged(
                f"lab '{self.name}': not healthy after {seconds:g} s: {self.health().sentence()}; "
                "`vgw lab logs NODE` shows what a node said"
            )
        return self.holders()[0]

    def log(self, node: str, lines: int) -> str:
        """The last lines that a node's programs printed."""
        text = system.read(self.world.disk / node / "log") or ""
        return "\n".join(text.splitlines()[-lines:])

    def _at_rest(self) -> bool:
        for spec in self.topology.gateways:
            if self.node(spec.name).pid is None:
                raise NotConverged(
                    f"{spec.name}: the gateway has ended by itself; its last words:\n"
                    f"{self.log(spec.name, _LAST_WORDS)}"
                )
        holders = self.holders()
        if len(holders) != 1:
            return False
        first = self.topology.gateways[0].name
        if self.topology.failback != "never" and holders[0] != first:
            return False
        other = self.other(holders[0])
        roles = (self.role(holders[0]), self.role(other))
        return roles == ("MASTER", "BACKUP") and self.health().ping

    def other(self, gateway: str) -> str:
        """The peer of a gateway."""
        return next(spec.name for spec in self.topology.gateways if spec.name != gateway)

    def capture(self) -> capture.Capture:
        """What the internet saw on its wire."""
        return capture.read(self.node(INTERNET).run)


def open_lab(name: str) -> Lab:
    """A lab that is up. Raises ApplianceError when it is not."""
    lab = Lab(name)
    if lab.world.pid is None:
        raise ApplianceError(f"lab '{name}': not up; `vgw lab up{_option(name)}` makes it")
    return lab


def _option(name: str) -> str:
    return "" if name == "lab" else f" --name {name}"


def _has_address(pid: int | None, address: str) -> bool:
    """Whether a process's network has this local address (proc_pid_net(5), fib_trie)."""
    try:
        lines = Path(f"/proc/{pid}/net/fib_trie").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    pairs = itertools.pairwise(lines)
    return any("host LOCAL" in line and above.strip(" |-") == address for above, line in pairs)
