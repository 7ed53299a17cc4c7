"""Whose canaries are whose, and which a node tells of."""

from pathlib import Path

import pytest

from appliance.pair.canaries import CANARY_STEP
from appliance.vrrp import Role

from .node_doors import Node, config

STANDARD = config()


@pytest.mark.parametrize("who", [(), ("master",), ("backup",), ("master", "backup")])
def test_canaries_of_two_nodes_differ_whoever_has_taken_up_a_file_with_swapped_priorities(
    who: tuple[str, ...], tmp_path: Path
) -> None:
    text = {"priority: 100": "priority: 89", "priority: 90": "priority: 100"}
    swapped = config(**text)
    nodes = {name: Node(STANDARD, name, tmp_path / name) for name in ("master", "backup")}
    for name in who:
        nodes[name].wanted = swapped
        nodes[name].pair.take_up(swapped, 0.0)
    nodes["backup"].pair = nodes["backup"].agent()
    planted = set()
    for node in nodes.values():
        node.look(Role.MASTER)
        node.serve(2.0)
        planted |= {number % CANARY_STEP for number in node.table.canaries}
    assert planted == {0, 1}


def test_an_agent_tells_of_no_canary_before_it_has_planted_one_of_its_own(tmp_path: Path) -> None:
    for name, parity in (("master", 0), ("backup", 1)):
        node = Node(STANDARD, name, tmp_path / name)
        node.pair.become(Role.MASTER, node.now)
        assert node.beats()[-1].canary == 0
        node.look()
        node.serve()
        told = node.beats()[-1].canary
        assert told in node.table.canaries
        assert told % CANARY_STEP == parity
