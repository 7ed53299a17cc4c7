"""supervisord at a node's beginning and end, and the exit code; a stand-in program takes the node down."""

import errno
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from supervisor import events
from supervisor.states import ProcessStates, SupervisorStates

from appliance import system
from appliance.processes import supervise
from appliance.run_dir import RunDir

# What supervisord needs to run one program; it calls factories only where it serves.
CONF = """\
[supervisord]
nodaemon = true
logfile = /dev/null
logfile_maxbytes = 0
pidfile = {place}/supervisord.pid
childlogdir = {place}

[unix_http_server]
file = {place}/supervisor.sock

[rpcinterface:vgw]
supervisor.rpcinterface_factory = appliance.processes.supervise:watch
run_dir = {place}

[program:keepalived]
command = /bin/sh -c "{command}"
startsecs = 1
startretries = 0
killasgroup = true
stopasgroup = true
"""
# In a process of its own, and never with the real teardown: that would look at this machine.
START = """\
import runpy
import sys
sys.executable = sys.argv.pop(1)
runpy.run_module("appliance.processes.supervise", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


@pytest.fixture
def teardown(tmp_path: Path) -> Path:
    """Stands for Python, which is asked for `vgw teardown` alone; it logs that and says one word."""
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "$*" >> "$0.log"\necho cleared\n')
    program.chmod(0o755)
    return program


@contextmanager
def node(run_dir: RunDir, teardown: Path, command: str) -> Iterator["subprocess.Popen[str]"]:
    """A supervisord that runs one program; it ends with the test."""
    run_dir.path.mkdir()
    run_dir.supervisord_conf.write_text(CONF.format(place=run_dir, command=command))
    with subprocess.Popen(
        [sys.executable, "-c", START, str(teardown), str(run_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_node_whose_program_does_not_start_ends_with_its_own_exit_code(
    run_dir: RunDir, teardown: Path
) -> None:
    with node(run_dir, teardown, "exit 3") as process:
        told = process.communicate(timeout=15)[1]
    assert process.returncode == supervise.GAVE_UP
    reason = "keepalived could not be kept alive: it does not start; the node ends"
    assert run_dir.failed.read_text().startswith(reason)
    assert f"vgw: {reason}" in told and "cleared" in told
    assert teardown.with_suffix(".log").read_text() == "-m appliance teardown\n"


def test_a_node_that_is_stopped_ends_well_also_where_the_program_drops_the_first_signal(
    run_dir: RunDir, teardown: Path, tmp_path: Path
) -> None:
    fifo = tmp_path / "runs"
    os.mkfifo(fifo)
    waiting = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    stubborn = tmp_path / "stubborn"
    stubborn.write_text(
        f"trap 'trap - TERM' TERM\necho up > {fifo}\nwhile :; do read _ < {tmp_path}/never; done\n"
    )
    os.mkfifo(tmp_path / "never")
    with node(run_dir, teardown, f"exec /bin/sh {stubborn}") as process:
        assert select.select([waiting], [], [], 10)[0], "the program did not start"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=15)
    os.close(waiting)
    assert process.returncode == 0
    assert not run_dir.failed.exists()


class Daemon:
    """What supervisord gives to its extensions: its mood, its poller and its programs."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.poller = SimpleNamespace(poll=self.waits.append)
        self.options = SimpleNamespace(mood=SupervisorStates.RUNNING, poller=self.poller)
        self.processes: dict[str, Any] = {}
        self.node: supervise.Extension | None = None
        self.process_groups = {"all": SimpleNamespace(processes=self.processes)}

    def died(self, name: str, exitstatus: int) -> None:
        """Have a program end."""
        process = SimpleNamespace(config=SimpleNamespace(name=name), exitstatus=exitstatus)
        event = events.ProcessStateExitedEvent.__new__(events.ProcessStateExitedEvent)
        event.process = process
        events.notify(event)


@pytest.fixture
def daemon(run_dir: RunDir) -> Iterator[Daemon]:
    """One that is watched; whatever it changed in this process is put back."""
    found, before, handler = Daemon(), events.callbacks[:], signal.getsignal(signal.SIGALRM)
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    found.node = supervise.watch(found, str(run_dir))
    yield found
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    events.callbacks[:] = before


def notify(kind: Any, **what: Any) -> None:
    """Have supervisord tell of an event."""
    event = kind.__new__(kind)
    event.__dict__.update(what)
    events.notify(event)


