"""Which programs are started again, and which take the node with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.pair.election import KEEPALIVED_RESTART_INTERVAL
from appliance.pair.replication import CONNTRACKD_RESTART_INTERVAL
from appliance.processes.deaths import BY_ITSELF, BY_SIGNAL, Death, given_up


def given_up_after(spaces: list[float], *, by_signal: bool = False) -> int | None:
    """The number of the death after which a program is given up that dies at such intervals."""
    now, died = 1000.0, []
    for number, space in enumerate(spaces, start=1):
        now += space
        died.append(Death(now, by_signal))
        if given_up(died, now):
            return number
    return None


@given(st.lists(st.floats(0.0, 14.0), min_size=10, max_size=10))
def test_a_program_that_fails_again_and_again_is_given_up_however_slow_its_start(
    spaces: list[float],
) -> None:
    assert given_up_after(spaces) == 5


def test_the_reason_says_how_it_died_how_often_and_in_what_time() -> None:
    died = [Death(1000.0 + number, by_signal=False) for number in range(5)]
    assert given_up(died[:4], 1003.0) == ""
    assert given_up(died, 1004.0) == "it ended by itself 5 times within 60 s"


def test_a_program_that_fails_now_and_then_is_started_again() -> None:
    assert given_up_after([BY_ITSELF.seconds / 4 + 1] * 100) is None


@pytest.mark.parametrize(("times", "space"), [(10, 2.2), (19, 3.5)])
def test_a_drill_may_kill_a_program_over_and_over(times: int, space: float) -> None:
    assert given_up_after([space] * times, by_signal=True) is None


@pytest.mark.parametrize("space", [2.2, 4.0, 15.0])
def test_a_program_that_is_killed_or_crashes_without_end_is_given_up(space: float) -> None:
    assert given_up_after([space] * 100, by_signal=True) == BY_SIGNAL.deaths


@pytest.mark.parametrize("space", [CONNTRACKD_RESTART_INTERVAL, KEEPALIVED_RESTART_INTERVAL])
def test_the_agents_own_attempts_to_mend_a_daemon_are_no_reason_to_end(space: float) -> None:
    assert given_up_after([space] * 100, by_signal=True) is None


def test_kills_and_failures_are_counted_apart() -> None:
    kills = [Death(1000.0 + number, by_signal=True) for number in range(15)]
    failures = [Death(1010.0 + number, by_signal=False) for number in range(4)]
    assert given_up([*kills, *failures], 1015.0) == ""
    assert given_up([*kills, *failures, Death(1016.0, by_signal=False)], 1016.0)
