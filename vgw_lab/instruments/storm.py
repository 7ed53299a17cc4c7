"""A storm of new flows from a machine: SYNs, datagrams to many ports, or datagrams from many ports.

It says `storming`, sends until it is done or its standard input ends, and prints how much it sent. It
waits for no answer. For its options see `main`.
"""

import argparse
import contextlib
import itertools
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

_LINGER = struct.pack("ii", 1, 0)
_BATCH = 50
_LIFE = 1000  # attempts that are left open at a time
FIRST_PORT, LAST_PORT = 1024, 65535


def syns(target: str, port: int) -> Iterator[None]:
    """TCP connections, each begun and, a thousand later, dropped."""
    opened: list[socket.socket] = []
    while True:
        attempt = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        attempt.setblocking(False)
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        with contextlib.suppress(OSError):
            attempt.connect((target, port))
        opened.append(attempt)
        if len(opened) > _LIFE:
            opened.pop(0).close()
        yield


def to_ports(target: str, port: int) -> Iterator[None]:
    """Datagrams from one socket to each port from `port` on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(port, LAST_PORT + 1):
            with contextlib.suppress(OSError):
                sender.sendto(b"", (target, number))
            yield


def from_ports(target: str, port: int) -> Iterator[None]:
    """Datagrams to one port from each port of this machine that is free."""
    for number in range(FIRST_PORT, LAST_PORT + 1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            with contextlib.suppress(OSError):
                sender.bind(("", number))
                sender.sendto(b"", (target, port))
            yield


KINDS: dict[str, Callable[[str, int], Iterator[None]]] = {
    "syns": syns,
    "to-ports": to_ports,
    "from-ports": from_ports,
}


def storm(sending: Iterator[None], rate: float, seconds: float, most: int) -> int:
    """Send at a rate, for so many seconds or so many times at most; how often it sent."""
    began, sent = time.monotonic(), 0
    while sent < most and time.monotonic() - began < seconds:
        batch = sum(1 for _ in itertools.islice(sending, min(_BATCH, most - sent)))
        sent += batch
        wait = max(began + sent / rate - time.monotonic(), 0)
        if batch == 0 or sys.stdin in select.select([sys.stdin], [], [], wait)[0]:
            break
    return sent


def main() -> None:
    """Storm, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--target", default="8.8.8.8")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--rate", type=float, default=2000, help="a second")
    parser.add_argument("--seconds", type=float, default=30, help="at most")
    parser.add_argument("--most", type=int, default=10**6, help="how many at most")
    options = parser.parse_args()
    print("storming", flush=True)
    sending = KINDS[options.kind](options.target, options.port)
    sent = storm(sending, options.rate, options.seconds, options.most)
    print(json.dumps({"sent": sent}))


if __name__ == "__main__":
    main()
