"""The load of a drill: flows that must not break, and entries that fill the MASTER's table."""

import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from appliance import ApplianceError, CommandFailed
from vgw_lab import WATCH_SECONDS
from vgw_lab.instruments import service
from vgw_lab.instruments.flows import Tally
from vgw_lab.worlds.entry import Child
from vgw_lab.worlds.running import Lab
from vgw_lab.worlds.topology import INTERNET, Topology

# How many flows of each mode there are in all, and the first port of those that collide. Each drill
# moves those ports on: ones that are used again within seconds are a question of their own.
USUAL = {
    "client": (1000, 10_000),
    "server": (200, 21_000),
    "stream": (100, 23_000),
    "udp": (200, 10_000),
    "idle": (100, 24_000),
}
_PORTS = 9_000
INBOUND = 20
_COLLIDING = 0.2
_SPARE_ENTRIES = 10_000
# Where the entries that fill a table lead: an address of the documentation, where nobody answers.
FILLING = "198.51.100.1"
LIMIT = "/proc/sys/net/netfilter/nf_conntrack_max"
_FILL_SECONDS = 300.0
_REST_SECONDS = 0.5
_ENTRIES_A_SECOND = 4000
Tallies = dict[str, Tally]


@dataclass(frozen=True)
class Load:
    """What a drill is to be burdened with: how much of the usual flows, and how many entries.

    `watch` is for how many seconds a drill looks on that waits for what comes late.
    """

    scale: float = 0.0
    entries: int = 0
    watch: float = WATCH_SECONDS

    @property
    def learning_seconds(self) -> float:
        """How much longer a node may take to return: it has to learn the whole table first."""
        return self.entries / _ENTRIES_A_SECOND


NONE = Load()


@dataclass
class Flows:
    """Flows that run, and how they fared in each part of the drill, by its name."""

    generators: list[Child] = field(default_factory=list)
    phases: dict[str, Tallies] = field(default_factory=dict)

    def check(self, phase: str) -> None:
        """Have all flows show that they live, and keep how they fared since the last check."""
        for generator in self.generators:
            assert generator.stdin is not None
            generator.stdin.write("round\n")
            generator.stdin.flush()
        for generator in self.generators:
            assert generator.stdout is not None
            line = generator.stdout.readline()
            if not line.startswith("{"):
                raise CommandFailed("the flows ended without a count; was their machine cut off?")
            tallies = self.phases.setdefault(phase, {})
            for kind, figures in json.loads(line).items():
                tallies.setdefault(kind, Tally()).add(Tally(**figures))


def shares(machines: int, scale: float, offset: int = 0) -> list[tuple[str, str, int, int]]:
    """The flows of one of so many machines: kind, mode, how many, and the first port or 0.

    Flows that collide have the same source port on all machines, so that all but one of them need
    another port outside.
    """
    found = []
    for mode, (total, first_port) in USUAL.items():
        each = max(round(total * scale / machines), 2)
        colliding = max(round(each * _COLLIDING), 1)
        found += [
            (mode, mode, each - colliding, 0),
            (f"{mode}, same port", mode, colliding, first_port + offset),
        ]
    return found


def total(scale: float) -> int:
    """How many flows of machines there are in all."""
    return sum(round(number * scale) for number, _ in USUAL.values())


def broken(phases: dict[str, Tallies]) -> Iterator[tuple[str, str]]:
    """What became of flows that must not be: in which phase, and a sentence."""
    for phase, tallies in phases.items():
        for kind, tally in tallies.items():
            number = sum(tally.broken.values())
            if number:
                why = ", ".join(f"{n} by {reason}" for reason, n in sorted(tally.broken.items()))
                yield (
                    phase,
                    f"{number} of {tally.flows} flows ({kind}) broke at the {phase}: {why}",
                )
            if tally.changed:
                yield (
                    phase,
                    f"{tally.changed} of {tally.flows} flows ({kind}) came out from another address "
                    f"or port at the {phase}",
                )


def inbound(topology: Topology) -> Iterator[tuple[str, int, int]]:
    """The TCP ports of the WAN VIP that lead to a machine: machine, port outside, port inside."""
    machines = {
        wire.address.ip: spec.name
        for spec in topology.machines
        for wire in spec.wires
        if wire.address
    }
    for rule in topology.config.nat.destination:
        if rule.protocol == "tcp" and rule.to in machines:
            yield machines[rule.to], rule.port, rule.to_port


