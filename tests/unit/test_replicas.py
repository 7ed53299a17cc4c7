"""Replicas are dropped only when new ones are known to arrive, and canaries tell whether they do."""

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.conntrack import table
from appliance.conntrack.conntrackd import Queues
from appliance.conntrack.orders import Order
from appliance.pair.replicas import (
    CANARY_STEP,
    OVERRUN_INTERVAL,
    REQUEST_INTERVAL,
    REQUEST_SPARE,
    Replicas,
    remembered,
)
from appliance.pair.steps import Settled
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.unit.test_beat import PEER

# What a MASTER orders that tells its peer of everything.
ALL_ANEW = [Order.OWN, Order.TOUCH_KEPT_PORTS, Order.ANNOUNCE]


def ordered(known: Replicas) -> list[str]:
    """What conntrackd is to be told, in order."""
    return [words for words, _ in known.orders.waiting]


def test_what_a_peer_lost_track_of_goes_when_new_replicas_arrive(tmp_path: Path) -> None:
    known = Replicas(RunDir(tmp_path), generation=1, fresh=True)
    assert not known.renew(PEER, 1.0, caught_up=True)
    restarted = replace(PEER, generation=PEER.generation + 1)
    assert not known.renew(restarted, 2.0, caught_up=True), "nothing has come from it yet"
    assert ordered(known) == []
    known.fresh = True
    assert known.renew(restarted, 3.0, caught_up=True)
    assert ordered(known) == [Order.DISOWN, Order.FLUSH]
    assert not known.request.open, "what is told first would be dropped with the rest"
    answer(known)
    assert known.request.open
    assert not known.renew(restarted, 4.0, caught_up=True), "one at a time"


def test_who_was_cut_off_from_the_peer_asks_once_for_what_it_missed(tmp_path: Path) -> None:
    known = Replicas(RunDir(tmp_path), generation=1, fresh=True)
    known.renew(PEER, 20.0, caught_up=True)
    assert ordered(known) == []
    known.missed = True
    known.renew(PEER, 30.0, caught_up=True)
    assert known.request.open
    known.request.since = None
    known.renew(PEER, 60.0, caught_up=True)
    assert not known.request.open


def test_the_oldest_canary_on_its_way_tells_how_long_nothing_has_arrived(tmp_path: Path) -> None:
    known = Replicas(RunDir(tmp_path), generation=1)
    for second in range(3):
        known.expect(replace(PEER, canary=10 + second), Role.BACKUP, float(second))
    assert known.waiting(None, 9.0) == 9.0
    known.generation = 0
    known.expect(replace(PEER, canary=13), Role.BACKUP, 9.0)
    assert known.waiting(None, 10.0) == 10.0, "a conntrackd that is started anew has cured nothing"
    known.expect(replace(PEER, role="BACKUP"), Role.BACKUP, 11.0)
    assert known.waiting(None, 11.0) == 0.0, "nobody plants any"


def test_an_agent_that_starts_anew_knows_what_was_settled(tmp_path: Path) -> None:
    assert remembered(RunDir(tmp_path), even=True).settled is None
    known = Replicas(RunDir(tmp_path), generation=7)
    known.settle(Role.MASTER, 1.0)
    assert ordered(known) == [Order.DISOWN, Order.OWN]
    begun = remembered(RunDir(tmp_path), even=True).settled
    assert begun
    assert (begun.role, begun.generation) == (None, 7)
    for _, then in list(known.orders.waiting):
        if then:
            then()
    ended = remembered(RunDir(tmp_path), even=True).settled
    assert ended
    assert (ended.role, ended.generation) == (Role.MASTER, 7)


def answer(known: Replicas) -> None:
    """conntrackd has carried out all that it was told."""
    while known.orders.waiting:
        _, then = known.orders.waiting.popleft()
        if then:
            then()


def test_two_nodes_never_plant_the_same_canary(tmp_path: Path) -> None:
    # The replica of one that the peer planted before it went would pass for one that has just come.
    one, other = Replicas(RunDir(tmp_path), even=True), Replicas(RunDir(tmp_path), even=False)
    assert (one.number % CANARY_STEP, other.number % CANARY_STEP) == (0, 1)
    ports = {
        table.canary(known.number + n * CANARY_STEP).source_port
        for known in (one, other)
        for n in range(100)
    }
    assert len(ports) == 200


