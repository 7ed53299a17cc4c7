"""The role is what is so; a line of the FIFO is a hint and nothing more."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.model import Role
from appliance.pair.failover import (
    Notice,
    Settled,
    Sight,
    State,
    Step,
    decide,
    notice,
    role_of,
    steps,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('INSTANCE "VI_1" MASTER 100', Notice("VI_1", "MASTER", 100)),
        ('INSTANCE "VI_1" FAULT 90\n', Notice("VI_1", "FAULT", 90)),
        ('INSTANCE "VI_1" MASTER_RX_LOWER_PRI 100', Notice("VI_1", "MASTER_RX_LOWER_PRI", 100)),
        ('GROUP "G" MASTER 0', None),
        ('INSTANCE "VI_1" MASTER', None),
        ("INSTANCE VI_1 MASTER 100", None),
        ("", None),
    ],
)
def test_fifo_lines(line: str, expected: Notice | None) -> None:
    assert notice(line) == expected


@given(st.text())
def test_no_line_is_too_strange(line: str) -> None:
    notice(line)


@pytest.mark.parametrize(
    ("holds_vgw", "ready", "links_up", "role"),
    [
        (True, True, True, Role.MASTER),
        (True, False, False, Role.MASTER),
        (False, True, True, Role.BACKUP),
        (False, False, True, Role.FAULT),
        (False, True, False, Role.FAULT),
    ],
)
def test_role(*, holds_vgw: bool, ready: bool, links_up: bool, role: Role) -> None:
    assert role_of(Sight(holds_vgw, ready, links_up)) is role


def test_a_decision_is_told_once_with_its_reason_and_cause() -> None:
    state, sentence = decide(State(), Sight(False, True, True), "read at start", 10.0)
    assert (state.role, state.since, state.changes) == (Role.BACKUP, 10.0, 1)
    assert sentence == (
        "now BACKUP: the peer is to carry the VGW; this node stands by (read at start)"
    )
    assert decide(state, Sight(False, True, True), "found by looking", 11.0) == (state, None)
    state, sentence = decide(state, Sight(True, True, True), "keepalived said MASTER", 12.5)
    assert state.changes == 2
    assert sentence == (
        "now MASTER: this node holds the VGW (keepalived said MASTER, was BACKUP for 2.5 s)"
    )


def test_every_role_follows_from_every_other_and_has_a_sentence() -> None:
    sights = [Sight(*flags) for flags in itertools.product((True, False), repeat=3)]
    for first, second in itertools.product(sights, repeat=2):
        state, _ = decide(State(), first, "a", 0.0)
        following, sentence = decide(state, second, "b", 1.0)
        assert following.role is role_of(second)
        assert (sentence is None) == (role_of(first) is role_of(second))


def test_a_master_owns_its_entries_and_anybody_else_none() -> None:
    assert steps(None, Role.MASTER, 7) == (Step.DISOWN, Step.OWN)
    for role in (Role.BACKUP, Role.FAULT):
        assert steps(None, role, 7) == (Step.DISOWN, Step.REQUEST)
        assert steps(Settled(Role.MASTER, 7), role, 7) == (Step.DISOWN,)
        assert steps(Settled(Role.BACKUP, 7), role, 7) == ()
        assert steps(Settled(Role.BACKUP, 7), role, 8) == (Step.DISOWN, Step.REQUEST)
    assert steps(Settled(Role.MASTER, 7), Role.MASTER, 7) == ()
    assert steps(Settled(Role.MASTER, 7), Role.MASTER, 8) == (Step.DISOWN, Step.OWN)
    assert steps(Settled(Role.BACKUP, 7), Role.MASTER, 7) == (Step.DISOWN, Step.OWN)


def test_without_conntrackd_there_is_nothing_to_tell() -> None:
    for settled in (None, Settled(Role.MASTER, 7)):
        for role in Role:
            assert steps(settled, role, 0) == ()


def owner(taken: tuple[Step, ...], owns: bool) -> bool:
    """Whether conntrackd believes to own the table, after these steps."""
    for step in taken:
        owns = {Step.DISOWN: False, Step.OWN: True}.get(step, owns)
    return owns


@pytest.mark.parametrize("before", [None, *itertools.product([None, *Role], (7, 8))])
@pytest.mark.parametrize("role", Role)
def test_an_agent_that_died_between_any_two_steps_is_made_good_by_the_next(
    before: tuple[Role | None, int] | None, role: Role
) -> None:
    # conntrackd 8 runs. What is noted of it is true, of any other nothing is known.
    settled = Settled(*before) if before else None
    due = steps(settled, role, 8)
    known = settled.role if settled and settled.generation == 8 else None
    for owned in [known is Role.MASTER] if known else [True, False]:
        for died_after, later in itertools.product(range(len(due) + 1), Role):
            # That the steps have begun is noted before the first, that they are taken after the last.
            noted = Settled(None, 8) if due else settled
            again = steps(noted, later, 8)
            assert owner(again, owner(due[:died_after], owned)) is (later is Role.MASTER)
