"""Services for long-lived flows, each answer saying where its client seems to be. Runs on a node.

Frames are FRAME bytes: a number of 8 bytes, then, from the server, the client's address and port as
the server sees them. On one port a frame is answered with a frame, by TCP and by UDP; on another the
server alone speaks, a frame each TICK_SECONDS. One process serves thousands of connections.
"""

import argparse
import contextlib
import heapq
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence

WHO, TICKER = 1007, 19
FRAME = 64
TICK_SECONDS = 0.25
_NUMBER = struct.Struct("!Q")
_BACKLOG = 4096


def allow_files(wanted: int = 65536) -> None:
    """Let this process have many connections, as far as the administrator allows."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 -- a small Python may lack it; its limit is then the usual

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Client:
    """One TCP connection: its client's name, and what it has said of a frame so far."""

    def __init__(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        self.connection = connection
        self.name = name(peer)
        self.heard = b""
        self.ticks = 0


def name(peer: tuple[str, int]) -> bytes:
    """A client's address and port, in the length of a frame without its number."""
    return f"{peer[0]}:{peer[1]}".encode().ljust(FRAME - _NUMBER.size, b"\0")


class Services:
    """All sockets of the process, and who is due for a tick."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.listeners: dict[int, tuple[socket.socket, bool]] = {}
        self.datagrams: dict[int, socket.socket] = {}
        self.clients: dict[int, Client] = {}
        self.due: list[tuple[float, int, Client]] = []

    def listen(self, address: str, port: int, ticks: bool = False) -> None:
        """Serve TCP; with `ticks` the server alone speaks."""
        listener = socket.create_server((address, port), backlog=_BACKLOG)
        listener.setblocking(False)
        self.listeners[listener.fileno()] = (listener, ticks)
        self.epoll.register(listener, select.EPOLLIN)

    def receive(self, address: str, port: int) -> None:
        """Serve UDP, on one address, so that an answer leaves from the address that was asked."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        server.bind((address, port))
        server.setblocking(False)
        self.datagrams[server.fileno()] = server
        self.epoll.register(server, select.EPOLLIN)

    def serve(self, until: int | None = None) -> None:
        """Serve for ever, or until there is something to read on the file `until`."""
        if until is not None:
            self.epoll.register(until, select.EPOLLIN)
        while True:
            wait = max(self.due[0][0] - time.monotonic(), 0) if self.due else None
            for number, _ in self.epoll.poll(wait):
                if number == until:
                    return
                if number in self.listeners:
                    self._accept(*self.listeners[number])
                elif number in self.datagrams:
                    self._answer(self.datagrams[number])
                elif number in self.clients:
                    self._hear(self.clients[number])
            self._tick(time.monotonic())

    def _accept(self, listener: socket.socket, ticks: bool) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    connection, peer = listener.accept()
                except ConnectionError:
                    continue
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client = Client(connection, peer)
                self.clients[connection.fileno()] = client
                self.epoll.register(connection, select.EPOLLIN)
                if ticks:
                    heapq.heappush(self.due, (time.monotonic(), connection.fileno(), client))

    def _answer(self, server: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, peer = server.recvfrom(65536)
                with contextlib.suppress(OSError):
                    server.sendto(frame[: _NUMBER.size] + name(peer), peer)

    def _hear(self, client: Client) -> None:
        try:
            said = client.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._drop(client)
            return
        client.heard += said
        answers = b""
        while len(client.heard) >= FRAME:
            frame, client.heard = client.heard[:FRAME], client.heard[FRAME:]
            answers += frame[: _NUMBER.size] + client.name
        self._send(client, answers)

    def _tick(self, now: float) -> None:
        while self.due and self.due[0][0] <= now:
            due, number, client = heapq.heappop(self.due)
            if self.clients.get(number) is not client:
                continue  # gone, and its number perhaps another's
            self._send(client, _NUMBER.pack(client.ticks) + client.name)
            client.ticks += 1
            heapq.heappush(self.due, (max(due, now - 1) + TICK_SECONDS, number, client))

    def _send(self, client: Client, frames: bytes) -> None:
        """Say it, whole frames or nothing: who does not read gets no more."""
        try:
            sent = client.connection.send(frames)
        except BlockingIOError:
            return
        except OSError:
            sent = -1
        if sent != len(frames):
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if self.clients.pop(client.connection.fileno(), None) is not None:
            client.connection.close()


def usual(addresses: Sequence[str]) -> Services:
    """Both services on all of a node's addresses, ready to serve."""
    allow_files()
    services = Services()
    services.listen("", WHO)
    services.listen("", TICKER, ticks=True)
    for address in addresses:
        services.receive(address, WHO)
    return services


def main() -> None:
    """Answer on one TCP port until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, action="append", required=True)
    allow_files()
    services = Services()
    for port in parser.parse_args().port:
        services.listen("", port)
    print("serving", flush=True)
    services.serve(until=sys.stdin.fileno())


if __name__ == "__main__":
    main()