def test_a_program_that_ends_by_itself_again_and_again_takes_the_node_with_it(
    daemon: Daemon, run_dir: RunDir
) -> None:
    for _ in range(4):
        daemon.died("agent", 1)
        daemon.died("keepalived", -1)
    assert daemon.options.mood == SupervisorStates.RUNNING and not run_dir.failed.exists()
    daemon.died("agent", 1)
    assert daemon.options.mood == SupervisorStates.SHUTDOWN
    assert "agent could not be kept alive: it ended by itself 5 times" in run_dir.failed.read_text()


def test_a_program_that_does_not_start_takes_the_node_with_it(
    daemon: Daemon, run_dir: RunDir
) -> None:
    fatal = SimpleNamespace(config=SimpleNamespace(name="conntrackd"))
    notify(events.ProcessStateFatalEvent, process=fatal)
    assert daemon.options.mood == SupervisorStates.SHUTDOWN
    assert run_dir.failed.read_text().startswith("conntrackd could not be kept alive: it does not")


def test_what_a_program_said_of_the_nodes_end_is_not_replaced_by_its_own_end(
    daemon: Daemon, run_dir: RunDir
) -> None:
    assert daemon.node
    daemon.node.end("the agent has no configuration to go by")
    # supervisord gives up a program that ended within its first second as soon as it shuts down.
    notify(
        events.ProcessStateFatalEvent,
        process=SimpleNamespace(config=SimpleNamespace(name="agent")),
    )
    assert daemon.options.mood == SupervisorStates.SHUTDOWN
    assert run_dir.failed.read_text() == "the agent has no configuration to go by\n"


def test_a_node_that_must_end_does_so_though_its_run_directory_is_full(
    daemon: Daemon, run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    for _ in range(5):
        daemon.died("agent", 1)
    assert daemon.options.mood == SupervisorStates.SHUTDOWN
    monkeypatch.setattr("supervisor.supervisord.main", lambda _: None)
    monkeypatch.setattr(system, "attempt", lambda _: system.Result(0, "", ""))
    assert supervise.main(run_dir) == supervise.GAVE_UP


@pytest.mark.parametrize("stopped", [True, False])
def test_a_stop_that_came_before_supervisord_could_hear_it_is_taken_up(
    daemon: Daemon, *, stopped: bool
) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        if stopped:
            signal.raise_signal(signal.SIGTERM)  # to this thread, which blocks it
        notify(events.SupervisorRunningEvent)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (daemon.options.mood == SupervisorStates.SHUTDOWN) is stopped
    assert heard == [signal.SIGTERM] * stopped
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_the_group_of_a_program_that_stops_is_told_again_until_it_has(daemon: Daemon) -> None:
    shell = "trap 'trap - TERM; echo dropped' TERM; echo up; while :; do sleep 0.01; done"
    with subprocess.Popen(
        ["/bin/sh", "-c", shell], stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout and child.stdout.readline() == b"up\n"
        program = SimpleNamespace(
            state=ProcessStates.STOPPING, config=SimpleNamespace(killasgroup=True), pid=child.pid
        )
        daemon.processes["keepalived"] = program
        notify(events.ProcessStateStoppingEvent)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        os.killpg(child.pid, signal.SIGTERM)
        # The one that it drops, or one more by the timer: the end comes by the timer alone.
        assert child.wait(10) == -signal.SIGTERM
    program.state = ProcessStates.STOPPED
    deadline(lambda: signal.getitimer(signal.ITIMER_REAL)[0] == 0.0)


def deadline(holds: Callable[[], bool]) -> None:
    """Wait for a signal's effect, at most 10 s."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_programs_start_and_end_without_a_seconds_wait(daemon: Daemon) -> None:
    daemon.poller.poll(1)
    daemon.poller.poll(1)
    daemon.options.mood = SupervisorStates.SHUTDOWN
    daemon.poller.poll(1)
    assert daemon.waits == [0.05, 1, 0.05]


@pytest.mark.parametrize(("failed", "code"), [(None, 0), ("no keepalived\n", supervise.GAVE_UP)])
def test_the_exit_code_tells_whether_the_node_had_to_end(
    run_dir: RunDir,
    teardown: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    failed: str | None,
    code: int,
) -> None:
    run_dir.path.mkdir()
    started: list[list[str]] = []

    def supervisord(argv: list[str]) -> None:
        started.append(argv)
        extension = supervise.Extension(Daemon(), run_dir)
        if failed:
            extension.end(failed.strip())

    monkeypatch.setattr("supervisor.supervisord.main", supervisord)
    monkeypatch.setattr(sys, "executable", str(teardown))
    assert supervise.main(run_dir) == code
    assert started == [["-c", str(run_dir.supervisord_conf)]]
    told = capsys.readouterr().err
    assert told == "cleared\n" + (f"vgw: {failed}" if failed else "")
