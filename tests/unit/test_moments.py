"""When a node judges: with a beat that comes or goes, and not at each moment at which it is awake."""

from pathlib import Path

import pytest

from appliance.pair import beat
from appliance.pair.beat import BEAT_INTERVAL
from appliance.vrrp import Role

from .node_doors import Node, config
from .snapshots import PEER


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(config(), "master", tmp_path)
    node.look(Role.BACKUP)
    node.serve(BEAT_INTERVAL)
    while node.conntrackd.under_way:
        node.serve()
    return node


def test_a_question_to_the_way_out_and_its_answer_are_no_reason_to_judge(node: Node) -> None:
    judged = node.pair.memory
    node.serve(0.05)
    assert node.pair.memory is judged


def test_a_beat_that_comes_is_one(node: Node) -> None:
    judged = node.pair.memory
    node.socket.inbox.append(beat.pack(PEER))
    node.serve(0.05)
    assert node.pair.memory is not judged


def test_a_beat_that_is_due_is_one(node: Node) -> None:
    judged = node.pair.memory
    node.serve(BEAT_INTERVAL)
    assert node.pair.memory is not judged
