"""An agent asks the LAN who has the VGW; a stranger is a problem of the node, and a MASTER contradicts it."""

from pathlib import Path

import pytest

from appliance.addresses import Address
from appliance.status import events
from appliance.vrrp import Role
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


PEERS_CLAIM = Claim(VGW, "02:00:00:00:01:03")


def claims_between_looks(node: Living, *, peer_leads: bool = False) -> None:
    """The peer claims the VGW, and the agent hears it before it looks again."""
    answers, now = node.agent.guard.answers, node.node.now
    for later in (0.1, 0.11, 0.3):
        node.claimed.heard[PEERS_CLAIM] = now + later
        answers.hear(
            now + later, leads=node.agent.state.role is Role.MASTER, peer_leads=lambda: peer_leads
        )


def test_a_peer_that_goes_on_and_claims_the_vgw_is_contradicted_at_once_inside_and_outside(
    node: Living,
) -> None:
    node.stand_by()
    node.hold_vgw()
    node.look()
    claims_between_looks(node)
    outside = [("eth1", VGW), ("eth0", Address("203.0.113.99"))]
    assert node.claimed.announced == outside * 2, "once in a flood, and again"


def test_who_has_just_taken_over_by_vrrp_is_not_contradicted(node: Living) -> None:
    node.stand_by()
    node.hold_vgw()
    node.look()
    claims_between_looks(node, peer_leads=True)
    assert node.claimed.announced == []


def test_a_standby_contradicts_nobody_between_two_looks(node: Living) -> None:
    node.stand_by()
    node.look()
    claims_between_looks(node)
    assert node.claimed.announced == []


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
