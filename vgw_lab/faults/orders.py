"""The orders that faults are made of: to a node, to its programs, to a cable, and to what passes."""

import time
from typing import Literal

from appliance import CommandFailed
from appliance.run_dir import RunDir
from vgw_lab.faults.fault import Check, Order
from vgw_lab.measures.checks import Findings
from vgw_lab.worlds.entry import Child
from vgw_lab.worlds.running import Lab
from vgw_lab.worlds.topology import BRIDGES

_SUPERVISOR = f"unix://{RunDir().supervisor_socket}"
# Before everything else that looks at a packet but a capture.
_PRIORITY = -500
_UNDO = 'for bridge in "$0" "$@"; do nft delete table netdev drill_$bridge 2>/dev/null; done'
# A flow that meets no fault loses nothing; so much, in seconds, is the machine's own stumbling.
STUMBLE = 0.05


def power_off(lab: Lab, node: str) -> None:
    """Cut a node's power."""
    lab.node(node).stop()


def power_on(lab: Lab, node: str) -> None:
    """Switch a node on; it may be on."""
    lab.node(node).start()


def supervisor(verb: str) -> Order:
    """The order by which supervisord starts or stops keepalived."""

    def order(lab: Lab, node: str) -> None:
        done = lab.node(node).run(["supervisorctl", "-s", _SUPERVISOR, verb, "keepalived"])
        if "already started" in done.output:
            return
        # It ends with 0 even when it did nothing, such as for a program it does not know.
        if "ERROR" in done.output or done.returncode != 0:
            raise CommandFailed(f"{node}: supervisorctl {verb} keepalived: {done.output}")

    return order


def cable(bridge: str, state: Literal["down", "up"]) -> Order:
    """The order that pulls a node's cable, or plugs it in again."""

    def order(lab: Lab, node: str) -> None:
        lab.cable(node, bridge, state)

    return order


def signal(program: str, how: str, child: bool = False, peer: bool = False) -> Order:
    """The order that sends a signal to a program of the node, or of its peer."""

    def order(lab: Lab, node: str) -> None:
        lab.node(lab.other(node) if peer else node).signal(program, how, child)

    return order


def lose(lab: Lab, node: str, bridge: str, rule: str = "", way: str = "ingress") -> None:
    """Drop what a node hears from a bridge (or says: `egress`) and what fits an nft rule; else all."""
    device = lab.interface(node, bridge)
    chain = f'type filter hook {way} device "{device}" priority {_PRIORITY};'
    table = f"table netdev drill_{bridge} {{ chain {way} {{ {chain} {rule} drop; }}; }}"
    done = lab.node(node).run(["nft", table])
    if done.returncode != 0:
        raise CommandFailed(f"{node}: nft {table}: {done.output}")


def lose_nothing(lab: Lab, node: str) -> None:
    """Take away all that `lose` did to a node; it may be off, or have lost its rules with its power."""
    if lab.node(node).on:
        lab.node(node).run(["sh", "-c", _UNDO, *BRIDGES])


def lose_nothing_at_all(lab: Lab, node: str) -> None:
    """Take away all that `lose` did to any node."""
    for spec in lab.topology.nodes:
        lose_nothing(lab, spec.name)


def begin_storm(lab: Lab, machine: str, words: str) -> Child:
    """Have a machine begin a storm. Raises CommandFailed."""
    child = lab.node(machine).instrument("storm", words.split())
    assert child.stdout is not None
    if child.stdout.readline().strip() != "storming":
        raise CommandFailed(f"{machine}: the storm did not start; what it said stands above")
    return child


def storm(lab: Lab, machine: str, words: str) -> int:
    """Have a machine send a storm to its end; how much it sent."""
    child = begin_storm(lab, machine, words)
    assert child.stdout is not None
    said = child.stdout.readline()
    child.communicate()
    return int(said.partition(":")[2].strip(" }\n") or 0)


def lasting(seconds: float) -> Check:
    """The fault lasts for so many seconds; there is nothing to check."""

    def last(lab: Lab, node: str, found: Findings) -> None:
        time.sleep(seconds)

    return last
