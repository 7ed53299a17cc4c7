"""A soak of a few faults: every invariant holds, what breaks is told and shrunk, and Ctrl-C leaves nothing."""

import os
import signal
import subprocess

from tests.waiting import PATIENCE, eventually

from .conftest import REPOSITORY, Lab


def test_a_pair_lives_through_faults_one_by_one_and_two_at_a_time(free_lab: Lab) -> None:
    faults = "kill keepalived,0,1;lan cable,0,3;kill agent,1,1;restart,1,1;kill conntrackd,0,1,0.5"
    done = free_lab("soak", "--replay", faults)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "master: its LAN cable is pulled" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(": 0 violations")
    assert not free_lab.processes()


def test_ctrl_c_ends_a_soak_and_nothing_is_left(free_lab: Lab) -> None:
    soak = subprocess.Popen(
        free_lab.argv("soak", "--replay", "lan cable,0,300"),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert soak.stdout
    assert any("its LAN cable is pulled" in line for line in soak.stdout)
    os.killpg(soak.pid, signal.SIGINT)
    _, complaints = soak.communicate(timeout=PATIENCE)
    assert soak.returncode == 130
    assert "Traceback" not in complaints
    assert f"nothing of lab '{free_lab.name}' is left" in complaints
    assert eventually(lambda: not free_lab.processes()), free_lab.processes()
