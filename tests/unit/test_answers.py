"""An agent asks the LAN who has the VGW; a stranger is a problem of the node, and a MASTER contradicts it."""

from pathlib import Path

import pytest

from appliance.addresses import Address
from appliance.status import events
from appliance.wires.claims import Claim

from .agent_stand_in import Living

VGW, OWN, PEERS = (Address(f"192.168.100.{number}") for number in (99, 2, 3))
OTHERS, STRANGER = "02:00:00:00:00:03", "02:66:66:66:66:66"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Living:
    return Living(monkeypatch, tmp_path)


def say(node: Living, looks: int, *claims: Claim) -> None:
    """Let some looks pass, each after all of this was said."""
    for _ in range(looks):
        node.claimed.heard |= dict.fromkeys(claims, node.node.now + 1)
        node.look()


def test_each_two_seconds_it_asks_for_the_vgw_its_peer_and_itself(node: Living) -> None:
    node.stand_by()
    before = len(node.claimed.asked)
    for _ in range(10):
        node.look()
    assert node.claimed.asked[before:] == [("eth1", (VGW, OWN, PEERS))] * 5


def test_a_stranger_is_a_problem_that_the_master_contradicts_on_the_vgws_own_interface(
    node: Living,
) -> None:
    node.stand_by()
    node.hold_vgw()
    say(node, 5, Claim(PEERS, OTHERS), Claim(VGW, STRANGER))
    (problem,) = node.told().problems
    assert problem.startswith(f"{STRANGER} answers on eth1 for the VGW 192.168.100.99")
    assert node.claimed.announced == [("eth1", VGW)] * 5
    node.claimed.heard.clear()
    assert node.look().problems == ()
    told = [event for event in events.read(node.run_dir) if event.kind == "claim"]
    assert [(event.now, event.sentence) for event in told] == [("claimed", problem)], "once"


def test_a_standby_tells_and_says_nothing(node: Living) -> None:
    node.stand_by()
    say(node, 5, Claim(PEERS, OTHERS), Claim(VGW, STRANGER))
    assert len(node.told().problems) == 1
    assert node.claimed.announced == []


def test_a_node_that_is_off_the_lan_is_no_judge_of_it(node: Living) -> None:
    node.stand_by()
    say(node, 5, Claim(PEERS, OTHERS), Claim(VGW, STRANGER))
    node.machine.kernel.link("eth1").carries = False
    assert not any("answers on" in problem for problem in node.look().problems)
