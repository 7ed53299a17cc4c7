"""A MASTER that stood still and goes on: what it tells, what its peer tells, and when nobody tells anything."""

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.pair import contest, judgement, standstill
from appliance.pair.beat import Beat
from appliance.pair.deeds import Inform, Record, RestartConntrackd
from appliance.pair.facts import Facts
from appliance.pair.readiness import GRACE
from appliance.pair.standstill import STANDSTILL, Standstill, Waking
from appliance.vrrp import Role

from .facts import FACTS
from .node_doors import Node, config
from .snapshots import PEER

LEADS = FACTS._replace(
    role=Role.MASTER, peer=replace(PEER, role="BACKUP", generation=7), advertised=False
)
TWO = LEADS._replace(peer=replace(PEER, role="MASTER", generation=7), advertised=True)
ALONE = LEADS._replace(peer=None)
FOLLOWS = TWO._replace(role=Role.BACKUP)


def told(*moments: tuple[float, Facts], before: Role = Role.MASTER) -> list[str]:
    """What is told at these moments."""
    state, sentences = Standstill(0.0), []
    for now, facts in moments:
        state, sentence = standstill.follow(state, before, facts, now)
        before = facts.role
        sentences += [sentence] if sentence else []
    return sentences


@pytest.mark.parametrize("thawed", [TWO, TWO._replace(peer=None), TWO._replace(advertised=False)])
def test_a_master_tells_for_how_long_it_stood_still_and_that_its_peer_took_over(
    thawed: Facts,
) -> None:
    (sentence,) = told((0.2, LEADS), (20.5, thawed), (20.7, thawed))
    assert sentence.startswith("this MASTER stood still for 20.3 s")
    assert sentence.endswith("its peer took over meanwhile")


def test_one_whose_peer_did_not_take_over_tells_that() -> None:
    (sentence,) = told((0.2, LEADS), (2.0, LEADS), (2.9, LEADS), (3.1, LEADS), (3.3, LEADS))
    assert sentence.startswith("this MASTER stood still for 1.8 s")
    assert sentence.endswith("nobody took over meanwhile")


def test_it_is_told_once_it_is_known_whether_the_peer_took_over() -> None:
    (sentence,) = told((0.2, LEADS), (20.5, LEADS), (20.6, TWO), (20.7, TWO))
    assert sentence.startswith("this MASTER stood still for 20.3 s")
    assert sentence.endswith("its peer took over meanwhile")


@pytest.mark.parametrize("stood", [None, 1.7], ids=["by its role", "by its own word"])
def test_it_takes_its_own_silence_for_nobody_elses(stood: float | None) -> None:
    silent, back = TWO._replace(peer=None), replace(PEER, role="MASTER", generation=7, stood=stood)
    (sentence,) = told(
        (0.2, LEADS), (20.5, silent), (20.6, silent), (20.7, TWO._replace(peer=back))
    )
    assert sentence.startswith("this MASTER stood still for 20.3 s")


def test_who_was_late_for_less_or_is_no_master_tells_nothing() -> None:
    assert told((STANDSTILL, LEADS), (2 * STANDSTILL, LEADS)) == []
    assert told((0.2, FOLLOWS), (20.0, FOLLOWS), before=Role.BACKUP) == []


def test_its_peer_tells_of_who_comes_back_with_the_same_programs() -> None:
    (sentence,) = told(
        (0.2, FOLLOWS), (1.2, ALONE), (2.2, ALONE), (3.2, TWO), (3.4, FOLLOWS), before=Role.BACKUP
    )
    assert sentence.startswith(f"{PEER.node} is back and took itself for MASTER still")
    assert "for about 3.5 s, in which this node led" in sentence


@pytest.mark.parametrize(
    "back",
    [
        TWO._replace(peer=replace(PEER, role="MASTER", generation=8)),
        TWO._replace(peer=replace(PEER, role="MASTER", generation=0)),
        LEADS,
    ],
    ids=["started anew", "has yet to start", "is no MASTER"],
)
def test_who_comes_back_as_another_did_not_stand_still(back: Facts) -> None:
    assert told((0.2, FOLLOWS), (1.2, ALONE), (2.2, back), before=Role.BACKUP) == []


def test_a_peer_beside_which_this_node_did_not_lead_was_only_cut_off() -> None:
    silent = FOLLOWS._replace(peer=None)
    assert told((0.2, FOLLOWS), (1.2, silent), (2.2, FOLLOWS), before=Role.BACKUP) == []


def test_its_peer_tells_for_how_long_it_stood_still_by_its_own_word() -> None:
    woken = LEADS._replace(peer=replace(PEER, role="FAULT", generation=0, stood=33.1))
    (sentence,) = told((0.2, FOLLOWS), (1.2, ALONE), (2.2, woken), (2.4, woken), before=Role.BACKUP)
    assert (
        sentence
        == f"{PEER.node} is back: it stood still as MASTER for 33.1 s, in which this node led"
    )