@contextmanager
def flowing(lab: Lab, load: Load) -> Iterator[Flows]:
    """Run flows for a while, if any are asked for; they are open when this begins."""
    flows, services = Flows(), []
    try:
        if load.scale:
            for machine, _, port in inbound(lab.topology):
                services.append(_begin(lab, machine, "service", ["--port", str(port)]))
            for child in services:
                _await_word(child)  # before anybody calls
            for words in _generators(lab, load.scale):
                flows.generators.append(_begin(lab, words[0], "flows", words[1:]))
            for child in flows.generators:
                _await_word(child)
            flows.check("start")
            for _, sentence in broken({"start": flows.phases.pop("start")}):
                raise CommandFailed(f"the drill was not begun: {sentence}")
        yield flows
    finally:
        for child in (*flows.generators, *services):
            if child.stdin is not None:
                child.stdin.close()
        for child in (*flows.generators, *services):
            assert child.stdout is not None
            child.stdout.read()
            child.wait()


def _generators(lab: Lab, scale: float) -> Iterator[list[str]]:
    """Each generator: its node, and its options."""
    machines, offset = lab.topology.machines, random.randrange(_PORTS)
    ports = ["--who", str(service.WHO), "--ticker", str(service.TICKER)]
    for machine in machines:
        words = [*ports, "--tick", str(service.TICK_SECONDS)]
        for kind, mode, number, first_port in shares(len(machines), scale, offset):
            words += ["--flows", kind, mode, str(number), str(first_port)]
        yield [machine.name, *words]
    for _, port, _ in inbound(lab.topology):
        words = ["--target", str(lab.topology.wan_vip.ip), "--who", str(port)]
        yield [INTERNET, *words, "--flows", "inbound", "client", str(INBOUND), "0"]


def _begin(lab: Lab, node: str, module: str, words: Sequence[str]) -> Child:
    return lab.node(node).instrument(module, words)


def _await_word(child: Child) -> None:
    assert child.stdout is not None
    if child.stdout.readline().split()[:1] not in (["serving"], ["flowing"]):
        raise CommandFailed("the flows did not start; what their machine said stands above")


def fill(lab: Lab, master: str, entries: int) -> None:
    """Fill the MASTER's connection table with flows of its machines that nobody uses.

    Raises ApplianceError when the machine's tables cannot hold as many.
    """
    node = lab.node(master)
    most = node.run(["cat", LIMIT])
    if most.returncode == 0 and int(most.stdout) < entries + _SPARE_ENTRIES:
        raise ApplianceError(
            f"--background: net.netfilter.nf_conntrack_max is {most.stdout.strip()} on this machine; "
            f"{entries} entries need {entries + _SPARE_ENTRIES} (`sysctl -w` by an administrator)"
        )
    if _entries(lab, master) >= entries:
        return  # still there from the last drill
    child = node.popen(["conntrack", "-R", "-"])
    child.communicate(table(lab.topology, entries), timeout=_FILL_SECONDS)
    if child.returncode != 0:
        raise CommandFailed(f"{master}: conntrack -R ended with {child.returncode}")
    _await_replicas(lab, lab.other(master), entries)


def _entries(lab: Lab, node: str) -> int:
    done = lab.node(node).run(["conntrack", "-C"])
    return int(done.stdout) if done.returncode == 0 else 0


def _await_replicas(lab: Lab, standby: str, entries: int) -> None:
    """Wait while the standby still learns of them."""
    deadline, former = time.monotonic() + _FILL_SECONDS, -1
    while time.monotonic() < deadline:
        found = _entries(lab, standby)
        if found >= entries or found <= former:
            return
        former = found
        time.sleep(_REST_SECONDS)


def table(topology: Topology, entries: int) -> str:
    """Entries in the words of conntrack(8), as `conntrack -o save` prints them."""
    source = next(wire.address.ip for wire in topology.machines[0].wires if wire.address)
    first, ports = 1024, 60_000
    return "".join(
        f"-A -p udp -s {source} -d {FILLING} --sport {first + number % ports} "
        f"--dport {9999 + number // ports} --src-nat {topology.wan_vip.ip} -t 3600 "
        "-u ASSURED,SEEN_REPLY\n"
        for number in range(entries)
    )
