"""A soak's pure parts: faults by an integer, the judge of silent outages, and the least that still breaks."""

from pathlib import Path

import pytest

from appliance import ApplianceError
from appliance.config.gateway_file import ConfigErrors
from vgw_lab.simulation.least import fewer, least
from vgw_lab.soak import grammar, silence
from vgw_lab.soak.deeds import edited
from vgw_lab.soak.grammar import Fault
from vgw_lab.soak.kinds import KINDS
from vgw_lab.soak.silence import Outage, Struck, Word
from vgw_lab.worlds import topology

NAMES = tuple(KINDS)
POWER, CABLE, AGENT = (
    Fault("power", 0, 6.0),
    Fault("lan cable", 1, 3.0),
    Fault("kill agent", 0, 0.3),
)


def test_one_integer_stands_for_the_same_faults_again() -> None:
    assert grammar.faults(7, 40, NAMES) == grammar.faults(7, 40, NAMES)
    assert grammar.faults(7, 40, NAMES)[:10] == grammar.faults(7, 10, NAMES)
    assert grammar.faults(7, 40, NAMES) != grammar.faults(8, 40, NAMES)


def test_every_kind_comes_on_either_node_and_some_come_two_at_a_time() -> None:
    many = grammar.faults(1, 2000, NAMES)
    assert {(one.kind, one.node) for one in many} == {(kind, n) for kind in KINDS for n in (0, 1)}
    sizes = [len(one) for one in grammar.rounds(many)]
    assert set(sizes) == {1, 2}
    assert 0.15 < sizes.count(2) / len(many) < 0.35


def test_what_is_left_of_two_at_a_time_is_alone() -> None:
    late = Fault("lan cable", 1, 3.0, beside=1.5)
    assert grammar.rounds([POWER, late, AGENT]) == [(POWER, late), (AGENT,)]
    assert grammar.rounds([late, AGENT]) == [(CABLE,), (AGENT,)]


def test_faults_are_read_as_they_are_written() -> None:
    many = grammar.faults(3, 50, NAMES)
    assert grammar.read(grammar.written(many), NAMES) == many


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nosuch,0,3", "'nosuch' is no fault here; there are power, "),
        ("power,2,3", "'power,2,3' is no fault; write KIND,NODE,SECONDS"),
        ("power,0", "'power,0' is no fault; write"),
        ("power,0,x", "'power,0,x' is no fault; write"),
    ],
)
def test_what_is_no_fault_is_refused_with_how_one_is_written(text: str, sentence: str) -> None:
    with pytest.raises(ApplianceError, match=sentence):
        grammar.read(text, NAMES)


def test_the_reference_has_every_kind() -> None:
    reference = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in reference] == []


@pytest.mark.parametrize("how", ["another", "other pair", "own"])
def test_a_file_that_is_edited_is_one_that_a_gateway_takes(how: str) -> None:
    text = topology.gateway_yaml()
    assert (edited(text, how) == text) == (how == "own")
    topology.from_yaml(edited(text, how))


def test_a_broken_file_is_refused() -> None:
    with pytest.raises(ConfigErrors):
        topology.from_yaml(edited(topology.gateway_yaml(), "broken"))


# I9. Machines behind got no answer from 10 to 20 s.


WELL = (Word(0.0, "master", ""), Word(0.0, "backup", ""))
OUTAGE = Outage((10.0, 20.0), "noeud1 got no answer")


def broken(*words: Word, outage: Outage = OUTAGE, struck: Struck | None = None) -> list[str]:
    found = silence.judge([outage], [*WELL, *words], [struck] if struck else [], 0.0)
    return [one.kind for one in found]


def test_an_outage_that_nobody_tells_breaks_it_and_the_sentence_says_for_how_long() -> None:
    (found,) = silence.judge([OUTAGE], WELL, [], 0.0)
    assert found.kind == "I9, untold"
    assert found.sentence.startswith(
        "noeud1 got no answer for 10.0 s, from 10.0 s on, and for 7.0 s no `vgw health` said so"
    )


def test_a_short_outage_need_not_be_told() -> None:
    assert not broken(outage=Outage((10.0, 12.9), ""))


@pytest.mark.parametrize("node", ["master", "backup"])
def test_either_health_tells(node: str) -> None:
    assert not broken(Word(12.0, node, "the LAN is dead"))
    assert not broken(Word(4.0, node, "the LAN is dead"))


def test_what_is_told_late_or_not_to_the_end_breaks_it() -> None:
    assert not broken(Word(14.2, "master", "late by the agent's beat alone"))
    assert broken(Word(15.0, "master", "too late")) == ["I9, untold"]
    told = (Word(11.0, "backup", "for a while"), Word(16.0, "backup", ""))
    assert broken(*told) == ["I9, untold"]
    assert not broken(*told, Word(15.5, "master", "and the other goes on"))


def test_who_cannot_be_asked_is_not_held_to_have_kept_silent() -> None:
    off = (Word(9.0, "master", None), Word(9.0, "backup", None))
    assert not broken(*off)
    assert broken(*off, Word(14.0, "backup", "")) == ["I9, untold"]


def test_what_the_internet_does_not_answer_is_no_outage_of_the_pair() -> None:
    assert not broken(struck=Struck((9.5, 20.5), cuts=True))
    assert broken(struck=Struck((9.5, 13.0), cuts=True)) == ["I9, untold"]


def test_a_cause_that_a_person_does_not_accept_breaks_it() -> None:
    pulled = Struck((9.9, 20.0), causes=("LAN", "eth1"))
    assert broken(Word(11.0, "master", "the clock is wrong"), struck=pulled) == ["I9, cause"]
    assert not broken(Word(11.0, "master", "eth1 has no carrier"), struck=pulled)
    later = Struck((30.0, 40.0), causes=("LAN", "eth1"))
    assert not broken(Word(11.0, "master", "the clock is wrong"), struck=later)


def test_beside_a_fault_that_may_be_told_anyhow_any_cause_will_do() -> None:
    pulled, parted = Struck((9.9, 20.0), causes=("eth1",)), Struck((9.8, 20.0))
    words = [*WELL, Word(11.0, "master", "the LAN is parted")]
    assert [one.kind for one in silence.judge([OUTAGE], words, [pulled], 0.0)] == ["I9, cause"]
    assert not list(silence.judge([OUTAGE], words, [pulled, parted], 0.0))


# The least that still breaks.


def test_of_many_faults_the_two_at_a_time_that_break_are_left_and_last_no_longer_than_they_must() -> (
    None
):
    late = Fault("lan cable", 1, 12.0, beside=1.5)
    many = (*grammar.faults(5, 12, ("kill agent", "restart")), Fault("power", 0, 6.0), late)
    tried = []

    def breaks(faults: tuple[Fault, ...]) -> str | None:
        tried.append(faults)
        for one in grammar.rounds(faults):
            kinds = {fault.kind: fault.seconds for fault in one}
            if kinds.keys() == {"power", "lan cable"} and kinds["lan cable"] >= 3.0:
                return "broken"
        return None

    found, how = least(many, "", grammar.shorter, breaks, 60)
    assert grammar.written(found) == "power,0,0.3;lan cable,1,3,1.5"
    assert how == "broken"
    assert tried[0] == many[-2:], "the last round alone is tried first"
    assert len(tried) <= 60


def test_no_more_is_tried_than_is_allowed() -> None:
    tried: list[list[int]] = []
    found, _ = least([1, 2, 3, 4, 5], "", fewer, tried.append, 3)
    assert (found, len(tried)) == ([1, 2, 3, 4, 5], 3)
