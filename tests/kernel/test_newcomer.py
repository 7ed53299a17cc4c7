"""The lab's newcomer against a kernel: it forgets its gateway, and tells which connections did not work at once."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.kernel.conftest import Namespace
from vgw_lab.instruments import newcomer

GATEWAY, INTERFACE = "192.168.100.3", "eth1"


@contextmanager
def echo(*, answers: bool) -> Iterator[tuple[str, int]]:
    """A service that answers each connection, or takes it and says nothing."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    kept = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            kept.append(connection)
            if answers:
                connection.send(connection.recv(1))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for one in kept:
            one.close()


def neighbours() -> str:
    told = ["ip", "neigh", "show", GATEWAY, "dev", INTERFACE]
    return subprocess.run(told, capture_output=True, text=True, check=True).stdout


def test_each_connection_begins_without_the_gateways_mac(namespace: Namespace) -> None:
    def body() -> None:
        known = ["ip", "neigh", "replace", GATEWAY, "lladdr", "02:00:00:00:00:03"]
        subprocess.run([*known, "dev", INTERFACE], check=True)
        assert "02:00:00:00:00:03" in neighbours()
        with echo(answers=True) as target:
            tally = newcomer.run(INTERFACE, GATEWAY, target, 0.5)
        assert "02:00:00:00:00:03" not in neighbours()
        assert (tally.opened, tally.failed, tally.share) == (5, [], 1.0)
        newcomer.forget(INTERFACE, GATEWAY)  # who is forgotten already is no error

    namespace(body)


def test_what_is_refused_or_not_answered_did_not_work(namespace: Namespace) -> None:
    def body() -> None:
        with echo(answers=False) as target:
            unanswered = newcomer.run(INTERFACE, GATEWAY, target, 0.3)
        refused = newcomer.run(INTERFACE, GATEWAY, target, 0.3)
        for tally in (unanswered, refused):
            assert (tally.opened, tally.share) == (3, 0.0)
            assert tally.failed[0] == 0.0

    namespace(body)


def test_it_opens_no_more_once_nobody_wants_to_know(namespace: Namespace) -> None:
    def body() -> int:
        with echo(answers=True) as target:
            wanted = iter((False, False, True))
            return newcomer.run(INTERFACE, GATEWAY, target, 20, lambda: next(wanted)).opened

    assert namespace(body) <= 2
