"""What conntrackd is told: who owns the entries, and that an interrupted agent does no harm."""

import itertools

import pytest

from appliance.conntrack.orders import Order
from appliance.pair.steps import Settled, steps
from appliance.vrrp import Role


def test_a_master_owns_its_entries_and_anybody_else_none() -> None:
    assert steps(None, Role.MASTER, 7) == (Order.DISOWN, Order.OWN)
    for role in (Role.BACKUP, Role.FAULT):
        assert steps(None, role, 7) == (Order.DISOWN, Order.REQUEST)
        assert steps(Settled(Role.MASTER, 7), role, 7) == (Order.DISOWN,)
        assert steps(Settled(Role.BACKUP, 7), role, 7) == ()
        assert steps(Settled(Role.BACKUP, 7), role, 8) == (Order.DISOWN, Order.REQUEST)
    assert steps(Settled(Role.MASTER, 7), Role.MASTER, 7) == ()
    assert steps(Settled(Role.MASTER, 7), Role.MASTER, 8) == (Order.DISOWN, Order.OWN)
    assert steps(Settled(Role.BACKUP, 7), Role.MASTER, 7) == (Order.DISOWN, Order.OWN)


def test_without_conntrackd_there_is_nothing_to_tell() -> None:
    for settled in (None, Settled(Role.MASTER, 7)):
        for role in Role:
            assert steps(settled, role, 0) == ()


def owner(taken: tuple[Order, ...], owns: bool) -> bool:
    """Whether conntrackd believes to own the table, after these steps."""
    for step in taken:
        owns = {Order.DISOWN: False, Order.OWN: True}.get(step, owns)
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
