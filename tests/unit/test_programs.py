"""supervisord is asked by its own interface; notes and versions are read where programs leave them."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from appliance import CommandFailed
from appliance.planning.wanted import Versions
from appliance.processes import notes, programs
from appliance.processes.programs import Program
from appliance.processes.versions import installed_versions
from appliance.run_dir import RunDir
from tests.waiting import eventually

from .kernel_stand_ins import opened
from .supervisord_stand_in import supervisord


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def test_the_programs_of_a_node_are_told_with_their_states(run_dir: RunDir) -> None:
    with supervisord(run_dir, keepalived=12, conntrackd=13):
        assert programs.programs(run_dir) == {
            "keepalived": Program("RUNNING", 12),
            "conntrackd": Program("RUNNING", 13),
        }
        assert programs.states(run_dir) == {"keepalived": "RUNNING", "conntrackd": "RUNNING"}


@pytest.mark.parametrize("left", [False, True])
def test_a_node_that_does_not_run_has_no_programs(run_dir: RunDir, *, left: bool) -> None:
    if left:
        run_dir.supervisor_socket.touch()  # one that was killed leaves a socket behind
    assert programs.programs(run_dir) == {}
    assert programs.states(run_dir) == {}
    assert not programs.signal(run_dir, "agent", "HUP")
    with pytest.raises(CommandFailed, match=f"supervisord does not answer in {run_dir}: "):
        programs.bring_down(run_dir, "nothing can be mended")


def test_a_signal_reaches_a_program_that_runs(run_dir: RunDir) -> None:
    with supervisord(run_dir, keepalived=12) as told:
        assert programs.signal(run_dir, "keepalived", "HUP")
        assert not programs.signal(run_dir, "conntrackd", "HUP")
    assert told.signals == [("keepalived", "HUP")]


def test_keepalived_is_stopped_for_a_while_and_started_whatever_happens(run_dir: RunDir) -> None:
    def deed() -> None:
        with programs.keepalived_stopped(run_dir):
            assert run_dir.keepalived_away.exists()
            assert (told.stopped, told.started) == (["keepalived"], [])
            raise CommandFailed("nft: exit code 1")

    with supervisord(run_dir, keepalived=12) as told:
        with pytest.raises(CommandFailed):
            deed()
        assert told.started == ["keepalived"]
    assert not run_dir.keepalived_away.exists()
    with programs.keepalived_stopped(run_dir):
        pass  # without a supervisord there is nothing to stop


def test_a_priority_is_for_keepalived_alone_and_one_that_is_refused_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "keepalived"
    program.symlink_to(shutil.which("sleep") or "sleep")
    given: list[tuple[int, int, int]] = []

    def set_scheduler(process: int, policy: int, param: os.sched_param) -> None:
        given.append((process, policy, param.sched_priority))
        if len(given) > 1:
            raise PermissionError

    monkeypatch.setattr("os.sched_setscheduler", set_scheduler)
    with (
        subprocess.Popen([program, "60"]) as keepalived,
        subprocess.Popen(["sleep", "60"]) as other,
    ):
        comm = Path(f"/proc/{keepalived.pid}/comm")
        assert eventually(lambda: comm.read_text() == "keepalived\n")
        assert programs.run_before_others(keepalived.pid, 0), "it has none"
        assert programs.run_before_others(keepalived.pid, 20)
        assert not programs.run_before_others(keepalived.pid, 20), "this process may not"
        assert not programs.run_before_others(other.pid, 20)
        keepalived.kill()
        other.kill()
    assert not programs.run_before_others(keepalived.pid, 20)
    assert given == 2 * [(keepalived.pid, os.SCHED_RR | os.SCHED_RESET_ON_FORK, 20)]


def test_a_node_that_is_brought_down_is_told_the_reason(run_dir: RunDir) -> None:
    with supervisord(run_dir) as told:
        programs.bring_down(run_dir, "nothing can be mended")
        assert told.ending
    assert told.reason == "nothing can be mended"


def test_a_supervisord_that_is_stuck_holds_nobody(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(str(run_dir.supervisor_socket))
        stuck.listen()
        assert programs.programs(run_dir) == {}


def test_a_program_is_ended_with_the_processes_that_it_started() -> None:
    shell = "sleep 60 & echo $!; wait"
    with subprocess.Popen(
        ["/bin/sh", "-c", shell], stdout=subprocess.PIPE, start_new_session=True
    ) as leader:
        assert leader.stdout
        leader.stdout.readline()
        programs.kill(Program("RUNNING", leader.pid))
        assert leader.wait(10) == -signal.SIGKILL
        # Its end is open as long as any of them lives.
        assert leader.stdout.read() == b""
    programs.kill(Program("RUNNING", leader.pid))


def test_keepaliveds_note_tells_which_process_does_vrrp(run_dir: RunDir) -> None:
    assert programs.vrrp_process(run_dir) == 0
    run_dir.vrrp_pid.write_text("417\n")
    assert programs.vrrp_process(run_dir) == 417
    run_dir.vrrp_pid.write_text("half a no")
    assert programs.vrrp_process(run_dir) == 0


def test_keepalived_reads_whether_this_node_may_be_master(run_dir: RunDir) -> None:
    assert not notes.is_ready(run_dir)
    notes.set_ready(run_dir, ready=True)
    assert run_dir.ready.read_text() == "1\n" and notes.is_ready(run_dir)
    notes.set_ready(run_dir, ready=False)
    assert run_dir.ready.read_text() == "0\n" and not notes.is_ready(run_dir)


@pytest.mark.parametrize("aside", [True, False])
def test_a_file_that_says_so_already_is_left_alone(run_dir: RunDir, *, aside: bool) -> None:
    # keepalived tracks the file: each new one has it look again.
    notes.set_aside(run_dir, aside=aside)
    notes.set_ready(run_dir, ready=aside)
    before = [path.stat().st_ino for path in (run_dir.aside, run_dir.ready)]
    notes.set_aside(run_dir, aside=aside)
    notes.set_ready(run_dir, ready=aside)
    assert [path.stat().st_ino for path in (run_dir.aside, run_dir.ready)] == before
    assert run_dir.aside.read_text() == f"{aside:d}\n"


def test_a_switchovers_note_is_there_until_it_is_taken_away(run_dir: RunDir) -> None:
    for asked in (False, True, True, False):
        notes.ask_aside(run_dir, asked=asked)
        assert notes.is_asked_aside(run_dir) is asked


def install(place: Path, name: str, says: str) -> None:
    program = place / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)


class Buffers(socket.socket):
    """A socket of somebody who may have large buffers, or may not."""

    may = True

    def setsockopt(self, *option: object) -> None:
        """Takes or refuses the size."""
        if not self.may:
            raise PermissionError


@pytest.mark.parametrize("may", [True, False])
def test_the_versions_on_this_machine_are_the_ones_that_the_programs_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, may: bool
) -> None:
    install(tmp_path, "keepalived", "Keepalived v2.2.8 (04/04,2023)")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(Buffers, "may", may)
    made = Buffers(socket.AF_INET, socket.SOCK_DGRAM)
    doors = opened(monkeypatch)
    doors.lead(socket.AF_INET, socket.SOCK_DGRAM, to=lambda: made)
    assert installed_versions() == Versions((2, 2, 8), large_buffers=may)


def test_a_program_that_tells_no_version_is_named_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "keepalived", "no idea")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(CommandFailed, match=r"no version number in \['no idea'\]"):
        installed_versions()
