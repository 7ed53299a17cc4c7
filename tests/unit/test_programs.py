"""supervisord is asked by its unix socket; where none answers, nothing runs."""

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import pytest

from appliance import CommandFailed
from appliance.processes import programs
from appliance.processes.programs import Program
from appliance.run_dir import RunDir


class Handler(SimpleXMLRPCRequestHandler):
    """XML-RPC by a unix socket, which knows nothing of TCP."""

    disable_nagle_algorithm = False


class Supervisord(socketserver.UnixStreamServer, SimpleXMLRPCDispatcher):
    """What our programs ask of supervisord, answered as it does."""

    _send_traceback_header = False
    logRequests = False  # noqa: N815 -- the handler asks for it by this name

    def __init__(self, path: Path) -> None:
        SimpleXMLRPCDispatcher.__init__(self)
        socketserver.UnixStreamServer.__init__(self, str(path), Handler)
        self.signals: list[tuple[str, str]] = []
        info = [{"name": "agent", "statename": "RUNNING", "pid": 17, "start": 1}]
        self.register_function(lambda: info, "supervisor.getAllProcessInfo")
        self.register_function(self.signal, "supervisor.signalProcess")
        self.register_function(lambda: True, "supervisor.shutdown")

    def signal(self, *words: Any) -> bool:
        name, number = words
        if name != "agent":
            raise ValueError("BAD_NAME")
        self.signals.append((name, number))
        return True


@pytest.fixture
def supervisord(tmp_path: Path) -> Iterator[Supervisord]:
    with Supervisord(RunDir(tmp_path).supervisor_socket) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_programs_are_told_signalled_and_ended(supervisord: Supervisord, tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    assert programs.programs(run_dir) == {"agent": Program("RUNNING", 17)}
    assert programs.states(run_dir) == {"agent": "RUNNING"}
    assert programs.signal(run_dir, "agent", "HUP")
    assert supervisord.signals == [("agent", "HUP")]
    assert not programs.signal(run_dir, "stranger", "HUP"), "supervisord answers with a fault"
    programs.bring_down(run_dir, "no ruleset in force")
    assert run_dir.failed.read_text(encoding="utf-8") == "no ruleset in force\n"


def test_where_no_supervisord_answers_nothing_runs(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    for _ in range(2):
        assert programs.programs(run_dir) == {}
        assert not programs.signal(run_dir, "agent", "HUP")
        with pytest.raises(CommandFailed, match="supervisord does not answer in "):
            programs.bring_down(run_dir, "no ruleset in force")
        run_dir.supervisor_socket.touch()  # one that was killed leaves a socket behind
