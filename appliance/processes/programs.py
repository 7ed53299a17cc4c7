"""The programs that supervisord runs: their states, signals to them, and the node's end."""

import contextlib
import http.client
import os
import signal as signals
import socket
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import ApplianceError, CommandFailed, system
from appliance.run_dir import RunDir

PATIENCE = 5.0  # seconds for supervisord's answer: one that is stuck must not hold who asks


def supervisor(run_dir: RunDir) -> Any:
    """supervisord's XML-RPC interface by its unix socket; calls raise OSError where nobody listens."""
    return _interfaces(run_dir).supervisor


def _interfaces(run_dir: RunDir) -> Any:
    transport = _UnixTransport(str(run_dir.supervisor_socket))
    return xmlrpc.client.ServerProxy("http://localhost", transport)


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC by a unix socket. supervisor has one too, and with it the agent would have its whole web server."""

    def __init__(self, path: str) -> None:
        super().__init__(headers=[("Connection", "close")])
        self.path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """A connection for one call; the transport closes it where the call fails."""
        connection = _UnixConnection(self.path)
        self._connection = host, connection
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


def signal(run_dir: RunDir, name: str, number: str) -> bool:
    """Send a signal to one of our programs; False where supervisord or the program does not run."""
    try:
        return bool(supervisor(run_dir).signalProcess(name, number))
    except (OSError, xmlrpc.client.Fault):
        return False


@contextlib.contextmanager
def keepalived_stopped(run_dir: RunDir) -> Iterator[None]:
    """Have keepalived stopped for this block, and then started; that is no death of it.

    A note tells that it is to be started again, whoever does it. Where supervisord does not run, the block is run all the same.
    """
    with contextlib.suppress(ApplianceError):
        system.replace(run_dir.keepalived_away, "")
    with contextlib.suppress(OSError, xmlrpc.client.Fault):
        supervisor(run_dir).stopProcess("keepalived")
    try:
        yield
    finally:
        start_keepalived(run_dir)


def start_keepalived(run_dir: RunDir) -> None:
    """Start it anew where it was stopped for a change; as long as it does not run, the note of that stays."""
    with contextlib.suppress(OSError, xmlrpc.client.Fault):
        supervisor(run_dir).startProcess("keepalived", False)
    if states(run_dir).get("keepalived", "RUNNING") in ("RUNNING", "STARTING"):
        system.remove(run_dir.keepalived_away)


@dataclass(frozen=True)
class Program:
    """One of our programs: its state in supervisord's words, such as RUNNING, and its process id or 0."""

    state: str
    pid: int


def programs(run_dir: RunDir) -> dict[str, Program]:
    """Our programs by their names; empty where supervisord does not run."""
    try:
        found = supervisor(run_dir).getAllProcessInfo()
    except (OSError, xmlrpc.client.Fault):
        return {}
    return {str(one["name"]): Program(str(one["statename"]), int(one["pid"])) for one in found}


def kill(program: Program) -> None:
    """End a program with all of its processes, also frozen ones; supervisord then starts it anew.

    supervisord has each program lead a process group of its own.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(program.pid, signals.SIGKILL)


def run_before_others(process: int, priority: int) -> bool:
    """Give keepalived's process this realtime priority (SCHED_RR), or with 0 none; whether it has it now.

    False where this needs CAP_SYS_NICE in vain, and where that process is not keepalived's (sched_setscheduler(2)).
    """
    if (system.read(Path(f"/proc/{process}/comm")) or "").strip() != "keepalived":
        return False
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK if priority else os.SCHED_OTHER
    try:
        before = os.sched_getscheduler(process), os.sched_getparam(process).sched_priority
        if before != (policy, priority):
            os.sched_setscheduler(process, policy, os.sched_param(priority))
    except OSError:
        return False
    return True


def vrrp_process(run_dir: RunDir) -> int:
    """The process id of keepalived's child that does VRRP, as keepalived noted it; 0 without a note."""
    noted = (system.read(run_dir.vrrp_pid) or "").strip()
    return int(noted) if noted.isdigit() else 0


def states(run_dir: RunDir) -> dict[str, str]:
    """Each program's state in supervisord's words, such as RUNNING; empty where it does not run."""
    return {name: program.state for name, program in programs(run_dir).items()}


def bring_down(run_dir: RunDir, reason: str) -> None:
    """End the node: supervisord stops every program, and the node's exit code tells of the failure.

    Needs no file, for the run directory may be full. Raises CommandFailed where supervisord does not answer.
    """
    try:
        _interfaces(run_dir).vgw.end(reason)
    except (OSError, xmlrpc.client.Fault) as error:
        raise CommandFailed(f"supervisord does not answer in {run_dir}: {error}") from None
