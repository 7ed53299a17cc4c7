"""The set-ups that are measured: ours, and those that people use, each written anew from its source."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from appliance import ApplianceError
from vgw_lab.bench import recipes
from vgw_lab.bench.recipes import Recipe
from vgw_lab.worlds import topology
from vgw_lab.worlds.topology import NodeSpec, Topology

MODULE = "vgw_lab.bench.gateway"


@dataclass(frozen=True)
class Setup:
    """One way to build the pair; `recipe` is empty for ours, whose gateways are the product itself."""

    name: str
    profile: str
    what: str
    is_not: str
    source: str
    recipe: Recipe | None = None

    @property
    def ours(self) -> bool:
        """Whether its gateways are the product."""
        return self.recipe is None

    def topology(self) -> Topology:
        """The lab it is measured in: the same wires and addresses for all."""
        plain = topology.from_yaml(topology.gateway_yaml(self.profile))
        return plain if self.ours else running(plain, (MODULE, self.name))


def running(plain: Topology, words: Sequence[str]) -> Topology:
    """The same lab with another first process on its gateways: a Python module and its words."""

    def other(node: NodeSpec) -> NodeSpec:
        return replace(node, runs=tuple(words)) if node.kind == "gateway" else node

    return replace(plain, nodes=tuple(other(node) for node in plain.nodes))


_PRODUCT = "this product, README.md"
_ALL = (
    Setup(
        "course",
        "classic",
        "keepalived as a course sheet has it: VRRP version 2, an advert a second, the VGW on the LAN, "
        "and MASQUERADE to each node's own WAN address",
        "No connection is known to the other node, and it does not try: the sheet is about addresses.",
        "keepalived.conf(5); nftables wiki, Performing Network Address Translation (NAT)",
        recipes.COURSE,
    ),
    Setup(
        "recipe",
        "standard",
        "VRRP version 3 at our own standard interval of 0.1 s, SNAT to a WAN VIP, conntrackd in FTFW "
        "mode with its external cache, the manual's primary-backup.sh as the notify script, and the stateful "
        "ruleset that it asks for",
        "No health check and no guard against a node without replicas: the manual leaves both out.",
        "conntrack-tools user manual, Setting up conntrackd; doc/sync/primary-backup.sh",
        recipes.RECIPE,
    ),
    Setup(
        "router-os",
        "classic",
        "What the common open router's commands amount to: VRRP version 2 with an advert a second, a "
        "sync group of LAN and WAN, the same conntrackd, its script on the group's changes",
        "It is not that router's software, only the daemons as its documentation has them configured.",
        "VyOS documentation, High availability and Conntrack Sync",
        recipes.ROUTER_OS,
    ),
    Setup("ours-standard", "standard", "VGW, profile standard", "", _PRODUCT),
    Setup("ours-fast", "fast", "VGW, profile fast: an advert each 0.02 s", "", _PRODUCT),
    Setup("ours-hot", "hot", "VGW, profile hot: virtual MACs on both sides", "", _PRODUCT),
)
SETUPS = {one.name: one for one in _ALL}


def chosen(names: Sequence[str]) -> tuple[Setup, ...]:
    """Set-ups by name, all where none is named. Raises ApplianceError, with the names there are."""
    for name in names:
        if name not in SETUPS:
            raise ApplianceError(
                f"--setups: '{name}' is unknown; there are {', '.join(SETUPS)}, with commas between"
            )
    return tuple(one for one in _ALL if not names or one.name in names)
