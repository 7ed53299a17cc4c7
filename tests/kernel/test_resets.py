"""A connection that went on while the peer was MASTER, and is reset after: what the kernel keeps of it."""

import contextlib
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

from appliance.conntrack import ctnetlink, table
from appliance.conntrack.ctnetlink import TCP, Entry
from tests.kernel.conftest import Namespace
from tests.kernel.connections import setting, until, updates, whole_table
from tests.waiting import PATIENCE

VGW, SERVER = "192.168.100.99", ("192.168.100.2", 5000)
REFRESH = [sys.executable, "-m", "appliance.conntrack.replica_refresh", "--address", VGW]
SAID = bytes(1000)
CLOSE, CLOSE_SECONDS = 8, 10  # TCP_CONNTRACK_CLOSE, and for how long an entry stays in it
# The kernel tracks what a rule asks about, and nothing while the peer forwards.
TRACKING = (
    "add table ip t; add chain ip t o { type filter hook output priority 0; }; "
    "add rule ip t o ct state new counter"
)
ELSEWHERE = (
    "add table ip e; add chain ip e o { type filter hook output priority -300; }; "
    "add rule ip e o notrack"
)


def nft(rules: str) -> None:
    subprocess.run(["nft", rules], check=True)


def exchange(client: socket.socket, server: socket.socket) -> None:
    """Say something in both directions."""
    for speaker, hearer in ((client, server), (server, client)):
        speaker.sendall(SAID)
        assert hearer.recv(len(SAID), socket.MSG_WAITALL) == SAID


@contextlib.contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection that this kernel tracks: its client, and its server."""
    setting("tcp_be_liberal", 1)
    nft(TRACKING)
    with socket.create_server(SERVER) as listening, socket.socket() as client:
        client.connect(SERVER)
        server, _ = listening.accept()
        with server:
            exchange(client, server)
            yield client, server


@contextlib.contextmanager
def returned() -> Iterator[socket.socket]:
    """A connection that this kernel has tracked, then for a while not, and tracks again."""
    setting("tcp_timeout_established", 7200)
    with connected() as (client, server):
        nft(ELSEWHERE)
        for _ in range(200):
            exchange(client, server)
        nft("delete table ip e")
        exchange(client, server)
        yield client


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def entry() -> Entry:
    """The connection's."""
    (found,) = [entry for entry in whole_table().values() if entry.protocol == TCP]
    return found


def test_a_reset_that_does_not_fit_is_not_reported(tracked: Namespace) -> None:
    # What the kernel does by itself; were it to change, there would be nothing to mend.
    def body() -> None:
        with returned() as client:
            assert entry().state == ctnetlink.ESTABLISHED
            with updates() as heard:
                reset(client)
                assert heard() == []
            assert entry().state == ctnetlink.ESTABLISHED
            assert entry().remaining <= CLOSE_SECONDS

    tracked(body)


def test_what_was_seen_is_forgotten_and_the_reset_is_reported(tracked: Namespace) -> None:
    def body() -> None:
        with returned() as client:
            name = entry().origin
            assert [names for names in table.strict() if names] == [[name]]
            done = table.touch(table.strict(), 1000, ctnetlink.LENIENT)
            assert done == (1, 0)
            assert entry().state == ctnetlink.ESTABLISHED and entry().remaining > 7000
            assert not any(table.strict())
            with updates() as heard:
                reset(client)
                assert [(seen.origin, seen.state) for seen in heard()] == [(name, CLOSE)]

    tracked(body)


def test_a_new_master_forgets_and_the_connection_goes_on(tracked: Namespace) -> None:
    def body() -> None:
        program = subprocess.Popen(REFRESH)
        try:
            with returned() as client, updates() as heard:
                subprocess.run(["ip", "addr", "add", f"{VGW}/24", "dev", "eth1"], check=True)
                until(lambda: not any(table.strict()), "the program has forgotten")
                assert heard()
                reset(client)
                assert [seen.state for seen in heard()] == [CLOSE]
        finally:
            program.terminate()
            program.wait(timeout=PATIENCE)

    tracked(body)


def test_a_connection_that_nobody_took_elsewhere_is_strict_again_at_once(
    tracked: Namespace,
) -> None:
    def body() -> None:
        with connected() as (client, server):
            table.touch(table.strict(), 1000, ctnetlink.LENIENT)
            assert not any(table.strict())
            exchange(client, server)
            assert any(table.strict())

    tracked(body)
