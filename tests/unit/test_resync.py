"""A request waits for its preparation, and for nobody else."""

from dataclasses import replace

from appliance.pair.resync import ALONE, PATIENCE, Preparation, Request
from tests.unit.test_beat import PEER


def test_a_request_waits_until_the_master_has_prepared_it() -> None:
    request = Request(6)
    assert not request.due(PEER, 1.0), "nothing is asked for"
    request.ask(1.0)
    assert request.open == 7
    assert not request.due(replace(PEER, prepared=6), 1.5)
    assert request.due(replace(PEER, prepared=7), 1.5)


def test_a_request_does_not_wait_for_ever() -> None:
    request = Request(6)
    request.ask(1.0)
    assert not request.due(PEER, 1.0 + PATIENCE)
    assert request.due(PEER, 1.5 + PATIENCE)
    for nobody in (None, replace(PEER, role="BACKUP", prepared=7)):
        assert not request.due(nobody, 1.0 + ALONE)
        assert request.due(nobody, 1.5 + ALONE)


def test_each_request_is_prepared_once() -> None:
    preparation = Preparation()
    assert not preparation.begin(None)
    assert not preparation.begin(replace(PEER, asks=0))
    asking = replace(PEER, asks=7)
    assert preparation.begin(asking)
    assert not preparation.begin(asking)
    assert preparation.begin(replace(PEER, asks=8))


def test_it_is_prepared_when_what_was_told_has_arrived() -> None:
    preparation = Preparation()
    preparation.begin(replace(PEER, asks=7, seen=20))
    assert preparation.arrived(replace(PEER, seen=20)) == 0
    preparation.barrier = 22
    assert preparation.arrived(replace(PEER, seen=20)) == 0
    assert preparation.arrived(replace(PEER, seen=22)) == 7
    assert preparation.arrived(None) == 0
