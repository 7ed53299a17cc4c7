"""Whatever comes in on the sync link is no beat, or one that every reader of beats can use."""

import json
from dataclasses import asdict, fields, replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.pair import beat, degraded, judgement, pair_status, readiness
from appliance.pair.beat import Beat
from appliance.pair.peer import Peer
from appliance.pair.progress import Progress
from appliance.status import metrics
from appliance.status.node_status import from_json, to_json
from appliance.status.rows import rows
from appliance.vrrp import Role

from .facts import FACTS
from .snapshots import PEER, STANDBY, at
from .test_beat import BEATS

NOW = 1_767_225_600  # the first second of 2026: canaries and requests begin at the time of day
# What an attacker would write, for hypothesis seldom finds it.
UNBOUNDED: tuple[Any, ...] = (
    *(10**400, -(10**400), 2**64, -1),
    *(float("nan"), float("inf"), float("-inf"), 1e308, -0.1),
    *("\x1b[2J", "a\nb", "\ud800", "\u202e", "x" * 3000, [], {}),
)
HOSTILE = (*UNBOUNDED, 2**31, 256, True, 5e-324, "x" * 1500, "MASTER", "LEADER", "")
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.sampled_from(HOSTILE) | st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4
)
NAMES = tuple(field.name for field in fields(Beat))
CHANGED = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=len(NAMES))


def datagram(**changed: object) -> bytes:
    """The peer's beat with some of its words changed, in bounds or not."""
    return json.dumps(asdict(PEER) | changed).encode()


def read_everywhere(peer: Beat) -> None:
    """Have all that reads a beat read this one."""
    for role in Role:
        facts = FACTS._replace(role=role, peer=peer, peers_quiet=peer.quiet)
        facts = facts._replace(peers_still=peer.still, parted=True)
        for fresh, now in product((True, False), (1.0, readiness.REPLICAS_PATIENCE + 1)):
            before = readiness.Readiness(0.0)
            state, _ = readiness.judge(before, facts, now, fresh=fresh)
            readiness.learned(before, state, facts, now)
        for overrun in (False, True):
            progress = Progress(fresh=True, waited=9.0, settling=True, overrun=overrun)
            degraded.why(facts, progress, "")
            degraded.behind(facts, progress)
        memory = judgement.begin(None, ready=True, even=True, seconds=NOW, now=0.0)
        for now in (1.0, 2.0):
            memory, _ = judgement.follow(memory, facts, now)
    snapshot = STANDBY._replace(pair=STANDBY.pair._replace(peer=pair_status.peer(peer)))
    text = to_json(snapshot)
    json.loads(text, parse_constant=pytest.fail)
    assert from_json(text) == snapshot
    metrics.text(snapshot, at(1060.0)).encode()
    for _, value in rows(snapshot, at(1060.0)):
        assert value.isprintable()
        value.encode()


@given(CHANGED)
def test_any_datagram_is_no_beat_or_one_that_all_can_read(changed: dict[str, Any]) -> None:
    found = beat.unpack(datagram(**changed))
    if found:
        read_everywhere(found)


@given(BEATS)
def test_all_can_read_what_a_node_says(said: Beat) -> None:
    read_everywhere(said)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", UNBOUNDED, ids=ascii)
def test_every_word_of_a_beat_has_bounds(name: str, value: object) -> None:
    assert beat.unpack(datagram(**{name: value})) is None


def test_a_number_of_400_digits_ends_no_agent() -> None:
    peer = Peer(PEER.node)
    assert not peer.take(datagram(entries=10**400), 1.0)
    assert peer.beat is None


@pytest.mark.parametrize(
    "said",
    [
        {"canary": 2 * NOW + 1, "seen": 2 * NOW, "asks": NOW, "prepared": NOW + 3},
        {"canary": 2 * (NOW + 50 * 366 * 86400), "asks": NOW + 50 * 366 * 86400},
        {"entries": 2**31 - 1, "generation": 2**22, "priority": 254},
        {"priority": 1, "entries": 0, "generation": 0, "quiet": None, "still": None},
        {"quiet": 0.0, "still": 400 * 86400.0, "reason": "", "role": "FAULT", "ready": False},
        {"node": "n" * 63},
    ],
)
def test_what_a_node_can_say_is_heard(said: dict[str, Any]) -> None:
    assert beat.unpack(datagram(**said)) == replace(PEER, **said)


@pytest.mark.parametrize(
    "said",
    [
        {"canary": 10**18},  # would be waited for without end
        {"canary": 50_000 * 10**9},
        {"seen": 50_000 * 10**9},
        {"asks": 10**12},
        {"priority": 255},
        {"generation": 2**22 + 1},
        {"ready": 1},
        {"replicas": "yes"},
        {"quiet": 0},
        {"role": "LEADER"},
        {"config": "a" * 65},
        {"digest": "a" * 65},
        {"version": "1" * 65},
        {"schema": 2**16 + 1},
    ],
)
def test_what_no_node_says_is_not(said: dict[str, Any]) -> None:
    assert beat.unpack(datagram(**said)) is None
