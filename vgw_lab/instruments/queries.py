"""Flows that any name server keeps alive: one by UDP and one by TCP, for a drill on a real install.

A query for the same name goes out every EVERY_SECONDS, on one UDP port and on one TCP connection; each
lives while answers come. It speaks as `flows` does: `flowing` once both are open, then a JSON object
for each line on standard input, the last at its end. Runs on a machine behind the pair.
"""

import argparse
import contextlib
import json
import select
import socket
import struct
import sys
import time

EVERY_SECONDS = 0.2
ROUND_SECONDS = 5.0
_OPEN_SECONDS = 5.0
_PORT = 53
_LENGTH = struct.Struct("!H")


def query(number: int, name: str) -> bytes:
    """A query for the address of a name, with recursion asked for (RFC 1035, 4.1)."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack("!HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


class Flow:
    """One flow to a name server, and what became of it since the last report. Times in seconds."""

    def __init__(self, kind: str, target: tuple[str, int], name: str) -> None:
        self.kind, self.name, self.tcp = kind, name, kind == "tcp"
        self.socket = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM if self.tcp else socket.SOCK_DGRAM
        )
        self.number, self.heard = 0, b""
        self.waiting: float | None = None
        self.answered = 0.0
        self.stall = 0.0
        self.ended = ""
        self.reported = False
        self.socket.settimeout(_OPEN_SECONDS)
        try:
            self.socket.connect(target)
        except OSError as error:
            self.ended = f"not opened: {error.strerror or error}"
        self.socket.setblocking(False)

    def send(self, now: float) -> None:
        """Ask once more; by TCP only after the last was answered, for the kernel repeats that."""
        if self.ended or (self.tcp and self.waiting is not None):
            return
        self.number += 1
        text = query(self.number, self.name)
        self.waiting = now if self.waiting is None else self.waiting
        try:
            self.socket.send((_LENGTH.pack(len(text)) if self.tcp else b"") + text)
        except OSError as error:
            if self.tcp:
                self.ended = error.strerror or "error"

    def receive(self, now: float) -> None:
        """Read what is there."""
        try:
            said = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            if self.tcp:  # of a datagram the next may be answered again
                self.ended = error.strerror or "error"
            return
        if self.tcp and not said:
            self.ended = "the server ended it"
            return
        self.heard = self.heard + said if self.tcp else said
        if self.whole():
            self.answered, self.heard = now, b""
            if self.waiting is not None:
                self.stall = max(self.stall, now - self.waiting)
            self.waiting = None

    def whole(self) -> bool:
        """Whether an answer has come in full."""
        if not self.tcp:
            return len(self.heard) >= 12
        return len(self.heard) >= 2 and len(self.heard) - 2 >= _LENGTH.unpack_from(self.heard)[0]

    def report(self) -> dict[str, object]:
        """How it fared since the last report, as `flows` tells of a kind."""
        broken = {self.ended: 1} if self.ended and not self.reported else {}
        self.reported = bool(self.ended)
        stall, self.stall = round(self.stall * 1000, 1), 0.0
        alive = int(not self.ended)
        return {"flows": 1, "alive": alive, "changed": 0, "stall_ms": stall, "broken": broken}


def keep(flows: list[Flow]) -> None:
    """Keep them alive, and report at each line on standard input; until it ends."""
    more = True
    while more:
        due = time.monotonic() + EVERY_SECONDS
        for flow in flows:
            flow.send(time.monotonic())
        said = listen(flows, due, asked=True)
        if said is None:
            continue
        more = bool(said)
        began = time.monotonic()
        while time.monotonic() - began < ROUND_SECONDS and not all(
            flow.ended or flow.answered > began for flow in flows
        ):
            for flow in flows:
                flow.send(time.monotonic())
            listen(flows, time.monotonic() + EVERY_SECONDS)
        for flow in flows:
            if not flow.ended and flow.answered <= began:
                flow.ended = "timeout"
        print(json.dumps({f"names by {flow.kind}": flow.report() for flow in flows}), flush=True)


def listen(flows: list[Flow], until: float, *, asked: bool = False) -> str | None:
    """Read answers until then; with `asked` a line on standard input ends it early, and is returned."""
    while (left := until - time.monotonic()) > 0:
        live = {flow.socket.fileno(): flow for flow in flows if not flow.ended}
        asking = [sys.stdin.fileno()] if asked else []
        for number in select.select([*live, *asking], [], [], left)[0]:
            if number not in live:
                return sys.stdin.readline()
            live[number].receive(time.monotonic())
    return None


def main() -> None:
    """Keep two flows to a name server, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="8.8.8.8")
    parser.add_argument("--name", default="dns.google")
    options = parser.parse_args()
    flows = [Flow(kind, (options.target, _PORT), options.name) for kind in ("udp", "tcp")]
    began = time.monotonic()
    while time.monotonic() - began < _OPEN_SECONDS and not all(
        flow.ended or flow.answered for flow in flows
    ):
        for flow in flows:
            flow.send(time.monotonic())
        listen(flows, time.monotonic() + EVERY_SECONDS)
    for flow in flows:
        if not flow.answered:
            flow.ended = flow.ended or "not opened: no answer"
    print("flowing", sum(not flow.ended for flow in flows), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        keep(flows)


if __name__ == "__main__":
    main()
