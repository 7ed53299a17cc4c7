"""`vgw start` for real: it runs its daemons, outlives none of them, and leaves the machine as it was."""

import contextlib
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from appliance.drivers import firewall
from appliance.planning.wanted import Names, Plan
from appliance.processes import programs
from appliance.processes.deaths import BY_ITSELF
from appliance.run_dir import RunDir
from appliance.status import status_file
from tests.conftest import Bound
from tests.kernel.conftest import Namespace
from tests.kernel.wanted import listing, state
from tests.waiting import PATIENCE, waited

RUN_DIR = RunDir()
PROGRAMS = ("agent", "conntrackd", "keepalived", "refresh")
OURS = (
    b"-m\0appliance.agent\0",
    b"appliance.conntrack.replica_refresh",
    b"conntrackd",
    b"keepalived",
)
Cases = dict[str, Path]


def vgw(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "appliance", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True)


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
            waited(all_run)
            yield process
        finally:
            process.terminate()


def ours() -> list[str]:
    """The commands of this gateway's processes, by what they name."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            same_net = (entry / "ns" / "net").samefile("/proc/self/ns/net")
            command = (entry / "cmdline").read_bytes()
            if same_net and any(name in command for name in OURS):
                found.append(f"{entry.name}: {command.decode().replace(chr(0), ' ')}")
    return found


def test_a_clean_stop_ends_with_0_and_takes_everything_away(
    namespace: Namespace, cases: Cases
) -> None:
    def body() -> None:
        before = state(Plan())
        with started(cases["01-standard"]) as process:
            waited(lambda: vgw("health").returncode == 0)
            for verb in ("start", "teardown"):
                again = vgw(verb, str(cases["01-standard"])) if verb == "start" else vgw(verb)
                assert again.returncode == 1
                assert "already runs here" in again.stderr
            other = vgw("apply", str(cases["02-fast"]))
            assert other.returncode == 1
            assert str(cases["01-standard"]) in other.stderr
            assert vgw("apply", str(cases["01-standard"])).stdout == "nothing to do\n"
            process.terminate()
            assert process.wait(timeout=PATIENCE) == 0
        assert state(Plan()) == before
        assert ours() == []
        told = vgw("health")
        assert told.returncode == 1
        assert "no gateway runs here" in told.stderr

    namespace(body)


def test_a_changed_file_is_taken_up_by_the_agent_also_by_one_that_was_just_killed(
    namespace: Namespace, cases: Cases, tmp_path: Path
) -> None:
    def body() -> None:
        file = tmp_path / "gateway.yaml"
        file.write_text(cases["01-standard"].read_text())
        with started(file):
            waited(lambda: vgw("health").returncode == 0)
            mode = RUN_DIR.agent_socket.stat().st_mode
            assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
            for to in ("192.168.100.20", "192.168.100.10"):
                forward = f"destination: [{{protocol: tcp, port: 80, to: {to}}}]"
                text = cases["01-standard"].read_text()
                file.write_text(text.replace("nat:\n", f"nat:\n  {forward}\n"))
                applied = vgw("apply", str(file))
                assert (applied.stdout, applied.stderr) == ("~ table inet vgw\n", "")
                assert f": {to} . 80" in (listing() or "")
                told = status_file.read(RUN_DIR)
                assert (told.repairs, told.problems, told.file_errors) == (0, (), ())
                assert RUN_DIR.accepted.read_text() == file.read_text()
            programs.signal(RUN_DIR, "agent", "KILL")
            assert vgw("apply", str(file)).stdout == "nothing to do\n"
        assert not RUN_DIR.agent_socket.exists()

    namespace(body)


def test_nothing_outlives_a_killed_supervisord(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        with started(cases["01-standard"]) as process:
            assert len(ours()) >= len(PROGRAMS)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=PATIENCE)
            waited(lambda: not ours())
        with started(cases["01-standard"]):
            waited(lambda: vgw("health").returncode == 0)
        assert ours() == []

    namespace(body)


def test_a_node_outlives_a_broken_file_and_says_so_until_it_is_mended(
    namespace: Namespace, cases: Cases, tmp_path: Path
) -> None:
    def body() -> None:
        file = tmp_path / "gateway.yaml"
        good = cases["01-standard"].read_text()
        file.write_text(good)
        with started(file):
            waited(lambda: vgw("health").returncode == 0)
            assert RUN_DIR.accepted.read_text() == good
            rules = firewall.of(Names(), RUN_DIR)
            for break_it in (
                lambda: file.write_text(good.replace("priority: 100", "priority: none")),
                file.unlink,
            ):
                break_it()
                kill_agent()
                assert status_file.read(RUN_DIR).file_errors
                told = vgw("status").stdout
                assert f"file      {file} is not in force" in told
                assert f"file      {file}:" in told
                assert "goes on by what it took up last" in Path("/run/log").read_text()
                waited(lambda: vgw("health").returncode == 0)
                subprocess.run(["nft", "delete", "table", "inet", "vgw"], check=True)
                waited(rules.in_force)
                started_anew = vgw("start", str(file))
                assert started_anew.returncode == 2, "it asks for the file that it is given"
            file.write_text(good)
            assert vgw("apply", str(file)).returncode == 0
            waited(lambda: not status_file.read(RUN_DIR).file_errors)
        assert not RUN_DIR.accepted.exists(), "a node that has ended has taken nothing up"

    namespace(body)


def test_a_node_with_neither_a_good_file_nor_an_accepted_one_ends_within_15_s(
    namespace: Namespace, cases: Cases, tmp_path: Path, bound: Bound
) -> None:
    def body() -> float:
        before = state(Plan())
        file = tmp_path / "gateway.yaml"
        file.write_text(cases["01-standard"].read_text())
        with started(file) as process:
            file.write_text(file.read_text().replace("priority: 100", "priority: none"))
            RUN_DIR.accepted.unlink()
            killed = time.monotonic()
            programs.signal(RUN_DIR, "agent", "KILL")
            assert process.wait(timeout=PATIENCE) == 20
            took = time.monotonic() - killed
        said = Path("/run/log").read_text()
        assert f"vgw: the agent has no configuration to go by:\n{file}:" in said
        assert state(Plan()) == before
        return took

    took = namespace(body)
    with bound:
        assert took <= 15


def kill_agent() -> None:
    """End the agent as a crash would, and wait for what the next one has to say."""
    pid = programs.programs(RUN_DIR)["agent"].pid
    programs.signal(RUN_DIR, "agent", "KILL")
    waited(lambda: not Path(f"/proc/{pid}").exists())
    killed = time.time()
    waited(lambda: status_file.read(RUN_DIR).written > killed)


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
            assert process.wait(timeout=PATIENCE) == 20
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
                waited(lambda pid=former: runs_anew("conntrackd", pid))  # type: ignore[misc]

    namespace(body)


def runs_anew(name: str, former: int) -> bool:
    """Whether another process of this program runs."""
    program = programs.programs(RUN_DIR)[name]
    return program.state == "RUNNING" and program.pid != former
