"""Ctrl-C in a drill: put off while half a fault could not be put right, and never taken for an error."""

import signal
from collections.abc import Callable

import pytest

from appliance import CommandFailed
from vgw_lab.drills import drill


def interrupted(rest: Callable[[], None]) -> None:
    """Ctrl-C in an undisturbed block, and then the rest of it."""
    with drill._undisturbed():
        signal.raise_signal(signal.SIGINT)
        rest()


def fail() -> None:
    raise CommandFailed("nft: exit code -2")


def test_ctrl_c_is_put_off_until_a_block_has_ended() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(lambda: done.append("all"))
    assert done == ["all"]


def test_a_program_that_ctrl_c_ended_too_is_no_error() -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(fail)


def test_without_ctrl_c_an_error_is_one() -> None:
    with pytest.raises(CommandFailed), drill._undisturbed():
        fail()
