"""Flows that a new file no longer allows end, and whoever asked for it hears how many, when they have."""

import logging
from pathlib import Path

import pytest

from appliance.agent.loop import END_STEP
from appliance.conntrack import permissions
from appliance.conntrack.ending import Ended
from appliance.control.words import ApplyAnswer, ApplyRequest
from appliance.status import events

from .agent_stand_in import PORT, Living, Operator, asking, edit


@pytest.fixture
def node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Living:
    caplog.set_level(logging.INFO)
    return Living(monkeypatch, tmp_path)


GONE = Ended({"of ports that lead elsewhere or nowhere": 2, "that forward drops": 1})
TOLD = (
    "3 flows ended that the file no longer allows: 2 of ports that lead elsewhere or nowhere, "
    "1 that forward drops"
)


def test_flows_that_the_file_no_longer_allows_end_and_are_told_in_every_place(
    node: Living, caplog: pytest.LogCaptureFixture
) -> None:
    node.stand_by()
    before = permissions.of(node.agent.config)
    now = permissions.of(edit(node, {"nat:\n": PORT}))
    node.ends.ended = GONE
    answer = node.apply()
    assert answer == ApplyAnswer(changes=("~ table inet vgw",), told=(TOLD,))
    assert node.ends.begun == [(before, now)]
    assert TOLD in caplog.messages
    event = events.read(node.run_dir)[-1]
    assert (event.kind, event.now, event.sentence) == ("flows", "ended", TOLD)


def test_they_are_let_be_where_the_operator_says_so_or_the_file_says_nothing_new(
    node: Living,
) -> None:
    node.stand_by()
    edit(node, {"nat:\n": PORT})
    assert node.apply(keep_flows=True).told == ()
    edit(node, {"priority: 100": "priority: 120"})
    assert node.apply().told == ()
    assert node.ends.begun == []


def test_who_asked_is_answered_when_they_have_ended_and_others_after_that(node: Living) -> None:
    node.stand_by()
    edit(node, {"nat:\n": PORT})
    node.ends.ended = None
    first, second = Operator(ApplyRequest()), Operator(ApplyRequest())
    answered: list[int] = []

    def over() -> None:
        answered.append(len(first.answers) + len(second.answers))
        node.ends.ended = GONE

    node.live(
        (0.1, asking(first)),
        (0.2, asking(second)),
        (0.5, over),
        (0.5 + 2 * END_STEP, lambda: answered.append(len(first.answers))),
        (0.6, lambda: None),
    )
    assert answered == [0, 1], "nobody waits for the next look"
    assert first.answers[0].told == (TOLD,)
    assert second.answers == [ApplyAnswer()]


def test_where_they_cannot_be_ended_that_is_told_and_the_file_is_in_force(node: Living) -> None:
    node.stand_by()
    edit(node, {"nat:\n": PORT})
    node.ends.refuses = "python3: cannot be started: Cannot allocate memory"
    answer = node.apply()
    assert (answer.code, answer.changes) == (0, ("~ table inet vgw",))
    assert answer.told == (f"flows that the file no longer allows may go on: {node.ends.refuses}",)
    assert events.read(node.run_dir)[-1].now == "unknown"
