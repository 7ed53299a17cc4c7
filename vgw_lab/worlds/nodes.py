"""The nodes of the lab. One seam of few verbs, so that drills never ask what a node is made of."""

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from signal import Signals
from typing import Protocol

from appliance import ApplianceError, CommandFailed, system
from vgw_lab.worlds import capture, entry
from vgw_lab.worlds.topology import NodeSpec, Topology, Wire
from vgw_lab.worlds.world import DISK, OWN_KERNEL_FILES, World, wait_until

_START_SECONDS = 2.0
_SWITCH_SECONDS = 5.0
_GRACE_SECONDS = 10.0


class Node(Protocol):
    """A machine of the lab that can be switched on and off and can run programs."""

    spec: NodeSpec

    @property
    def on(self) -> bool:
        """Whether it runs."""

    def start(self) -> None:
        """Switch it on and return when it runs. Raises CommandFailed."""

    def stop(self) -> None:
        """Cut its power: from one moment to the next it neither hears nor says anything."""

    def crash(self) -> None:
        """SIGKILL to all of its processes: its network is left to the kernel, which may take a moment."""

    def shut_down(self) -> None:
        """Ask it to end, as `docker stop` does: SIGTERM to its first process, then SIGKILL."""

    def signal(self, program: str, how: str, child: bool = False) -> None:
        """A signal, such as KILL, to all processes of that name; or to those begun by another such.

        Raises ApplianceError when the node is off.
        """

    def freeze(self) -> None:
        """Stop all of its processes where they are; its kernel goes on. Raises ApplianceError."""

    def thaw(self) -> None:
        """Let its processes go on, if they are frozen; it may be off."""

    def read(self, path: str) -> str | None:
        """The text of a file as the node sees it; None when there is none, or the node is off."""

    def run(self, argv: Sequence[str], seconds: float = 30) -> system.Result:
        """Run a program on it to its end. Raises ApplianceError when the node is off."""

    def popen(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program on it. Raises ApplianceError when the node is off."""

    def instrument(self, module: str, words: Sequence[str]) -> subprocess.Popen[str]:
        """Start one of the lab's own instruments on it: `probe` or `witness`, with its options."""


class NamespaceNode:
    """A node made of namespaces in the world, wired with veth pairs to the world's bridges."""

    def __init__(self, spec: NodeSpec, world: World, topology: Topology) -> None:
        self.spec = spec
        self._world = world
        self._topology = topology

    @property
    def pid(self) -> int | None:
        """Its first process, by its number here; None when it is off."""
        return entry.first(self._world.name, self.spec.name)

    @property
    def on(self) -> bool:
        """Whether it runs."""
        return self.pid is not None

    def start(self) -> None:
        """Switch it on and return when it runs. Raises CommandFailed."""
        if self.pid is not None:
            return
        disk = self._world.disk / self.spec.name
        if not disk.is_dir():
            disk.mkdir()
            (disk / "gateway.yaml").write_text(self._topology.text, encoding="utf-8")
        script = boot_script(self.spec, self._topology)
        world = self._world.pid
        assert world is not None
        done = entry.run(
            self._world.name,
            self.spec.name,
            world,
            ["unshare", "--net", "--mount", "--uts", "--ipc", "sh", "-ec", script],
        )
        if done.returncode != 0 or not wait_until(lambda: self.pid is not None, _START_SECONDS):
            why = done.output or system.read(disk / "log") or "it ended without a word"
            raise CommandFailed(f"{self.spec.name}: the node did not start: {why.strip()}")

    def stop(self) -> None:
        """Cut its power: from one moment to the next it neither hears nor says anything."""
        # One order for all its ports: in the time between two a node would be half dead, which none is.
        self._world.order([f"link del group {group(self.spec, self._topology)}"])
        self._end(Signals.SIGKILL)
        # Done before we return: a start that follows makes ports of the same names.
        ports = [self.spec.port(wire.bridge) for wire in self.spec.wires]
        self._world.run(["ip", "-force", "-batch", "-"], "".join(f"link del {p}\n" for p in ports))

    def crash(self) -> None:
        """SIGKILL to all of its processes: the kernel sends it to the rest when the first dies."""
        self._end(Signals.SIGKILL)

    def shut_down(self) -> None:
        """Ask it to end, as `docker stop` does: SIGTERM to its first process, then SIGKILL."""
        if not self._end(Signals.SIGTERM, _GRACE_SECONDS):
            self._end(Signals.SIGKILL)

    def signal(self, program: str, how: str, child: bool = False) -> None:
        """A signal, such as KILL, to all processes of that name; or to those begun by another such.

        Raises ApplianceError when the node is off.
        """
        processes = self._processes()
        named = {pid for pid, (name, _) in processes.items() if name == program}
        chosen = {pid for pid in named if not child or processes[pid][1] in named}
        _signal(chosen, Signals[f"SIG{how}"])

    def freeze(self) -> None:
        """Stop all of its processes where they are; its kernel goes on. Raises ApplianceError."""
        self._on()
        _signal(self._processes(), Signals.SIGSTOP)

    def thaw(self) -> None:
        """Let its processes go on, if they are frozen; it may be off."""
        if self.on:
            _signal(self._processes(), Signals.SIGCONT)

    def read(self, path: str) -> str | None:
        """The text of a file as the node sees it; None when there is none, or the node is off."""
        try:
            return entry.text_of(self.pid, path)
        except OSError:
            return None

    def run(self, argv: Sequence[str], seconds: float = 30) -> system.Result:
        """Run a program on it to its end. Raises ApplianceError when the node is off."""
        return entry.run(self._world.name, self.spec.name, self._on(), argv, seconds=seconds)

    def popen(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program on it. Raises ApplianceError when the node is off."""
        return entry.popen(self._world.name, self.spec.name, self._on(), argv)

    def instrument(self, module: str, words: Sequence[str]) -> subprocess.Popen[str]:
        """Start one of the lab's own instruments on it: `probe` or `witness`, with its options."""
        return self.popen([sys.executable, "-m", f"vgw_lab.instruments.{module}", *words])

    def _processes(self) -> dict[int, tuple[str, int]]:
        """All of its processes, by their numbers here: each one's name and its parent."""
        space = os.readlink(f"/proc/{self._on()}/ns/pid")
        found = {}
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # ended meanwhile, or not ours
                if os.readlink(directory / "ns/pid") == space:
                    name, _, rest = (
                        (directory / "stat").read_text().partition("(")[2].rpartition(")")
                    )
                    found[int(directory.name)] = (name, int(rest.split()[1]))
        return found

    def _on(self) -> int:
        pid = self.pid
        if pid is None:
            raise ApplianceError(entry.off(self._world.name, self.spec.name))
        return pid

    def _end(self, how: Signals, seconds: float = _SWITCH_SECONDS) -> bool:
        pid = self.pid
        if pid is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        return wait_until(lambda: self.pid != pid, seconds)


def _signal(pids: Iterable[int], how: Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)


def first_process(spec: NodeSpec) -> list[str]:
    """What a node runs unless told: a gateway the product, the internet its services, a machine nothing."""
    own = [str(wire.address.ip) for wire in spec.wires if wire.address]
    words = {
        "gateway": ["appliance", "start"],
        "machine": ["vgw_lab.worlds.reaper"],
        "internet": ["vgw_lab.worlds.internet", *spec.loopback, *own],
    }
    return [sys.executable, "-m", *(spec.runs or words[spec.kind])]


def group(spec: NodeSpec, topology: Topology) -> int:
    """The number of the group that a node's ports are in (ip-link(8)); 0 is everybody's."""
    return topology.nodes.index(spec) + 1


def boot_script(spec: NodeSpec, topology: Topology) -> str:
    """The shell script that, in fresh network and mount namespaces in the world, becomes the node.

    It makes the wires from inside and hands their far ends to the world, whose first process is
    number 1 here; /run/lab is the node's own part of the world's disk and outlives a power cut.
    """
    leftovers = "\n".join(f"link del {spec.port(wire.bridge)}" for wire in spec.wires)
    mine = f"group {group(spec, topology)}"
    far_ends = "\n".join(
        f"link set {spec.port(wire.bridge)} {mine} master {wire.bridge} up" for wire in spec.wires
    )
    disk = DISK / spec.name
    return f"""\
world='nsenter --net=/proc/1/ns/net ip -batch -'
$world -force >/dev/null 2>&1 <<END || :
{leftovers}
END
{OWN_KERNEL_FILES}
ip -batch - <<END
{_near_ends(spec)}
END
{_watch(spec, topology)}
$world <<END
{far_ends}
END
hostname {spec.name}
mkdir -p {disk}/run
mount -t tmpfs -o mode=755 tmpfs {disk}/run
mkdir -p {disk}/run/lab {disk}/run/lock
mount --bind {disk} {disk}/run/lab
mount --rbind {disk}/run /run
{_names(spec)}
setsid unshare --pid --fork --kill-child --mount-proc {shlex.join(first_process(spec))} \
</dev/null >>{DISK}/log 2>&1 &
"""


def _near_ends(spec: NodeSpec) -> str:
    lines = ["link set lo up"]
    for wire in spec.wires:
        peer = f"peer name {spec.port(wire.bridge)} netns /proc/1/ns/net"
        lines.append(f"link add {wire.interface} address {wire.mac} type veth {peer}")
        lines += addressed(wire)
    lines += [f"address add {address}/32 dev lo" for address in spec.loopback]
    if spec.default_via:
        lines.append(f"route add default via {spec.default_via}")
    return "\n".join(lines)


def addressed(wire: Wire) -> list[str]:
    """What gives a wire's interface its address and switches it on."""
    address = [f"address add {wire.address} brd + dev {wire.interface}"] if wire.address else []
    return [*address, f"link set {wire.interface} up"]


def _watch(spec: NodeSpec, topology: Topology) -> str:
    """The internet watches what comes in before its wire is plugged in, so that nothing is missed."""
    if spec.kind != "internet":
        return ""
    text = capture.ruleset(spec.wires[0].interface, topology.hidden, topology.wan_vip.ip)
    return f"nft -f - <<END\n{text}END"


def _names(spec: NodeSpec) -> str:
    """Its own name in /etc/hosts, so that no daemon waits for an answer; all others from 8.8.8.8."""
    own = next((wire.address.ip for wire in spec.wires if wire.address), "127.0.0.1")
    return f"""\
printf '127.0.0.1 localhost\\n{own} {spec.name}\\n' >/run/hosts
printf 'nameserver 8.8.8.8\\noptions timeout:1 attempts:2\\n' >/run/resolv.conf
for name in hosts resolv.conf; do
  target=$(readlink -m /etc/$name)
  case $target in
    /run/*) mkdir -p "${{target%/*}}" && cp /run/$name "$target" ;;
    *) [ ! -e "$target" ] || mount --bind /run/$name "$target" ;;
  esac
done"""
