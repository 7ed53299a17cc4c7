"""The first process of a gateway that is not ours: writes its files, loads its rules, runs its daemons.

Without a set-up's name the node is a bare router that holds the pair's addresses and runs no daemon.
"""

import argparse
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from appliance import ApplianceError, system
from vgw_lab.bench import recipes
from vgw_lab.bench.setups import SETUPS
from vgw_lab.worlds import topology
from vgw_lab.worlds.reaper import reap
from vgw_lab.worlds.topology import NodeSpec, Topology

BARE = "bare"
_STOP_SECONDS = 3.0


def daemons(replicates: bool) -> list[list[str]]:
    """The commands of a node's daemons, in the order in which they start."""
    run = recipes.RUN
    found = [["conntrackd", "-C", str(recipes.CONNTRACKD)]] if replicates else []
    vrrp = ["keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file"]
    pids = ["--pid", f"{run}/keepalived.pid", "--vrrp_pid", f"{run}/vrrp.pid"]
    return [*found, [*vrrp, str(recipes.KEEPALIVED), *pids]]


def prepare(plan: Topology) -> None:
    """Forward, and have the internet as the way out."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    gateway = next(
        wire.address.ip
        for wire in plan.node(topology.INTERNET).wires
        if wire.bridge == "wan" and wire.address
    )
    system.run(["ip", "route", "replace", "default", "via", str(gateway)])


def hold_addresses(plan: Topology, node: NodeSpec) -> None:
    """Take the VGW and the WAN VIP, with no election; the first node only."""
    if node.name == plan.gateways[0].name:
        for address, bridge in ((plan.vgw.address, "lan"), (plan.wan_vip, "wan")):
            words = ["ip", "address", "add", str(address), "dev", recipes.interface(node, bridge)]
            system.run(words)


def write(plan: Topology, node: NodeSpec, recipe: recipes.Recipe) -> None:
    """The set-up's files, afresh: a power cut leaves none of the former run's."""
    for path, text in recipes.files(recipe, plan, node).items():
        system.replace(path, text, 0o700 if path == recipes.SCRIPT else 0o600)
    system.run(["nft", "-f", str(recipes.RULESET)])


def run(commands: Sequence[Sequence[str]]) -> int:
    """Run the daemons until one ends or TERM comes; then end the rest, the last one first."""
    children = [subprocess.Popen([system.program(argv[0]), *argv[1:]]) for argv in commands]

    def stop(_number: int, _frame: FrameType | None) -> None:
        for child in reversed(children):
            child.terminate()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    pids = {child.pid for child in children}
    while (ended := os.wait()[0]) not in pids:
        pass  # a notify script's, left to the first process
    raise ApplianceError(f"process {ended} ended by itself, and so does the node")


def main() -> None:
    """Be a gateway of the set-up that the argument names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("setup", choices=[*SETUPS, BARE])
    name = parser.parse_args().setup
    plan = topology.from_yaml(Path(os.environ["VGW_CONFIG"]).read_text(encoding="utf-8"))
    node = plan.node(os.environ["VGW_NODE"])
    prepare(plan)
    if name == BARE:
        hold_addresses(plan, node)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        reap()
    recipe = SETUPS[name].recipe
    if recipe is None:
        raise ApplianceError(f"{name}: the product itself; `vgw start` runs it")
    write(plan, node, recipe)
    run(daemons(recipe.replicates))


if __name__ == "__main__":
    main()