def test_only_a_canary_planted_after_the_request_shows_that_what_it_brought_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.conntrack.table.planted", lambda _: True)
    monkeypatch.setattr("appliance.system.monotonic", lambda: 12.0)
    known = Replicas(RunDir(tmp_path), generation=7)

    def comes(number: int, now: float) -> bool:
        known.expect(replace(PEER, canary=number), Role.BACKUP, now)
        known.look_out(now)
        return known.fresh

    known.settle(Role.BACKUP, 10.0)
    assert not comes(11, 11.0), "the peer has not heard of the request"
    answer(known)
    known.settle(Role.FAULT, 10.5)
    assert ordered(known) == [], "whatever a standby's role, it waits for one answer"
    known.asked = 12.0
    assert not comes(13, 12.0 + REQUEST_SPARE / 2), "it was planted before the bulk update, perhaps"
    assert comes(15, 12.0 + REQUEST_SPARE)


def test_nothing_is_asked_for_again_while_it_is_still_taken_in(tmp_path: Path) -> None:
    known = Replicas(RunDir(tmp_path), generation=1)
    later = 2 * REQUEST_INTERVAL
    known.renew(PEER, later, caught_up=False, busy=True)
    known.renew(PEER, later + REQUEST_INTERVAL / 2, caught_up=False)
    assert not known.request.open
    known.renew(PEER, later + REQUEST_INTERVAL, caught_up=False)
    assert known.request.open


def test_a_new_master_has_settled_once_a_canary_of_after_its_steps_was_seen(tmp_path: Path) -> None:
    known = Replicas(RunDir(tmp_path), generation=7, settled=Settled(Role.BACKUP, 7))
    known.settle(Role.MASTER, 1.0)
    last = known.number
    assert known.settling(last)
    answer(known)
    assert known.settling(last), "planted before the steps were taken"
    assert known.timers.canary == 0.0, "the next is planted at once"
    assert not known.settling(last + CANARY_STEP)


def test_events_that_were_lost_are_made_good_where_the_entries_are_ours(tmp_path: Path) -> None:
    known = Replicas(RunDir(tmp_path), generation=7, settled=Settled(Role.BACKUP, 7))

    def heed(dropped: int, role: Role, now: float) -> list[str]:
        known.heed(Queues(0, 0, dropped), role, now)
        told = ordered(known)
        answer(known)
        return told

    assert heed(5000, Role.BACKUP, 1.0) == [], "those of replicas are nobody's business"
    known.settled = Settled(Role.MASTER, 7)
    assert heed(6000, Role.MASTER, 2.0) == [], "it has just read its whole table"
    assert heed(6000, Role.MASTER, 3.0) == []
    assert heed(6001, Role.MASTER, 4.0) == ALL_ANEW
    assert heed(6002, Role.MASTER, 5.0) == [], "not again and again"
    assert heed(6002, Role.MASTER, 4.0 + OVERRUN_INTERVAL) == ALL_ANEW
    assert heed(6002, Role.MASTER, 5.0 + 2 * OVERRUN_INTERVAL) == []


def test_a_master_prepares_before_its_peer_asks_for_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Replicas, "plant", lambda *_: None)
    monkeypatch.setattr(Replicas, "look_out", lambda *_: None)
    monkeypatch.setattr("appliance.pair.replicas.Queue.advance", lambda *_: None)
    master = Replicas(RunDir(tmp_path / "m"), generation=7, settled=Settled(Role.MASTER, 7))
    standby = Replicas(RunDir(tmp_path / "s"), even=False, generation=8)
    standby.settle(Role.BACKUP, 1.0)
    answer(standby)
    asking = replace(PEER, role="BACKUP", asks=standby.request.open, seen=master.number)
    master.follow(Role.MASTER, asking, 2.0)
    assert ordered(master) == [Order.TOUCH_KEPT_PORTS]
    answer(master)
    master.follow(Role.MASTER, asking, 3.0)
    assert ordered(master) == [], "once is enough"
    assert not master.preparation.arrived(asking), "the canary that comes after it has not arrived"
    asking = replace(asking, seen=master.number + CANARY_STEP)
    done = replace(PEER, prepared=master.preparation.arrived(asking))
    standby.follow(Role.BACKUP, PEER, 3.0)
    assert ordered(standby) == []
    standby.follow(Role.BACKUP, done, 3.0)
    assert ordered(standby) == [Order.REQUEST]
    answer(standby)
    assert standby.settled == Settled(Role.BACKUP, 8)
