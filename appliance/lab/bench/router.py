"""One bare router in the pair's place: nothing elects, so that forwarding alone is measured."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from appliance import CommandFailed, NotConverged
from appliance.lab import topology
from appliance.lab.bench import flood, pair, recipes
from appliance.lab.bench.gateway import BARE
from appliance.lab.bench.setups import MODULE, running
from appliance.lab.entry import Child
from appliance.lab.namespaces import NamespaceLab
from appliance.lab.topology import INTERNET
from appliance.lab.world import wait_until

PLAIN, MASQUERADE, FULL = "plain routing", "masquerade rule", "full ruleset"
_READY_SECONDS = 10.0
FIRST_MAPPED = 20_000


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
        """Route plainly, translate by one rule, or do all that the product's MASTER does."""
        if variant == FULL:
            self.order(self.name, "vgw", "apply", "--role", "MASTER")
            return
        self.order(self.name, "vgw", "teardown")
        self.load(self.name, "table ip bench\ndelete table ip bench\n")
        spec = self.lab.topology.node(self.name)
        for bridge in ("lan", "wan"):
            key = f"net.ipv4.conf.{recipes.interface(spec, bridge)}.forwarding=1"
            self.order(self.name, "sysctl", "-q", "-w", key)
        if variant == MASQUERADE:
            self.load(self.name, recipes.translation(self.lab.topology, spec, "masquerade"))

    def map_ports(self, number: int) -> None:
        """Be the full MASTER with so many UDP ports of the WAN VIP that lead to the first machine."""
        document = yaml.safe_load(self.lab.topology.text)
        wire = self.lab.topology.node(self.machine).wires[0]
        assert wire.address is not None
        document["nat"]["destination"] = [
            {"protocol": "udp", "port": FIRST_MAPPED + place, "to": str(wire.address.ip)}
            for place in range(number)
        ]
        file = self.lab.world.disk / self.name / "gateway.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
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
                self.order(node, "rm", "-f", "/run/vgw/conntrackd.lock", "/run/vgw/conntrackd.ctl")
                words = flood.beside(["conntrackd", "-C", "/run/vgw/conntrackd.conf"])
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
        words = ["conntrackd", "-C", "/run/vgw/conntrackd.conf", "-s"]
        return all(
            self.lab.node(node).run(words).returncode == 0 for node in (self.name, self.peer)
        )


@contextmanager
def routing(name: str) -> Iterator[Router]:
    """A lab whose first gateway is a bare router; the internet knows the way back to the LAN."""
    plan = running(topology.from_yaml(topology.gateway_yaml()), (MODULE, BARE))
    with pair.lab_of(name, plan) as lab:
        router = Router(lab)
        if not wait_until(lambda: lab.holders() == (router.name,), _READY_SECONDS):
            raise NotConverged(
                f"{router.name}: no router yet; its log ends:\n{lab.log(router.name, 8)}"
            )
        own = next(wire.address for wire in plan.gateways[0].wires if wire.bridge == "wan")
        assert own is not None
        way = ["ip", "route", "add", str(plan.vgw.network), "via", str(own.ip)]
        router.order(INTERNET, *way)
        yield router
