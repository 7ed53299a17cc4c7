"""What the timed lane knows of the machine: whose the processors were, and what follows for a bound on time."""

import os
import subprocess
import sys
from typing import Literal

import pytest

from tests import machine
from tests.conftest import Bound, pytest_report_teststatus
from tests.machine import Look, Process, used_by_others

US, CHILD, GRANDCHILD = 10, 11, 12


def at(seconds: float, busy: float, ours: dict[int, tuple[int, float]]) -> Look:
    return Look(seconds, busy, {pid: Process(*facts) for pid, facts in ours.items()})


@pytest.mark.parametrize(
    ("before", "after", "others"),
    [
        pytest.param({US: (1, 5.0)}, {US: (1, 7.0)}, 0.0, id="all of it was ours"),
        pytest.param({US: (1, 5.0)}, {US: (1, 5.0)}, 1.0, id="we were idle"),
        pytest.param({US: (1, 5.0)}, {US: (1, 5.0), CHILD: (US, 2.0)}, 0.0, id="a child began"),
        pytest.param(
            {US: (1, 5.0), CHILD: (US, 3.0)}, {US: (1, 10.0)}, 0.0, id="we waited for a child"
        ),
        pytest.param(
            {US: (1, 5.0), CHILD: (US, 3.0), GRANDCHILD: (CHILD, 1.0)},
            {US: (1, 11.0)},
            0.0,
            id="we waited for a child that waited for another",
        ),
        pytest.param(
            {US: (1, 5.0), CHILD: (1, 3.0)},
            {US: (1, 7.0)},
            0.0,
            id="one of ours ended, and a stranger waited for it",
        ),
        pytest.param({US: (1, 5.0)}, {US: (1, 9.0)}, 0.0, id="ticks are counted coarsely"),
    ],
)
def test_what_others_used_is_what_none_of_ours_did(
    before: dict[int, tuple[int, float]], after: dict[int, tuple[int, float]], others: float
) -> None:
    assert used_by_others(at(100, 50, before), at(102, 52, after)) == others


def spin(seconds: float) -> None:
    """Have a child use a processor for so long."""
    script = f"import time\nwhile time.process_time() < {seconds}: pass"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_kernel_tells_what_a_child_has_used() -> None:
    before = machine.look(os.getpid(), "no such lab")
    spin(0.5)
    after = machine.look(os.getpid(), "no such lab")
    used = after.ours[os.getpid()].seconds - before.ours[os.getpid()].seconds
    # Both are counted in ticks, and those of all by looks at what runs when one falls.
    assert used >= 0.4
    assert after.seconds - before.seconds >= 0.3


def test_a_lab_of_this_run_is_ours_wherever_it_hangs() -> None:
    tagged = {**os.environ, "VGW_LAB": "unit-lab"}
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, env=tagged) as lab:
        assert lab.stdin is not None
        lab.stdin.write(b"?")
        nobody = 0
        assert lab.pid in machine.look(nobody, "unit-").ours
        assert lab.pid not in machine.look(nobody, "other-").ours


def test_a_bound_is_judged_where_nothing_excuses_it() -> None:
    with pytest.raises(AssertionError, match="500"), Bound(str, print):
        assert int("500") <= 400


def test_a_bound_that_is_excused_is_noted_and_what_follows_is_judged() -> None:
    notes: list[str] = []
    bound = Bound(lambda: "others used 2 of 2 processors", notes.append)
    with bound:
        assert int("500") <= 400
    (note,) = notes
    assert note.startswith("others used 2 of 2 processors: ")
    assert "500" in note
    with bound:
        assert int("300") <= 400
    assert len(notes) == 1, "what held was judged"
    with pytest.raises(ValueError, match="no number"), bound:
        raise ValueError("no number")


def test_what_was_not_judged_is_an_outcome_of_its_own() -> None:
    def status(outcome: Literal["passed", "failed"], *noted: tuple[str, object]) -> object:
        report = pytest.TestReport(
            "n",
            ("f", 1, "n"),
            {},
            outcome,
            None,
            "call",
            user_properties=noted,
        )
        return pytest_report_teststatus(report)

    assert status("passed") is None
    assert status("passed", ("figure", "3 ms")) is None
    assert status("passed", ("not judged", "busy")) == ("not judged", "n", "NOT JUDGED")
    assert status("failed", ("not judged", "busy")) is None, "what failed besides is a failure"


@pytest.mark.parametrize(
    ("prepared", "ignores"), [("", True), ("have_children_hear_ctrl_c()", False)]
)
def test_a_program_that_a_test_starts_hears_ctrl_c_where_a_script_has_it_ignored(
    prepared: str, ignores: bool
) -> None:
    child = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    script = (
        "import subprocess, sys; from tests.conftest import have_children_hear_ctrl_c; "
        f"{prepared or 'pass'}; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    done = subprocess.run(
        ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{ignores}\n", done.stderr
