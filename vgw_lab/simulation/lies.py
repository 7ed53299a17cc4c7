"""What is not so: clocks that are set, and beats that are old or forged."""

from dataclasses import replace
from typing import Any

from appliance.pair import beat
from appliance.vrrp import Role
from vgw_lab.simulation.node import Node
from vgw_lab.simulation.world import World


def set_clock(seconds: float, world: World, node: Node) -> None:
    """Set the clock on the wall, unless this history is told without that."""
    if world.clocks_jump:
        node.clock.shift += seconds


def repeat_beat(_: World, node: Node) -> None:
    """A beat of two seconds ago comes once more."""
    if heard := node.wires[0].heard:
        node.receive_beat(heard[0])


def forge_beat(world: World, node: Node) -> None:
    """A beat in the peer's name, within bounds, in which one or two words are not true."""
    heard = node.wires[0].heard
    said = beat.unpack(heard[-1]) if heard else None
    if said is None:
        return
    lies: list[dict[str, Any]] = [
        {"role": str(Role.MASTER)},
        {"role": str(Role.BACKUP)},
        {"role": str(Role.FAULT), "ready": False},
        {"ready": not said.ready, "replicas": not said.replicas},
        {"quiet": 0.0, "still": 0.0, "entries": 0},
        {"quiet": 1e6, "still": 1e6, "entries": 2**31 - 1},
        {"generation": 4711},
        {"canary": 0, "seen": 0},
        {"asks": 4711, "prepared": 4711},
        {"digest": "another", "config": "another"},
    ]
    node.receive_beat(beat.pack(replace(said, **world.chance.choice(lies))))
