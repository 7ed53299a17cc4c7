"""`vgw start` for real: it runs its daemons, outlives none of them, and leaves the machine as it was."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.planning.wanted import Plan
from appliance.processes import programs
from appliance.processes.deaths import BY_ITSELF
from appliance.run_dir import RunDir
from tests.kernel.wanted import state

RUN_DIR = RunDir()
PROGRAMS = ("agent", "conntrackd", "keepalived", "refresh")
OURS = (
    b"appliance.agent.loop",
    b"appliance.conntrack.replica_refresh",
    b"conntrackd",
    b"keepalived",
)
Namespace = Callable[[Callable[[], None]], None]
Cases = dict[str, Path]


def vgw(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "appliance", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def within(seconds: float, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def all_run() -> bool:
    return programs.states(RUN_DIR) == dict.fromkeys(PROGRAMS, "RUNNING")


@contextlib.contextmanager
def started(file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "appliance", "start", str(file)]
    with (
        Path("/run/log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            within(10, all_run)
            yield process
        finally:
            process.terminate()


def ours() -> list[int]:
    """The processes of this gateway, by what their commands name."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            same_net = (entry / "ns" / "net").samefile("/proc/self/ns/net")
            command = (entry / "cmdline").read_bytes()
            if same_net and any(name in command for name in OURS):
                found.append(int(entry.name))
    return found


def test_a_clean_stop_ends_with_0_and_takes_everything_away(
    namespace: Namespace, cases: Cases
) -> None:
    def body() -> None:
        before = state(Plan())
        with started(cases["01-standard"]) as process:
            within(5, lambda: vgw("health").returncode == 0)
            for verb in ("start", "teardown"):
                again = vgw(verb, str(cases["01-standard"])) if verb == "start" else vgw(verb)
                assert again.returncode == 1
                assert "already runs here" in again.stderr
            other = vgw("apply", str(cases["02-fast"]))
            assert other.returncode == 1
            assert str(cases["01-standard"]) in other.stderr
            assert vgw("apply", str(cases["01-standard"])).stdout == "nothing to do\n"
            process.terminate()
            assert process.wait(timeout=10) == 0
        assert state(Plan()) == before
        assert ours() == []
        told = vgw("health")
        assert told.returncode == 1
        assert "no gateway runs here" in told.stderr

    namespace(body)


def test_nothing_is_applied_beside_an_agent_of_another_version(
    namespace: Namespace, cases: Cases
) -> None:
    def body() -> None:
        with started(cases["01-standard"]):
            within(5, lambda: vgw("health").returncode == 0)
            agent = programs.programs(RUN_DIR)["agent"].pid
            os.kill(agent, signal.SIGSTOP)
            try:
                RUN_DIR.status.write_text('{"schema": 3}')
                refused = vgw("apply", str(cases["01-standard"]))
            finally:
                os.kill(agent, signal.SIGCONT)
            assert refused.returncode == 1
            assert "written by another version of VGW (schema 3, this one reads 1)" in (
                refused.stderr
            )

    namespace(body)


def test_nothing_outlives_a_killed_supervisord(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        with started(cases["01-standard"]) as process:
            assert len(ours()) >= len(PROGRAMS)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=5)
            within(5, lambda: not ours())
        with started(cases["01-standard"]):
            within(5, lambda: vgw("health").returncode == 0)
        assert ours() == []

    namespace(body)


# Longer than supervisord's `startsecs`, which takes such a start for a success.
FAILS = "#!/bin/sh\nsleep 1.2\necho out of order\nexit 1\n"


def test_a_program_that_fails_after_each_start_ends_the_node_however_late_it_fails(
    namespace: Namespace, cases: Cases
) -> None:
    def body() -> None:
        before = state(Plan())
        with started(cases["01-standard"]) as process:
            fails = Path("/run/conntrackd")
            fails.write_text(FAILS)
            fails.chmod(0o755)
            place = shutil.which("conntrackd")
            subprocess.run(["mount", "--bind", str(fails), str(place)], check=True)
            programs.signal(RUN_DIR, "conntrackd", "KILL")
            assert process.wait(timeout=30) == 20
        said = Path("/run/log").read_text()
        assert "conntrackd could not be kept alive: it ended by itself 5 times within 60 s" in said
        assert state(Plan()) == before

    namespace(body)


def test_a_program_that_is_killed_over_and_over_comes_back(
    namespace: Namespace, cases: Cases
) -> None:
    def body() -> None:
        with started(cases["01-standard"]):
            for _ in range(BY_ITSELF.deaths + 1):
                former = programs.programs(RUN_DIR)["conntrackd"].pid
                programs.signal(RUN_DIR, "conntrackd", "KILL")
                within(10, lambda pid=former: runs_anew("conntrackd", pid))  # type: ignore[misc]

    namespace(body)


def runs_anew(name: str, former: int) -> bool:
    """Whether another process of this program runs."""
    program = programs.programs(RUN_DIR)[name]
    return program.state == "RUNNING" and program.pid != former
