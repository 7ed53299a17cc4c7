"""What the agents tell each other arrives as it was said, or not at all."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.pair import beat
from appliance.pair.beat import Beat
from tests.unit.snapshots import PEER

# What a node of 01f73eb says, packed by its own code.
RECORDED = (
    b'{"node": "backup", "role": "BACKUP", "ready": true, "reason": "all is well", "priority": 90, '
    b'"entries": 1000, "quiet": 0.1, "still": 0.0, "generation": 17, "canary": 0, '
    b'"seen": 3528451200, "replicas": true, "asks": 0, "prepared": 0, "config": "6a5ccd8c30f0"}'
)
# What is not a control character, half of a surrogate pair or an odd kind of space.
PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
BEATS = st.builds(
    Beat,
    node=st.text(PRINTABLE, max_size=40),
    role=st.sampled_from(["MASTER", "BACKUP", "FAULT"]),
    ready=st.booleans(),
    reason=st.text(PRINTABLE, max_size=60),
    priority=st.integers(1, 254),
    entries=st.integers(0, 10**6),
    quiet=st.none() | st.floats(0, 1e6),
    still=st.none() | st.floats(0, 1e6),
    generation=st.integers(0, 99),
    canary=st.integers(0, 99),
    seen=st.integers(0, 99),
    replicas=st.booleans(),
    asks=st.integers(0, 99),
    prepared=st.integers(0, 99),
    config=st.text(PRINTABLE, max_size=40),
    schema=st.integers(0, 99),
    version=st.text(PRINTABLE, max_size=40),
    digest=st.text(PRINTABLE, max_size=40),
)


@given(BEATS)
def test_a_beat_there_and_back(one: Beat) -> None:
    assert beat.unpack(beat.pack(one)) == one


@given(BEATS, st.text(PRINTABLE, min_size=1))
def test_of_a_reason_too_long_for_a_datagram_the_beginning_arrives(one: Beat, word: str) -> None:
    said = replace(one, reason=word * 2000)
    heard = beat.unpack(beat.pack(said))
    assert heard is not None
    assert heard.reason and said.reason.startswith(heard.reason)
    assert replace(heard, reason=said.reason) == said


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr).map(str.encode)
)
def test_no_datagram_is_too_strange(datagram: bytes) -> None:
    assert beat.unpack(datagram) is None


def test_a_beat_of_another_version_may_say_more_and_less() -> None:
    words = beat.pack(PEER)
    assert beat.unpack(words.replace(b"{", b'{"news": 1, ', 1)) == PEER
    assert beat.unpack(words.replace(b'"canary"', b'"goose"')) == replace(PEER, canary=0)
    assert beat.unpack(words.replace(b'"schema": 1', b'"schema": 7')) == replace(PEER, schema=7)
    assert beat.unpack(words.replace(b'"entries": 1000', b'"entries": "many"')) is None


@pytest.mark.parametrize("name", ["node", "role", "ready", "priority", "entries"])
def test_what_no_version_leaves_out_makes_a_beat(name: str) -> None:
    assert beat.unpack(beat.pack(PEER).replace(f'"{name}"'.encode(), b'"other"')) is None


def test_a_beat_of_01f73eb_is_taken_whole() -> None:
    heard = beat.unpack(RECORDED)
    assert heard == Beat(
        node="backup",
        role="BACKUP",
        ready=True,
        reason="all is well",
        priority=90,
        entries=1000,
        quiet=0.1,
        still=0.0,
        generation=17,
        seen=3528451200,
        replicas=True,
        config="6a5ccd8c30f0",
    )
    assert (heard.schema, heard.version, heard.digest) == (0, "", "")


def test_a_node_of_01f73eb_finds_in_ours_what_it_asks_for() -> None:
    said = json.loads(beat.pack(PEER))
    for name, value in json.loads(RECORDED).items():
        # It asks for each of these words, and for the very type.
        assert type(said[name]) is type(value), name
    assert len(beat.pack(replace(PEER, reason="x" * 4000))) <= 2048, "more it does not read"
