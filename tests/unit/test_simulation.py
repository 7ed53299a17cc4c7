"""A pair in a simulated world: every invariant holds in many histories, and a rule taken away breaks one."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from appliance.pair import (
    degraded,
    election,
    judgement,
    progress,
    readiness,
    replication,
    replication_standby,
)
from appliance.pair import steps as pair_steps
from appliance.pair.canaries import Canaries
from appliance.pair.election import Election, ElectionSight, Judgement
from appliance.pair.facts import Facts
from appliance.pair.replication_state import Replication
from appliance.pair.steps import Settled
from vgw_lab.simulation import __main__ as program
from vgw_lab.simulation import shrink, story
from vgw_lab.simulation.faults import KINDS, Fault
from vgw_lab.simulation.histories import History, Violation, tell

# The judgement's own tests reach its lines, and a history runs twice as fast so.
pytestmark = pytest.mark.no_cover
# As many as take about three seconds; `make simulate` lives through 50,000.
HISTORIES = 36
PARTS = 4
Patch = Callable[[pytest.MonkeyPatch], None]


def history(*faults: tuple[float, str, int, float], kind: str = "standard") -> History:
    return History(kind, 1, tuple(Fault(*fault) for fault in faults))


@pytest.mark.parametrize("part", range(PARTS))
def test_every_invariant_holds_whatever_happens(part: int) -> None:
    size = HISTORIES // PARTS
    for seed in range(part * size, (part + 1) * size):
        one = History.of(seed)
        assert tell(one) is None, story.written(one)


@pytest.mark.parametrize("kind", KINDS)
def test_no_single_fault_of_the_grammar_breaks_anything(kind: str) -> None:
    one = history((12.0, kind, 0, 3.0))
    assert tell(one) is None, story.written(one)


def test_one_integer_tells_the_same_history_again() -> None:
    assert History.of(7) == History.of(7)
    assert story.written(History.of(7)) == story.written(History.of(7))


# Rules of the judgement, each taken away.


def nobody_is_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(readiness, "_alone", lambda facts: "")


def a_dead_way_out_is_no_reason(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(readiness, "_way_out", lambda state, facts, now: "")


def nobody_waits_for_replicas(patch: pytest.MonkeyPatch) -> None:
    def at_once(
        state: readiness.Readiness, *_: object, **__: object
    ) -> tuple[readiness.Readiness, str]:
        return replace(state, caught_up=True), ""

    patch.setattr(readiness, "_catch_up", at_once)


def no_ruleset_is_no_reason(patch: pytest.MonkeyPatch) -> None:
    judge = readiness.judge

    def blind(state: readiness.Readiness, facts: Facts, now: float, **words: bool) -> Any:
        return judge(state, facts._replace(ruleset=True), now, **words)

    patch.setattr(readiness, "judge", blind)


def who_was_master_owns_for_ever(patch: pytest.MonkeyPatch) -> None:
    steps = pair_steps.steps

    def owning(settled: Settled | None, role: Any, generation: int) -> Any:
        due = steps(settled, role, generation)
        return () if settled and settled.role == "MASTER" and role != "MASTER" else due

    patch.setattr(replication, "steps", owning)


def a_deaf_keepalived_is_left_alone(patch: pytest.MonkeyPatch) -> None:
    def idle(state: Election, sight: ElectionSight, now: float) -> Judgement:
        return Judgement(state)

    patch.setattr(election, "judge", idle)


def nothing_is_degraded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(degraded, "why", lambda *_: "")
    patch.setattr(degraded, "behind", lambda *_: "")


def an_emptied_table_is_not_noticed(patch: pytest.MonkeyPatch) -> None:
    """By neither of two ways: a canary that is gone, and the count of entries."""

    def as_it_is(state: Replication, facts: Facts, now: float) -> Replication:
        return state

    patch.setattr(replication_standby, "_count_entries", as_it_is)
    patch.setattr(replication, "_emptied", as_it_is)


def what_was_missed_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    noted = replication._noted

    def forgetful(state: Replication, facts: Facts, now: float) -> Replication:
        return replace(noted(state, facts, now), gap=False)

    patch.setattr(replication, "_noted", forgetful)


def an_overtaken_canary_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Canaries, "overtaken", lambda canaries, now: frozenset())


def a_failback_waits_for_no_canary(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(progress, "_up_to", lambda state, facts: math.inf)


def canaries_begin_by_the_clock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Canaries, "acknowledged", lambda canaries, seen: canaries)


def a_failing_judgement(patch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyError("backup")

    patch.setattr(judgement, "_health", fails)


BITES: list[tuple[Patch, str, History]] = [
    (nobody_is_alone, "two holders", history((10.0, "lan parts", 0, 12.0))),
    (a_dead_way_out_is_no_reason, "nobody serves", history((10.0, "way out dead", 0, 15.0))),
    (no_ruleset_is_no_reason, "nobody serves", history((10.0, "rules refused", 0, 9.0))),
    (nobody_waits_for_replicas, "ready without replicas", history((10.0, "restart", 1, 0.0))),
    (
        who_was_master_owns_for_ever,
        "peer ends a flow",
        history((10.0, "switchover", 0, 0.0), (16.0, "table flushed", 0, 0.0)),
    ),
    (
        a_deaf_keepalived_is_left_alone,
        "silent outage",
        history((8.0, "lan anew", 1, 0.0), (14.0, "power", 0, 30.0)),
    ),
    (nothing_is_degraded, "lack untold", history((10.0, "freeze conntrackd", 1, 30.0))),
    (an_emptied_table_is_not_noticed, "lack untold", history((10.0, "table flushed", 1, 0.0))),
    (
        what_was_missed_is_forgotten,
        "planned move breaks flows",
        history((8.0, "sync cable", 1, 18.0), (28.0, "switchover", 0, 0.0)),
    ),
    (
        an_overtaken_canary_is_forgotten,
        "planned move breaks flows",
        history((12.0, "freeze conntrackd", 1, 14.0), (27.5, "switchover", 0, 0.0)),
    ),
    (
        a_failback_waits_for_no_canary,
        "planned move breaks flows",
        history((12.0, "kill keepalived", 0, 0.0), (14.7, "freeze conntrackd", 0, 2.0)),
    ),
    (
        canaries_begin_by_the_clock,
        "a clock decides",
        history(
            (8.0, "clock behind", 0, 0.0),
            (9.0, "restart", 0, 0.0),
            (30.0, "freeze conntrackd", 1, 15.0),
        ),
    ),
    (a_failing_judgement, "no exception", history()),
]


@pytest.mark.parametrize(
    ("patch", "invariant", "told"), [pytest.param(*one, id=one[0].__name__) for one in BITES]
)
def test_a_rule_taken_away_breaks_an_invariant(
    patch: Patch, invariant: str, told: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tell(told) is None, story.written(told)
    patch(monkeypatch)
    violation = tell(told)
    assert violation, story.written(told)
    assert violation.invariant == invariant, story.written(told)


def test_a_violation_is_told_by_the_shortest_history_that_has_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody_is_alone(monkeypatch)
    long = history(
        (8.3, "stale beat", 1, 0.0),
        (9.4, "lan parts", 0, 17.0),
        (30.0, "kill agent", 1, 0.0),
        kind="fast",
    )
    violation = tell(long)
    assert violation
    short, violation = shrink.shortest(long, violation)
    assert [(fault.kind, fault.at) for fault in short.faults] == [("lan parts", 7.0)]
    assert short.faults[0].seconds < 17.0
    assert short.kind == "standard"
    text = story.written(short)
    for word in (
        "master is alone on its side",
        "backup believes: MASTER",
        "BROKEN after",
        "Again: ",
    ):
        assert word in text
    arguments = story.replay(short).removeprefix(story.PROGRAM).replace("'", "")
    words = [
        word
        for part in arguments.split(" --")
        if part
        for word in (f"--{part.partition(' ')[0]}", part.partition(" ")[2])
    ]
    monkeypatch.setattr("sys.argv", ["simulation", *words])
    program.main()
    assert "two holders" in capsys.readouterr().out


def test_many_histories_are_told_by_their_number_and_what_broke(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["simulation", "--histories", "2", "--processes", "1"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 0
    assert "2 histories of a minute, 0 violations" in capsys.readouterr().out
    assert story.replay(History.of(3)) == f"{story.PROGRAM} --replay 3"
    assert (
        story.ending(Violation("two holders", 3.0, "both"))
        == "BROKEN after 3.000 s: two holders: both"
    )
