"""Does what we let in leave? What is concluded from counters, and what is not."""

import pytest

from appliance.filters.leaving import NO_NEWS, NONE_SETS_OUT, Leaving, judge
from appliance.planning.ruleset import FirstPackets


class Counted:
    """A second after the other: what sets out and what leaves in it, and what is concluded."""

    def __init__(self) -> None:
        self.now, self.memory = 1000.0, Leaving()
        self.counts: FirstPackets | None = FirstPackets(0, 0, 0, 0)
        self.second()

    def second(
        self,
        flows: int = 0,
        left: int = 0,
        pings: int = 0,
        pings_left: int = 0,
        *,
        changed: bool = False,
    ) -> bool:
        """One more; whether nothing leaves, as far as is known."""
        self.now += 1
        if self.counts:
            was = self.counts
            self.counts = FirstPackets(
                was.pings_set_out + pings,
                was.pings_left + pings_left,
                was.flows_set_out + flows,
                was.flows_left + left,
            )
        self.memory = judge(self.memory, self.counts, self.now, changed=changed)
        return self.memory.blocked


def test_three_first_packets_within_two_seconds_and_none_that_left_are_told() -> None:
    story = Counted()
    assert [story.second(flows=1) for _ in range(4)] == [False, False, True, True]
    assert not story.second(flows=1, left=1), "and it is over when one leaves"


def test_a_single_flow_that_asks_again_and_again_is_told_in_less_than_five_seconds() -> None:
    story = Counted()
    told = [story.second(flows=one) for one in (1, 1, 0, 1)]  # TCP: after 1 s, and 2 more
    assert told == [False, False, False, True]


def test_what_leaves_is_never_told_however_much_it_is() -> None:
    story = Counted()
    assert not any(story.second(flows=100, left=100, pings=3, pings_left=3) for _ in range(100))


def test_many_at_one_moment_are_not_told_before_it_lasts() -> None:
    story = Counted()
    assert [story.second(flows=500), story.second(), story.second()] == [False, False, True]


def test_pings_that_pass_do_not_hide_that_nothing_else_does() -> None:
    story = Counted()
    assert [story.second(flows=1, pings=1, pings_left=1) for _ in range(3)] == [False, False, True]


def test_pings_alone_count_where_nothing_else_sets_out() -> None:
    assert [*map(Counted().second, [0] * 2)] == [False] * 2
    story = Counted()
    assert [story.second(pings=1) for _ in range(3)] == [False, False, True]


def test_pings_that_somebody_drops_on_purpose_are_let_be_while_other_flows_leave() -> None:
    story = Counted()
    assert not any(story.second(flows=1, left=1, pings=1) for _ in range(60))


def test_where_some_are_dropped_on_purpose_a_few_in_a_row_prove_nothing() -> None:
    story = Counted()
    for _ in range(3):
        story.second(flows=1)
        story.second(flows=1, left=1)
    told = [story.second(flows=1) for _ in range(32)]
    assert told.index(True) == 30, "and many do, in half a minute"
    assert not story.second(flows=1, left=1)
    assert [story.second(flows=1, changed=at == 0) for at in range(3)] == [False, False, True], (
        "after a change nothing is known of any purpose"
    )


def test_a_ruleset_that_was_loaded_anew_counts_from_there_on() -> None:
    story = Counted()
    story.second(flows=5, left=5)
    story.second(flows=2)
    story.counts = FirstPackets(0, 0, 0, 0)
    assert not story.second()
    assert not story.second(flows=1, left=1)
    story.counts = None
    assert not story.second()
    story.counts = FirstPackets(0, 0, 7, 0)
    assert not story.second(), "what was counted while nobody looked is no news"


def test_a_node_that_leads_no_more_is_believed_again_after_a_while() -> None:
    story = Counted()
    assert [story.second(flows=1) for _ in range(3)][-1]
    assert all(story.second() for _ in range(int(NO_NEWS) - 1))
    assert not story.second()
    assert not story.second(flows=1, left=1)


@pytest.mark.parametrize("after", [1, 4, 20])
def test_or_soon_where_somebody_has_changed_a_filter_since(after: int) -> None:
    story = Counted()
    assert [story.second(flows=1) for _ in range(3)][-1]
    told = [story.second(changed=second == after) for second in range(1, 30)]
    assert told.index(False) + 1 == max(int(NONE_SETS_OUT), after + 1)


def test_a_change_while_flows_set_out_proves_nothing() -> None:
    story = Counted()
    for _ in range(3):
        story.second(flows=1)
    assert story.second(flows=1, changed=True)
