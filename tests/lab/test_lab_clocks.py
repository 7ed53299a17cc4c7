"""A node's wall clock is an hour wrong at boot, and is set while the node runs: all is judged as by a right one.

The kernel's clock is everybody's, so the node's programs are lied to: those in Python by a module that each loads
first, and conntrackd by a library. keepalived goes by no wall clock. What the kernel stamps by its own clock, an
advert's arrival, then seems an hour old, or yet to come: as on a node whose clock is just being set.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually, waited

from .conftest import REPOSITORY, Lab, told
from .test_lab_replication import AT_REST, at_rest, blocked, pair

# What each program in Python loads first, as sitecustomize (its module `site`).
LIE = """
import os, sys, time
right, file = time.time, os.environ["FAKETIME_TIMESTAMP_FILE"]
def hours():
    with open(file) as said:
        return int(said.read().strip().rstrip("h"))
time.time = lambda: right() + 3600 * hours()
if any("start_conntrackd" in word for word in sys.orig_argv):
    os.environ["LD_PRELOAD"] = %r
"""
HOUR = 3600
# A little of it passes while the status is read.
NEARLY = 60


@contextmanager
def wrong_clock(lab: Lab, node: str, file: Path, hours: int) -> Iterator[None]:
    """Boot the node with a clock that is so many hours ahead, and in the end with a right one."""
    set_clock(file, hours)
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    (file.parent / "sitecustomize.py").write_text(LIE % str(library), encoding="utf-8")
    lie = {
        "PYTHONPATH": str(file.parent),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",
    }
    boot(lab, node, lie)
    try:
        yield
    finally:
        boot(lab, node, {})


def boot(lab: Lab, node: str, variables: dict[str, str]) -> None:
    lab.must("stop", node)
    started = subprocess.run(
        lab.argv("start", node),
        cwd=REPOSITORY,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert started.returncode == 0, started.stdout + started.stderr
    assert eventually(lambda: at_rest(lab), AT_REST), lab.must("status")


def set_clock(file: Path, hours: int) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(f"{hours:+d}h\n", encoding="ascii")
    beside.replace(file)


def shows(lab: Lab, node: str, hours: int) -> bool:
    """Whether the node's clock is so many hours ahead."""
    return abs(float(told(lab, node)["written"]) - time.time() - hours * HOUR) < NEARLY


def judge_as_by_a_right_clock(lab: Lab, bound: Bound) -> None:
    """Replication that is cut is found, told and mended, and meanwhile no switchover would lose flows."""
    with blocked(lab, "backup", "udp dport 3780"):
        here = waited(lambda: pair(lab, "backup")["degraded"])
        there = waited(lambda: pair(lab, "master")["degraded"])
        refused = lab.exec("master", "vgw", "switchover")
        with bound:
            assert here + there <= 15
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "replica" in refused.stderr, refused.stderr
    assert eventually(lambda: at_rest(lab), AT_REST), lab.must("status")


@pytest.mark.parametrize(("hours", "later"), [(-1, (1, 0)), (1, ())])
def test_a_clock_that_is_wrong_at_boot_or_set_while_it_runs_changes_no_judgement(
    standard_lab: Lab, hours: int, later: tuple[int, ...], tmp_path: Path, bound: Bound
) -> None:
    with wrong_clock(standard_lab, "master", tmp_path / "clock", hours):
        assert shows(standard_lab, "master", hours)
        lied_to = "grep -l libfaketime /proc/[0-9]*/maps | sed 's|maps|comm|' | xargs cat"
        assert standard_lab.exec("master", "sh", "-c", lied_to).stdout.split() == ["conntrackd"]
        judge_as_by_a_right_clock(standard_lab, bound)
        for now in later:
            changes = told(standard_lab, "master")["role_changes"]
            set_clock(tmp_path / "clock", now)
            assert eventually(lambda now=now: shows(standard_lab, "master", now))  # type: ignore[misc]
            judge_as_by_a_right_clock(standard_lab, bound)
            assert told(standard_lab, "master")["role_changes"] == changes
        done = standard_lab.exec("master", "vgw", "switchover")
        assert done.returncode == 0, done.stdout + done.stderr
        assert told(standard_lab, "backup")["role"] == "MASTER"
        back = standard_lab.exec("backup", "vgw", "switchover")
        assert back.returncode == 0, back.stdout + back.stderr
