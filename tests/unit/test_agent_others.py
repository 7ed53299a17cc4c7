"""What others' filters do to a node: told by name, the VGW is let go where a peer can have it, and all is well when they are gone."""

import errno
import socket
from pathlib import Path

import pytest

from appliance import netlink
from appliance.agent import room
from appliance.vrrp import Role

from .agent_stand_in import Living
from .kernel_stand_ins import refused
from .test_agent_look import peer_says

DOCKER = "Docker drops what comes from inside"
NOTHING_LEAVES = "what comes from inside is let in, and does not leave"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Living:
    return Living(monkeypatch, tmp_path)


def test_a_standby_beside_a_filter_that_drops_all_is_not_ready_and_says_why(node: Living) -> None:
    node.stand_by()
    node.machine.tables.load("docker")
    told = node.look()
    (problem,) = told.problems
    assert problem.startswith(DOCKER)
    assert told.in_the_way == (problem,)
    told = node.look()
    assert (told.role, told.ready, told.pair.reason) == (Role.FAULT, False, problem)
    node.machine.tables.unload()
    node.look()
    assert (node.look().role, node.told().problems, node.told().in_the_way) == (Role.BACKUP, (), ())


def test_a_master_lets_go_only_where_a_peer_can_serve(node: Living) -> None:
    node.stand_by()
    node.hold_vgw()
    node.machine.tables.load("docker")
    for _ in range(3):
        node.look()
    told = node.told()
    assert told.problems and told.role is Role.MASTER and told.ready, "nobody else would serve"
    peer_says(node, "BACKUP")
    assert not node.look().ready


@pytest.fixture
def robbed(node: Living) -> Living:
    """A MASTER beside a ready peer; a rule of ours is taken away between a look at it and the question for the way."""
    node.stand_by()
    node.hold_vgw()
    peer_says(node, "BACKUP")
    node.look()
    kernel = node.machine.kernel
    ours, taken = kernel.rules[-1], False

    def take() -> None:
        nonlocal taken
        if not taken:
            kernel.rules.remove(ours)
            taken = True
        kernel.leads_nowhere = 0 if ours in kernel.rules else errno.EHOSTUNREACH

    kernel.meanwhile = take
    return node


def test_what_is_taken_between_a_look_and_the_question_for_the_way_is_put_back_and_nothing_moves(
    robbed: Living,
) -> None:
    repairs = robbed.told().repairs
    told = robbed.look(passed=0.1)
    assert (told.role, told.ready, told.problems) == (Role.MASTER, True, ())
    assert told.repairs == repairs + 1


def test_a_way_that_leads_nowhere_is_told_until_what_makes_it_right_again_is_put(
    node: Living,
) -> None:
    node.stand_by()
    kernel = node.machine.kernel
    kernel.leads_nowhere = errno.EHOSTUNREACH
    (problem,) = node.look().problems
    assert problem.startswith("the kernel would drop packets from inside")
    kernel.leads_nowhere = 0
    kernel.rules.pop()
    assert node.look().problems == (), "asked once all of ours is there again"


def test_what_keeps_the_pair_from_speaking_is_told_and_moves_nothing(node: Living) -> None:
    node.stand_by()
    node.machine.tables.load("ufw-mended")
    told = node.look()
    (problem,) = told.problems
    assert "ufw drops the peer's VRRP adverts" in problem
    assert (node.look().role, node.told().ready) == (Role.BACKUP, True)


def test_flows_that_set_out_and_do_not_leave_are_told_until_one_leaves(node: Living) -> None:
    node.stand_by()
    node.hold_vgw()
    tables = node.machine.tables
    tables.count()
    node.look()
    for flows in (1, 2, 3):
        tables.count(flows)
        node.look()
    told = node.told()
    (problem,) = told.problems
    assert problem.startswith(NOTHING_LEAVES)
    assert told.in_the_way == (problem,)
    tables.count(4, 1)
    assert node.look().problems == ()


def test_what_a_filter_explains_is_told_once(node: Living) -> None:
    node.stand_by()
    node.hold_vgw()
    tables = node.machine.tables
    tables.load("docker")
    for flows in range(6):
        tables.count(flows)
        node.look()
    assert [one.partition(" (")[0] for one in node.told().problems] == [
        f"{DOCKER} and the answers to what came from inside"
    ]


def test_a_kernel_that_does_not_tell_of_filters_is_a_problem_and_no_verdict(node: Living) -> None:
    node.stand_by()
    node.machine.tables.load("docker")
    node.look()
    door = node.machine.tables.door
    node.machine.sockets.lead(
        socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETFILTER, to=refused(errno.EPERM)
    )
    told = node.look()
    assert "the look at others' filters failed" in " ".join(told.problems)
    assert "the kernel did not tell our counters" in " ".join(told.problems)
    assert told.in_the_way[0].startswith(DOCKER), "what was said before stands"
    node.machine.sockets.lead(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETFILTER, to=door)
    node.machine.tables.unload()
    assert node.look().problems == ()


def test_flows_that_find_no_room_in_the_table_are_told_while_it_is_full(node: Living) -> None:
    node.stand_by()
    node.node.table.drops = 7
    assert node.look().problems == (room.PROBLEM,)
    for _ in range(int(room.FULL_SECONDS) - 1):
        assert node.look().problems == (room.PROBLEM,)
    assert (node.look().problems, node.told().ready) == ((), True)
