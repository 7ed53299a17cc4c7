"""Ctrl-C in a drill: put off while half a fault could not be put right, and never taken for an error."""

import signal

import pytest

from appliance import CommandFailed
from vgw_lab.drills import drill


def test_ctrl_c_is_put_off_until_a_block_has_ended() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), drill._undisturbed():
        signal.raise_signal(signal.SIGINT)
        done.append("all")
    assert done


def test_a_program_that_ctrl_c_ended_too_is_no_error() -> None:
    with pytest.raises(KeyboardInterrupt), drill._undisturbed():
        signal.raise_signal(signal.SIGINT)
        raise CommandFailed("nft: exit code -2")


def test_without_ctrl_c_an_error_is_one_and_the_next_is_heard_at_once() -> None:
    with pytest.raises(CommandFailed), drill._undisturbed():
        raise CommandFailed("nft: exit code 1")
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
