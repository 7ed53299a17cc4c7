"""The role is what is so; a line of the FIFO is a hint and nothing more."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.agent.roles import RoleSight, RoleState, announced, decide, flickered, role_of
from appliance.vrrp import Role


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('INSTANCE "VI_1" MASTER 100', "MASTER"),
        ('INSTANCE "VI_1" FAULT 90\n', "FAULT"),
        ('INSTANCE "VI_1" MASTER_RX_LOWER_PRI 100', "MASTER_RX_LOWER_PRI"),
        ('GROUP "G" MASTER 0', None),
        ('INSTANCE "VI_1" MASTER', None),
        ("INSTANCE VI_1 MASTER 100", None),
        ("", None),
    ],
)
def test_fifo_lines(line: str, expected: str | None) -> None:
    assert announced(line) == expected


@pytest.mark.parametrize(
    ("states", "was_master"),
    [
        (["MASTER", "BACKUP"], True),
        (["BACKUP", "MASTER", "MASTER_RX_LOWER_PRI", "FAULT"], True),
        (["MASTER"], False),  # the VGW may be put a moment later
        (["FAULT", "BACKUP", "MASTER"], False),
        (["BACKUP"], False),
        (["MASTER_RX_LOWER_PRI", "BACKUP"], False),
        ([], False),
    ],
)
def test_who_was_master_between_two_looks_is_known_by_keepalived_alone(
    states: list[str], was_master: bool
) -> None:
    assert flickered([f'INSTANCE "VI_1" {state} 100' for state in states]) is was_master


@given(st.text())
def test_no_line_is_too_strange(line: str) -> None:
    announced(line)


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
    assert role_of(RoleSight(holds_vgw, ready, links_up)) is role


def test_a_decision_is_told_once_with_its_reason_and_cause() -> None:
    state, sentence = decide(RoleState(), RoleSight(False, True, True), "read at start", 10.0)
    assert (state.role, state.since, state.changes) == (Role.BACKUP, 10.0, 1)
    assert sentence == (
        "now BACKUP: the peer is to carry the VGW; this node stands by (read at start)"
    )
    assert decide(state, RoleSight(False, True, True), "found by looking", 11.0) == (state, None)
    state, sentence = decide(state, RoleSight(True, True, True), "keepalived said MASTER", 12.5)
    assert state.changes == 2
    assert sentence == (
        "now MASTER: this node holds the VGW (keepalived said MASTER, was BACKUP for 2.5 s)"
    )


def test_every_role_follows_from_every_other_and_has_a_sentence() -> None:
    sights = [
        RoleSight(holds_vgw=holds, ready=ready, links_up=up)
        for holds, ready, up in itertools.product((True, False), repeat=3)
    ]
    for first, second in itertools.product(sights, repeat=2):
        state, _ = decide(RoleState(), first, "a", 0.0)
        following, sentence = decide(state, second, "b", 1.0)
        assert following.role is role_of(second)
        assert (sentence is None) == (role_of(first) is role_of(second))
