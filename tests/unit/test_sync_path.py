"""How long a packet the sync link carries, as each node tells the other."""

from pathlib import Path

import pytest

from appliance.pair.sync_path import STRETCH, WINDOW, Widest, narrow
from appliance.vrrp import Role

from .node_doors import Node, config, connected


def pair_of(tmp_path: Path, carries: int) -> tuple[Node, Node]:
    """Two nodes whose sync interfaces take 1,500 bytes, after half a minute."""
    nodes = Node(config(), "master", tmp_path / "m"), Node(config(), "backup", tmp_path / "b")
    for node in nodes:
        node.socket.longest, node.socket.carries = 1500, carries
    run(nodes, 30)
    return nodes


def run(nodes: tuple[Node, Node], seconds: int) -> None:
    master, backup = nodes
    pass_on = connected(master, backup)
    for _ in range(seconds):
        master.look(Role.MASTER)
        backup.look(Role.BACKUP)
        for _ in range(4):
            backup.heard(100)
            for node in nodes:
                node.serve(0.25)
                pass_on()


def test_of_a_link_that_carries_less_than_its_interfaces_take_both_nodes_tell(
    tmp_path: Path,
) -> None:
    for node, other in zip(pair_of(tmp_path, 1400), ("backup", "master"), strict=True):
        found = node.pair.memory.degraded
        assert f"carries packets of 1400 bytes to {other}, and not those of 1500" in found
        assert "mtu 1400` on both nodes" in found


def test_it_is_over_when_the_link_carries_all_again(tmp_path: Path) -> None:
    nodes = pair_of(tmp_path, 1400)
    for node in nodes:
        node.socket.carries = 1500
    run(nodes, 15)
    assert [node.pair.memory.degraded for node in nodes] == ["", ""]


@pytest.mark.parametrize("lost", [1, 2])
def test_a_link_that_carries_all_is_never_told_of_though_a_try_is_lost(
    tmp_path: Path, lost: int
) -> None:
    nodes = pair_of(tmp_path, 1500)
    for node in nodes:
        node.socket.carries = 0
    run(nodes, int(lost * STRETCH) - 1 if lost == 1 else 4)
    for node in nodes:
        node.socket.carries = 1500
    for _ in range(20):
        run(nodes, 1)
        assert [node.pair.memory.degraded for node in nodes] == ["", ""]


def test_nothing_is_said_before_two_windows_have_passed() -> None:
    widest = Widest()
    for moment in (0.0, 1.0, WINDOW):
        widest.take(400, moment)
    assert widest.told == 0
    widest.take(1500, 2 * WINDOW)
    widest.take(400, 3 * WINDOW)
    assert widest.told == 1500
    widest.take(400, 4 * WINDOW)
    assert widest.told == 400
    widest.take(400, 7 * WINDOW)
    assert widest.told == 0, "the peer was away"


@pytest.mark.parametrize(("wide", "hears"), [(1500, 1500), (1400, 1500), (0, 400), (1500, 0)])
def test_what_nobody_can_say_or_is_well_is_not_told(wide: int, hears: int) -> None:
    assert narrow(wide, hears, "backup") == ""
