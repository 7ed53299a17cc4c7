"""A request waits for its preparation, and for nobody else."""

from dataclasses import replace

from appliance.pair.resync import (
    ALONE,
    REQUEST_SPARE,
    RESYNC_PATIENCE,
    Fetch,
    FetchStage,
    Preparation,
)
from tests.unit.snapshots import PEER

ASKED = Fetch(6).preparing(1.0)


def test_a_request_waits_until_the_master_has_prepared_it() -> None:
    assert not Fetch(6).due(PEER, 1.0), "nothing is asked for"
    assert (Fetch(6).open, ASKED.open) == (0, 7)
    assert not ASKED.due(replace(PEER, prepared=6), 1.5)
    assert ASKED.due(replace(PEER, prepared=7), 1.5)
    asking = ASKED.at(FetchStage.ASKING, 1.5)
    assert not asking.due(replace(PEER, prepared=7), 2.0), "once is enough"
    assert not asking.open


def test_a_request_does_not_wait_for_ever() -> None:
    assert not ASKED.due(PEER, 1.0 + RESYNC_PATIENCE)
    assert ASKED.due(PEER, 1.5 + RESYNC_PATIENCE)
    for nobody in (None, replace(PEER, role="BACKUP", prepared=7)):
        assert not ASKED.due(nobody, 1.0 + ALONE)
        assert ASKED.due(nobody, 1.5 + ALONE)


def test_a_table_without_replicas_is_sorted_as_often_as_it_may_be() -> None:
    fresh, prepared = Fetch(6).preparing(1.0, 1), replace(PEER, prepared=7)
    assert fresh.sorts(prepared)
    assert not fresh.sorts(PEER), "nobody has prepared it"
    assert not fresh.sorts(None)
    assert not ASKED.sorts(prepared), "what was here before came in order"


def test_what_was_asked_for_is_proved_by_a_later_canary_alone() -> None:
    for stage in FetchStage:
        if not Fetch(6).at(stage, 1.0).stage.going_on:
            continue
        going_on = Fetch(6).at(stage, 1.0)
        assert not going_on.proved_by(99.0)
        assert not going_on.broken_off(2.0).proved_by(99.0), "it has to be asked for again"
    asked = Fetch(6).at(FetchStage.ASKED, 5.0)
    assert not asked.proved_by(4.9 + REQUEST_SPARE)
    assert asked.proved_by(5.0 + REQUEST_SPARE)
    assert asked.broken_off(6.0) == asked, "it is over"
    assert Fetch(6).proved_by(0.1), "nothing has to be asked for"


def test_each_request_is_prepared_once() -> None:
    assert not Preparation().wanted(None)
    assert not Preparation().wanted(replace(PEER, asks=0))
    assert Preparation().wanted(replace(PEER, asks=7)) == 7
    begun = Preparation(7)
    assert not begun.wanted(replace(PEER, asks=7))
    assert begun.wanted(replace(PEER, asks=8)) == 8


def test_it_is_prepared_when_what_was_told_has_arrived() -> None:
    assert not Preparation().begun
    assert Preparation(7).begun
    assert Preparation(7).arrived(replace(PEER, seen=20)) == 0
    told = Preparation(7, 22)
    assert told.arrived(replace(PEER, seen=20)) == 0
    assert told.arrived(replace(PEER, seen=22)) == 7
    assert told.arrived(None) == 0
