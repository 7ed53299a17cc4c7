"""Replicas are dropped only when new ones are known to arrive, and canaries tell whether they do."""

from dataclasses import replace
from pathlib import Path

from appliance.failover import Step
from appliance.model import Role
from appliance.replicas import Replicas, remembered
from tests.unit.test_beat import PEER


def ordered(known: Replicas) -> list[str]:
    """What conntrackd is to be told, in order."""
    return [words for words, _ in known.orders.waiting]


def test_what_a_peer_lost_track_of_goes_when_new_replicas_arrive(tmp_path: Path) -> None:
    known = Replicas(tmp_path, generation=1, fresh=True)
    assert not known.renew(PEER, 1.0, caught_up=True)
    restarted = replace(PEER, generation=PEER.generation + 1)
    assert not known.renew(restarted, 2.0, caught_up=True), "nothing has come from it yet"
    assert ordered(known) == []
    known.fresh = True
    assert known.renew(restarted, 3.0, caught_up=True)
    assert ordered(known) == [Step.DISOWN, Step.FLUSH, Step.REQUEST]
    assert not known.renew(restarted, 4.0, caught_up=True), "one at a time"


def test_who_was_cut_off_from_the_peer_asks_once_for_what_it_missed(tmp_path: Path) -> None:
    known = Replicas(tmp_path, generation=1, fresh=True)
    known.renew(PEER, 20.0, caught_up=True)
    assert ordered(known) == []
    known.missed = True
    known.renew(PEER, 30.0, caught_up=True)
    assert ordered(known) == [Step.REQUEST]
    known.orders.drop()
    known.renew(PEER, 60.0, caught_up=True)
    assert ordered(known) == []


def test_the_oldest_canary_on_its_way_tells_how_long_nothing_has_arrived(tmp_path: Path) -> None:
    known = Replicas(tmp_path, generation=1)
    for second in range(3):
        known.expect(replace(PEER, canary=10 + second), Role.BACKUP, float(second))
    assert known.waiting(None, 9.0) == 9.0
    known.generation = 0
    known.expect(replace(PEER, canary=13), Role.BACKUP, 9.0)
    assert known.waiting(None, 10.0) == 10.0, "a conntrackd that is started anew has cured nothing"
    known.expect(replace(PEER, role="BACKUP"), Role.BACKUP, 11.0)
    assert known.waiting(None, 11.0) == 0.0, "nobody plants any"


def test_an_agent_that_starts_anew_knows_what_was_settled(tmp_path: Path) -> None:
    assert remembered(tmp_path).settled is None
    known = Replicas(tmp_path, generation=7)
    known.settle(Role.MASTER, 1.0)
    assert ordered(known) == [Step.DISOWN, Step.OWN]
    begun = remembered(tmp_path).settled
    assert begun
    assert (begun.role, begun.generation) == (None, 7)
    for _, then in list(known.orders.waiting):
        if then:
            then("")
    ended = remembered(tmp_path).settled
    assert ended
    assert (ended.role, ended.generation) == (Role.MASTER, 7)
