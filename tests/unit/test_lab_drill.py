"""Ctrl-C in a drill: put off while half a fault could not be put right, and never taken for an error."""

import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from appliance import CommandFailed
from vgw_lab import faults
from vgw_lab.drills import course, drill
from vgw_lab.worlds.namespaces import NamespaceLab


def interrupted(rest: Callable[[], None]) -> None:
    """Ctrl-C in an undisturbed block, and then the rest of it."""
    with drill.undisturbed():
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
    with pytest.raises(CommandFailed), drill.undisturbed():
        fail()


def test_ctrl_c_while_the_course_stops_keepalived_waits_until_it_has_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    def stop(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        done.append("stopped")

    slow = replace(faults.fault("stop-keepalived"), inject=stop)
    monkeypatch.setattr(faults, "fault", lambda _: slow)
    lab = NamespaceLab("nowhere")
    with pytest.raises(KeyboardInterrupt):
        course._stop_and_start(lab, ("master", "backup"), 0.0, lambda *_: None)
    assert done == ["stopped"], "who starts what still stops is refused"