def woken(*moments: tuple[float, Facts]) -> tuple[list[str], list[object], list[judgement.Memory]]:
    """How far a MASTER is at these moments that stood still before the second, and all that is done."""
    memory = judgement.begin(None, ready=True, even=True, seconds=1, now=0.0)
    memory, _ = judgement.follow(memory, LEADS, 0.2)
    deeds: list[object] = []
    memories = []
    for now, facts in moments:
        memory, more = judgement.follow(memory, facts, now)
        deeds += more
        memories.append(memory)
    return [one.standstill.waking for one in memories], deeds, memories


@pytest.mark.parametrize("peer", [TWO.peer, None], ids=["by its beats", "by its adverts"])
def test_who_stood_still_while_its_peer_took_over_lets_go_before_it_says_a_word(
    peer: Beat | None,
) -> None:
    two = TWO._replace(peer=peer)
    waking, deeds, memories = woken((10.0, LEADS), (10.01, two), (10.02, two))
    assert waking == [Waking.JUST, Waking.OUTLIVED, Waking.OUTLIVED]
    assert [one.verdict.ready for one in memories] == [True, False, False]
    assert memories[-1].verdict.reason == standstill.OUTLIVED
    assert not memories[-1].readiness.caught_up, "what it has is as old as its sleep"
    (_,) = [deed for deed in deeds if isinstance(deed, RestartConntrackd)]
    assert memories[-1].standstill.hushed(10.02)
    assert not memories[-1].replication.replicas.arrive
    last, _ = judgement.follow(memories[-1], two._replace(role=Role.FAULT), 10.03)
    assert last.standstill.waking is Waking.NO
    assert not last.standstill.hushed(10.03), "keepalived has heard it"
    assert last.standstill.told(10.03) == 9.8
    assert last.standstill.told(10.03 + standstill.TOLD_FOR) is None


def test_who_stood_still_while_nobody_took_over_leads_on() -> None:
    waking, deeds, memories = woken((10.0, LEADS), (10.5, LEADS), (11.1, LEADS))
    assert waking == [Waking.JUST, Waking.JUST, Waking.NO]
    assert all(one.verdict.ready for one in memories)
    assert not any(isinstance(deed, RestartConntrackd) for deed in deeds)


def test_a_standby_that_stood_still_waits_with_a_failback_from_when_it_goes_on() -> None:
    memory = judgement.begin(None, ready=True, even=True, seconds=1, now=0.0)
    memory, _ = judgement.follow(memory, FOLLOWS, 0.2)
    well = replace(memory.readiness, caught_up=True, well_since=0.2)
    memory = memory._replace(readiness=well)
    assert judgement.follow(memory, FOLLOWS, 1.0)[0].readiness.well_since == 0.2
    busy = judgement.follow(memory, FOLLOWS, 0.2 + standstill.OVERSLEPT)[0]
    assert (busy.readiness.well_since, busy.replication.gap) == (0.2, False)
    assert judgement.follow(memory, FOLLOWS, 10.0)[0].readiness.well_since == 10.0


def test_where_vrrp_alone_decides_nobody_lets_go() -> None:
    plain = TWO._replace(plain=True)
    waking, _, memories = woken((20.0, plain), (20.1, plain))
    assert waking == [Waking.NO, Waking.NO]
    assert memories[-1].verdict.ready


@pytest.mark.parametrize("stood", [True, False])
def test_a_takeover_from_who_stood_still_was_not_false(stood: bool) -> None:
    state, _ = contest.follow(None, Role.MASTER, TWO, 1.0, stood=stood)
    assert bool(contest.follow(state, Role.MASTER, LEADS, 2.0)[1]) is not stood


def test_a_standstill_is_an_event_is_in_the_log_and_is_counted() -> None:
    memory = judgement.begin(None, ready=True, even=True, seconds=1, now=0.0)
    deeds: list[object] = []
    for now, facts in ((0.2, LEADS), (20.0, TWO), (20.2, LEADS)):
        memory, more = judgement.follow(memory, facts, now)
        deeds += more
    (event,) = [one for one in deeds if isinstance(one, Record) and one.kind == "standstill"]
    assert (event.was, event.now) == ("stood still", "goes on")
    assert event.sentence in [one.sentence for one in deeds if isinstance(one, Inform)]
    assert memory.standstills == 1
    assert memory.false_takeovers == 0


def test_who_goes_on_hears_its_peer_before_it_judges_anything(tmp_path: Path) -> None:
    node = Node(config(), "master", tmp_path)
    node.look()
    node.serve(GRACE + 0.1)
    node.look(Role.MASTER)
    node.told(replace(PEER, role="BACKUP"))
    node.serve()
    # keepalived has more to say than the agent can look at, so that there is nothing but looks.
    node.now += 20.0
    node.told(replace(PEER, role="MASTER", entries=1000))
    node.look()
    assert (node.ready(), node.conntrackd.restarts) == ("0 1", 1), "its peer took over meanwhile"
    node.table.entries = 0  # a conntrackd that starts drops all replicas
    for _ in range(5):
        node.now += 0.02
        node.look(Role.FAULT, generation=8)
        assert node.ready() == "0 1", node.pair.memory.verdict
