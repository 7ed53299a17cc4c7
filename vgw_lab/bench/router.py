"""A bare router in the pair's place, and one beside it: nothing elects, so that forwarding alone is measured."""

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address

from appliance import CommandFailed, NotConverged
from appliance.config.model import DestinationNat
from appliance.run_dir import RunDir
from vgw_lab.bench import pair, recipes
from vgw_lab.bench.gateway import BARE
from vgw_lab.bench.setups import MODULE, running
from vgw_lab.worlds import topology
from vgw_lab.worlds.entry import Child
from vgw_lab.worlds.namespaces import NamespaceLab
from vgw_lab.worlds.topology import INTERNET, NodeSpec
from vgw_lab.worlds.world import wait_until

PLAIN, MASQUERADE, FULL = "plain routing", "masquerade rule", "full ruleset"
_READY_SECONDS = 10.0
FIRST_MAPPED = 20_000
_RUN = RunDir()


class Router:
    """The first gateway of a lab, and what it does with packets."""

    def __init__(self, lab: NamespaceLab) -> None:
        self.lab = lab
        self.name = lab.topology.gateways[0].name
        self.peer = lab.topology.gateways[1].name
        self.machine = lab.topology.machines[0].name

    def order(self, node: str, *words: str) -> str:
        """What a program that must succeed on a node printed. Raises CommandFailed."""
        done = self.lab.node(node).run(words)
        if done.returncode != 0:
            raise CommandFailed(f"{node}: {' '.join(words)}: {done.output or 'it said nothing'}")
        return done.stdout

    def load(self, node: str, script: str) -> None:
        """Have nft carry a script out on a node."""
        (self.lab.world.disk / node / "bench.nft").write_text(script, encoding="utf-8")
        self.order(node, "nft", "-f", "/run/lab/bench.nft")

    def become(self, variant: str) -> None:
        """Lead the first machine by all that the product's MASTER does, or by a node that only routes.

        That is the peer, on which the product never ran: a network that once had routing rules of its own
        looks routes up the long way for good. It checks sources as the product has the kernel do.
        """
        if variant == FULL:
            self.order(self.name, "vgw", "apply", "--role", "MASTER")
            self._lead_by(self.lab.topology.vgw.address.ip)
            return
        spec = self.lab.topology.node(self.peer)
        self.order(self.peer, "sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=1")
        self.load(self.peer, "table ip bench\ndelete table ip bench\n")
        if variant == MASQUERADE:
            self.load(self.peer, recipes.translation(self.lab.topology, spec, "masquerade"))
        self._lead_by(_address(spec, "lan"))

    def _lead_by(self, gateway: IPv4Address) -> None:
        self.order(self.machine, "ip", "route", "replace", "default", "via", str(gateway))

    def map_ports(self, number: int) -> None:
        """Be the full MASTER with so many UDP ports of the WAN VIP that lead to the first machine."""
        machine = _address(self.lab.topology.node(self.machine), "lan")
        mapped = [
            DestinationNat(protocol="udp", port=port, to=machine, to_port=port)
            for port in range(FIRST_MAPPED, FIRST_MAPPED + number)
        ]
        file = self.lab.world.disk / self.name / "gateway.yaml"
        file.write_text(topology.gateway_yaml(destination=mapped), encoding="utf-8")
        self.become(FULL)

    def load_seconds(self) -> float:
        """How long nft takes to load the whole ruleset again, its own start included; the best of three."""
        listing = self.order(self.name, "nft", "--stateless", "list", "table", "inet", "vgw")
        self.load(self.name, f"table inet vgw\ndelete table inet vgw\n{listing}")
        times = []
        for _ in range(3):
            began = time.monotonic()
            self.order(self.name, "nft", "-f", "/run/lab/bench.nft")
            times.append(time.monotonic() - began)
        return min(times)

    def entries(self, node: str) -> int:
        """How many connections a node's kernel knows."""
        return int(self.order(node, "conntrack", "-C"))

    def forget(self) -> None:
        """Empty both nodes' tables."""
        for node in (self.name, self.peer):
            self.order(node, "conntrack", "-F")

    def sent_bytes(self, bridge: str) -> int:
        """What the router has sent to a bridge so far (proc_pid_net(5))."""
        name = self.lab.interface(self.name, bridge)
        text = self.lab.node(self.name).read("/proc/net/dev") or ""
        found = re.search(rf"^\s*{re.escape(name)}:(.*)$", text, re.MULTILINE)
        return int(found[1].split()[8]) if found else 0

    @contextmanager
    def replicating(self) -> Iterator[None]:
        """Run the product's conntrackd on both nodes, with the files that `vgw apply` wrote."""
        children: list[Child] = []
        try:
            for node in (self.name, self.peer):
                self.order(node, "rm", "-f", str(_RUN.conntrackd_lock), str(_RUN.conntrackd_socket))
                words = _beside_a_flood(["conntrackd", "-C", str(_RUN.conntrackd_conf)])
                children.append(self.lab.node(node).popen(words))
            if not wait_until(self._replicates, _READY_SECONDS):
                raise NotConverged(f"{self.name}: conntrackd does not answer on both nodes")
            yield
        finally:
            for node in (self.name, self.peer):
                self.lab.node(node).signal("conntrackd", "KILL")
            for child in children:
                child.communicate()

    def _replicates(self) -> bool:
        words = ["conntrackd", "-C", str(_RUN.conntrackd_conf), "-s"]
        return all(
            self.lab.node(node).run(words).returncode == 0 for node in (self.name, self.peer)
        )


@contextmanager
def routing(name: str) -> Iterator[Router]:
    """A lab whose gateways are bare routers; the internet knows the way back to the LAN by the second."""
    plan = running(topology.from_yaml(topology.gateway_yaml()), (MODULE, BARE))
    with pair.lab_of(name, plan) as lab:
        router = Router(lab)
        if not wait_until(lambda: lab.holders() == (router.name,), _READY_SECONDS):
            raise NotConverged(
                f"{router.name}: no router yet; its log ends:\n{lab.log(router.name, 8)}"
            )
        way = ["via", str(_address(plan.node(router.peer), "wan"))]
        router.order(INTERNET, "ip", "route", "add", str(plan.vgw.address.network), *way)
        yield router


def _beside_a_flood(argv: Sequence[str]) -> list[str]:
    """The command that runs a daemon on the processors that the instrument `flood` leaves free, if any."""
    others = sorted(os.sched_getaffinity(0))[1:]
    return ["taskset", "-c", ",".join(map(str, others)), *argv] if others else list(argv)


def _address(node: NodeSpec, bridge: str) -> IPv4Address:
    """A node's own address on a bridge."""
    wire = next(wire for wire in node.wires if wire.bridge == bridge)
    assert wire.address is not None
    return wire.address.ip
