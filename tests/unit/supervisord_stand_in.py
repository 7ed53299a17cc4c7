"""A supervisord's XML-RPC interface on its unix socket, with programs that nobody runs."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

from appliance.run_dir import RunDir


@dataclass
class Interface:
    """What supervisord answers, and what it was told (https://supervisord.org/api.html)."""

    running: dict[str, int]
    """The process id of each program that runs."""
    states: dict[str, str] = field(default_factory=dict)
    """The state of each that is in another one than RUNNING."""
    signals: list[tuple[str, str]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    sticks: bool = False
    """No program that is stopped ends, so that none can be started."""
    ending: bool = False
    reason: str = ""
    """Why the node is to end, by our own extension."""

    def signalProcess(self, name: str, number: str) -> bool:  # noqa: N802 - supervisord's own name
        """As supervisord does for a program of this name."""
        if name not in self.running:
            raise Fault(10, f"BAD_NAME: {name}")
        self.signals.append((name, number))
        return True

    def stopProcess(self, name: str) -> bool:  # noqa: N802 - supervisord's own name
        """As supervisord does; the program has ended when it answers."""
        self.stopped.append(name)
        self.states[name] = "STOPPED"
        return True

    def startProcess(self, name: str, wait: bool) -> bool:  # noqa: N802 - supervisord's own name
        """As supervisord does."""
        if self.sticks:
            raise Fault(60, f"ALREADY_STARTED: {name}")
        self.started.append(name)
        self.states.pop(name, None)
        return not wait

    def getAllProcessInfo(self) -> list[dict[str, object]]:  # noqa: N802 - supervisord's own name
        """The programs, by those of supervisord's words that are read."""
        return [
            {"name": name, "statename": self.states.get(name, "RUNNING"), "pid": pid}
            for name, pid in self.running.items()
        ]

    def end(self, reason: str) -> bool:
        """Begins to end (`processes.supervise`)."""
        self.reason, self.ending = self.reason or reason, True
        return True


class _Handler(SimpleXMLRPCRequestHandler):
    disable_nagle_algorithm = False

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass


class _Server(socketserver.UnixStreamServer, SimpleXMLRPCDispatcher):
    def __init__(self, place: str, interface: Interface) -> None:
        SimpleXMLRPCDispatcher.__init__(self, allow_none=True)
        # `signalProcess` by `Any`: typeshed lets a call over XML-RPC take no plain words.
        signal: Any = interface.signalProcess
        self.register_function(signal, "supervisor.signalProcess")
        stop: Any = interface.stopProcess
        start: Any = interface.startProcess
        self.register_function(stop, "supervisor.stopProcess")
        self.register_function(start, "supervisor.startProcess")
        self.register_function(interface.getAllProcessInfo, "supervisor.getAllProcessInfo")
        end: Any = interface.end
        self.register_function(end, "vgw.end")
        super().__init__(place, _Handler)

    # What the handler of requests asks its server for.
    logRequests = False  # noqa: N815


@contextmanager
def supervisord(run_dir: RunDir, **running: int) -> Iterator[Interface]:
    """One that answers in a run directory, and runs these programs."""
    interface = Interface(running)
    with _Server(str(run_dir.supervisor_socket), interface) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield interface
        finally:
            server.shutdown()
            thread.join()
            run_dir.supervisor_socket.unlink()
