"""The peer is what its last beat says, for as long as it beats."""

from dataclasses import replace
from typing import Any

import pytest

from appliance.pair import beat
from appliance.pair.peer import Peer
from appliance.vrrp import Role
from tests.unit.snapshots import PEER


def heard(now: float = 10.0) -> Peer:
    peer = Peer("backup")
    assert peer.take(beat.pack(PEER), now)
    return peer


def test_only_the_peers_beats_count() -> None:
    peer = Peer("backup")
    assert not peer.take(b"{}", 1.0)
    assert not peer.take(beat.pack(replace(PEER, node="master")), 1.0)
    assert peer.beat is None
    assert heard().beat == PEER


def test_it_falls_silent_once() -> None:
    peer = heard()
    assert not peer.fell_silent(10.0 + beat.BEAT_SILENCE)
    assert peer.fell_silent(10.1 + beat.BEAT_SILENCE)
    assert not peer.fell_silent(20.0)
    assert not peer.is_master
    assert peer.quiet(20.0) is None


def test_what_it_told_the_age_of_grows_older() -> None:
    peer = heard()
    assert peer.quiet(11.0) == pytest.approx(1.1)
    assert peer.still(11.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("said", "same"),
    [
        ({"digest": "new", "config": "other"}, True),
        ({"digest": "other", "config": "old"}, False),
        ({"schema": 7, "digest": "new", "config": ""}, True),
        # One that knows no schema tells its file by the former formula alone.
        ({"schema": 0, "digest": "", "config": "old"}, True),
        ({"schema": 0, "digest": "", "config": "other"}, False),
    ],
)
def test_whether_it_goes_by_the_same_file(said: dict[str, Any], same: bool) -> None:
    peer = Peer("backup")
    assert not peer.goes_by("new", "old")
    assert peer.take(beat.pack(replace(PEER, **said)), 1.0)
    assert peer.goes_by("new", "old") is same


def test_it_is_parted_where_the_lan_says_otherwise() -> None:
    peer = heard(now=10.0)
    assert peer.parted(Role.MASTER, became=9.0, last_advert=10.0, patience=0.4)
    assert not peer.parted(Role.MASTER, became=9.8, last_advert=10.0, patience=0.4)
    assert peer.parted(Role.BACKUP, became=0.0, last_advert=9.0, patience=0.4)
    assert not peer.parted(Role.BACKUP, became=0.0, last_advert=9.8, patience=0.4)
    peer.take(beat.pack(replace(PEER, role="BACKUP")), 10.0)
    assert not peer.parted(Role.MASTER, became=0.0, last_advert=0.0, patience=0.4)
