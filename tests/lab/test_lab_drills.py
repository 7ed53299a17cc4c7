"""What a takeover costs, against what each profile promises; medians, for the machine is shared."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually

from .conftest import REPOSITORY, Lab

ANNOUNCED = ["clean-stop", "stop-keepalived", "wan-down"]
SILENT = ["lan-down", "kill-keepalived"]


def judge(found: dict[str, Any], drill: str, seconds: float, bound: Bound) -> None:
    for verdict in found["verdicts"]:
        assert verdict["untranslated"] == 0, verdict
        assert verdict["duplicates"] == 0, verdict
        if drill != "kill-keepalived":
            assert (verdict["before"], verdict["after"]) == ("master", "backup"), verdict
    figures = found["summary"][drill]
    with bound:
        assert figures["gap"]["median"] <= seconds * 1000, figures


@pytest.mark.parametrize(
    ("fixture", "bar"), [("standard_lab", 0.40), ("fast_lab", 0.15), ("classic_lab", 3.7)]
)
def test_a_power_cut_costs_no_more_than_the_profile_allows(
    request: pytest.FixtureRequest, fixture: str, bar: float, repetitions: int, bound: Bound
) -> None:
    lab: Lab = request.getfixturevalue(fixture)
    found = lab.json("drill", "power-off", "--times", str(repetitions))
    judge(found, "power-off", bar, bound)
    takeovers = [verdict["takeover"] for verdict in found["verdicts"]]
    assert all(takeover is not None for takeover in takeovers), "the witness saw no new MASTER"


@pytest.mark.parametrize("drill", ANNOUNCED)
def test_a_release_that_is_announced_costs_the_skew(
    standard_lab: Lab, drill: str, bound: Bound
) -> None:
    found = standard_lab.json("drill", drill, "--times", "3")
    skew = found["verdicts"][0]["prediction"] / 1000
    assert skew == pytest.approx(0.1 * (256 - 90) / 256, abs=0.001)
    judge(found, drill, 1.5 * skew, bound)


@pytest.mark.parametrize("drill", SILENT)
def test_a_silent_fault_costs_three_adverts(standard_lab: Lab, drill: str, bound: Bound) -> None:
    judge(standard_lab.json("drill", drill, "--times", "3"), drill, 0.40, bound)


def test_the_course_sheet_as_written(classic_lab: Lab) -> None:
    said = classic_lab.must("course")
    for line in (
        "from noeud1: ping 8.8.8.8: answered",
        "on backup: ip addr show eth1: lists 192.168.100.3/24, 192.168.100.99/24",
        "on master: ip addr show eth1: lists 192.168.100.2/24, 192.168.100.99/24",
    ):
        assert line in said
    assert "FAIL" not in said


def test_a_drill_for_people_is_a_table(standard_lab: Lab, bound: Bound) -> None:
    done = standard_lab("drill", "stop-keepalived")
    said = done.stdout
    assert re.search(r"stop-keepalived +backup +\d+/\d+ ", said), said
    assert "backup is MASTER; master is put right" in said
    with bound:
        assert "held" in said
        assert done.returncode == 0


@pytest.mark.parametrize("delay", [0, 0.6, 1.0])
def test_ctrl_c_in_a_drill_leaves_no_node_switched_off(
    standard_lab: Lab, delay: float, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    drill = subprocess.Popen(
        standard_lab.argv("drill", "power-off", "--report", str(page)),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert drill.stdout
    assert "power is cut" in drill.stdout.readline()
    time.sleep(delay)
    os.killpg(drill.pid, signal.SIGINT)
    _, complaints = drill.communicate(timeout=PATIENCE)
    assert drill.returncode == 130
    assert complaints.startswith("Interrupted; what the drill did is put right again.\n")
    assert "Traceback" not in complaints
    assert "Ctrl-C ended it in power-off" in page.read_text()
    assert eventually(lambda: standard_lab.nodes()["master"]["holds_vgw"])


def test_ctrl_c_while_newcomers_come_ends_them_too(standard_lab: Lab) -> None:
    drill = subprocess.Popen(
        standard_lab.argv("drill", "freeze-node"),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    opening = "vgw_lab.instruments.newcomer"
    assert eventually(lambda: any(opening in words for words in standard_lab.processes().values()))
    os.killpg(drill.pid, signal.SIGINT)
    _, complaints = drill.communicate(timeout=PATIENCE)
    assert drill.returncode == 130
    assert complaints == "Interrupted; what the drill did is put right again.\n"
    assert not any(opening in words for words in standard_lab.processes().values())
    assert eventually(lambda: standard_lab.nodes()["master"]["holds_vgw"])
