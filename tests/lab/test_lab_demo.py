"""The demo: everything in one go, and gone again, whoever ends it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually

from .conftest import REPOSITORY, Lab


@pytest.fixture
def demo() -> Iterator[Lab]:
    lab = Lab("demo")
    lab.name = "demo"
    if lab.processes():
        pytest.skip("a demo of somebody else is running on this machine")
    yield lab
    lab("down")


def start() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "appliance", "demo"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_demo_holds_what_the_profile_promises_in_25_seconds(demo: Lab, bound: Bound) -> None:
    began = time.monotonic()
    shown, complaints = start().communicate(timeout=PATIENCE)
    took = time.monotonic() - began
    assert "\x1b" not in shown
    assert not demo.processes()
    with bound:
        assert "All that was promised was kept." in shown, shown + complaints
        assert took < 25


@pytest.mark.parametrize("wait_for", ["making the lab", "cutting the power"])
def test_ctrl_c_ends_the_demo_with_a_sentence(demo: Lab, wait_for: str) -> None:
    show = start()
    assert show.stdout
    if not any(wait_for in line for line in show.stdout):
        pytest.fail(str(show.communicate(timeout=PATIENCE)))
    os.killpg(show.pid, signal.SIGINT)
    _, complaints = show.communicate(timeout=PATIENCE)
    assert show.returncode == 130
    assert complaints.strip() == "Interrupted; nothing of the demo is left."
    assert not demo.processes()


def test_a_demo_that_is_killed_takes_its_lab_with_it(demo: Lab) -> None:
    show = start()
    assert show.stdout
    assert any("is MASTER" in line for line in show.stdout)
    show.kill()
    show.communicate(timeout=PATIENCE)
    assert eventually(lambda: not demo.processes()), demo.processes()
