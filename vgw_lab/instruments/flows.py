"""Many flows that are opened once and kept: does each live on, and unchanged? Runs on a machine.

Ways to use a flow: in `client` the machine sends a frame by TCP every now and then and reads the
answer; `stream` sends ten times as often, answered or not; in `server` it opens a TCP connection and
then only listens; `udp` is `client` by UDP; `idle` is `client` that is silent until it has to show that it lives.
Each answer says where the flow seems to come from, its outside tuple, which must stay as it was.

It says `flowing` and how many flows are open. A line on standard input asks for a round: each flow
has to show that it lives within a deadline, and one JSON object says how all fared since the last
such; the end of standard input asks for the last. With `--pulse` all flows speak twenty times a second
instead, and at the end of standard input it prints how many were answered within each bin of time.
For its options see `main`.
"""

import argparse
import contextlib
import errno
import heapq
import json
import os
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

FRAME = 64
ROUND_SECONDS = 5.0
EVERY = {"client": 0.5, "stream": 0.05, "udp": 0.5}  # seconds between frames of those that speak
PULSE_SECONDS, BIN_SECONDS = 0.05, 0.1
_OPEN_SECONDS, _OPENING = 10.0, 100  # so many at a time
_NUMBER = struct.Struct("!Q")
_REASONS = {
    **dict.fromkeys((errno.ECONNRESET, errno.EPIPE), "RST"),
    **dict.fromkeys((errno.EHOSTUNREACH, errno.ENETUNREACH), "unreachable"),
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timeout",
}


@dataclass
class Tally:
    """How the flows of a kind fared for a while.

    `broken` counts by reason those that ended in that while, `changed` those whose outside tuple
    became another; `stall_ms` is the longest that one which lives waited for an answer.
    """

    flows: int = 0
    alive: int = 0
    changed: int = 0
    stall_ms: float = 0.0
    broken: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Count another machine's flows of this kind too."""
        self.flows += other.flows
        self.alive += other.alive
        self.changed += other.changed
        self.stall_ms = max(self.stall_ms, other.stall_ms)
        for reason, number in other.broken.items():
            self.broken[reason] = self.broken.get(reason, 0) + number


class Flow:
    """One flow, and what became of it since the last report."""

    def __init__(self, kind: str, mode: str, port: int, quiet: float) -> None:
        self.kind, self.mode, self.quiet = kind, mode, quiet
        how = socket.SOCK_DGRAM if mode == "udp" else socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_INET, how)
        self.socket.setblocking(False)
        if mode != "udp":
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("", port))
        self.number = 0
        self.heard = b""
        self.outside: bytes | None = None
        self.answered = 0.0  # when the last answer came
        self.answered_number = -1
        self.waiting: float | None = None  # since when an answer is due
        self.open = self.alive = False
        self.broken: str | None = None
        self.reported = self.changed = False
        self.stall = 0.0

    def send(self, now: float) -> None:
        """Say the next frame; a `client` only after the last was answered: the kernel repeats that."""
        if self.mode not in ("udp", "stream") and self.waiting is not None:
            return
        frame = _NUMBER.pack(self.number) + bytes(FRAME - _NUMBER.size)
        self.number += 1
        if self.waiting is None:
            self.waiting = now
        try:
            self.socket.send(frame)
        except OSError as error:
            if self.mode != "udp":
                self.end(_REASONS.get(error.errno or 0, str(error)))

    def receive(self, now: float) -> None:
        """Read all that is there."""
        try:
            said = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            if self.mode != "udp":  # of a datagram the next may be answered again
                self.end(_REASONS.get(error.errno or 0, str(error)))
            return
        if not said:
            self.end("EOF")
            return
        self.heard += said
        while len(self.heard) >= FRAME:
            frame, self.heard = self.heard[:FRAME], self.heard[FRAME:]
            self.answer(frame, now)

    def answer(self, frame: bytes, now: float) -> None:
        """Take an answer in: when it came, and where the flow seems to come from."""
        self.measure(now)
        self.waiting = now if self.mode == "server" else None
        self.answered, self.answered_number = now, _NUMBER.unpack_from(frame)[0]
        outside = frame[_NUMBER.size :]
        if self.outside is not None and outside != self.outside:
            self.changed = True
        self.outside = outside

    def measure(self, now: float) -> None:
        """Keep the longest wait for an answer, beyond the time for which the flow is quiet anyway."""
        if self.waiting is not None:
            self.stall = max(self.stall, now - self.waiting - self.quiet)

    def lives(self, since: float, first: int) -> bool:
        """Whether it was answered since; to something that was asked since, where it asks."""
        return self.answered > since and (self.mode == "server" or self.answered_number >= first)

    def end(self, reason: str) -> None:
        """It is broken, for this reason; or else it is over."""
        self.broken = self.broken or reason
        self.alive = False
        if self.mode != "udp":
            # No TIME_WAIT, so that the next run may use the same ports.
            with contextlib.suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()


def report(flows: Iterable[Flow]) -> dict[str, Tally]:
    """How each kind fared since the last report, which this forgets."""
    found: dict[str, Tally] = {}
    for flow in flows:
        tally = found.setdefault(flow.kind, Tally())
        tally.flows += 1
        tally.alive += flow.alive
        if flow.broken and not flow.reported:
            tally.broken[flow.broken] = tally.broken.get(flow.broken, 0) + 1
            flow.reported = True
        tally.changed += flow.changed
        if flow.alive:
            tally.stall_ms = max(tally.stall_ms, round(flow.stall * 1000, 1))
        flow.changed, flow.stall = False, 0.0
    return found


class Generator:
    """All flows of one machine, in one loop."""

    def __init__(self, target: str, ports: dict[str, int], tick: float) -> None:
        self.target, self.ports, self.tick = target, ports, tick
        self.epoll = select.epoll()
        self.flows: list[Flow] = []
        self.by_number: dict[int, Flow] = {}
        self.due: list[tuple[float, int, Flow]] = []

    def plan(self, kind: str, mode: str, count: int, first_port: int) -> None:
        """Add flows; with `first_port` from that port and those after it."""
        quiet = self.tick if mode == "server" else 0.0
        for place in range(count):
            port = first_port + place if first_port else 0
            self.flows.append(Flow(kind, mode, port, quiet))

    def open_all(self) -> int:
        """Open all flows, some at a time; how many are open."""
        began = time.monotonic()
        todo, opening = deque(self.flows), 0
        while (todo or opening) and time.monotonic() - began < _OPEN_SECONDS:
            while todo and opening < _OPENING:
                flow = todo.popleft()
                self.by_number[flow.socket.fileno()] = flow
                failed = flow.socket.connect_ex((self.target, self.ports[flow.mode]))
                if failed in (0, errno.EINPROGRESS):
                    # A flow is open once it was answered: only then is its outside tuple known.
                    self.epoll.register(flow.socket, select.EPOLLIN | select.EPOLLOUT)
                    opening += 1
                else:
                    flow.end("not opened")
            opening -= self.opened(time.monotonic())
        for flow in self.flows:
            if not flow.open:
                flow.end("not opened")
        speakers = [flow for flow in self.flows if flow.alive and flow.mode in EVERY]
        for place, flow in enumerate(speakers):
            # Each has its own moment within the interval, so that the load is even.
            due = time.monotonic() + EVERY[flow.mode] * place / len(speakers)
            heapq.heappush(self.due, (due, place, flow))
        return sum(flow.alive for flow in self.flows)

    def opened(self, now: float) -> int:
        """Hear which of those that are being opened are open, or have failed."""
        done = 0
        for number, events in self.epoll.poll(0.1):
            flow = self.by_number[number]
            if flow.broken:
                continue
            if events & select.EPOLLOUT and not flow.open:
                self.epoll.modify(number, select.EPOLLIN)
                if flow.mode != "server":
                    flow.send(now)
            if events & ~select.EPOLLOUT:
                flow.receive(now)
            if flow.broken:
                flow.broken = "not opened"
                done += 1
            elif flow.outside is not None and not flow.open:
                flow.open = flow.alive = True
                flow.stall = 0.0
                done += 1
        return done

    def run(self) -> None:
        """Keep all flows busy, and report each time that standard input asks; until it ends."""
        asking = sys.stdin.fileno()
        self.epoll.register(asking, select.EPOLLIN)
        more, since, firsts = True, None, dict[Flow, int]()
        while more or since is not None:
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                due, place, flow = heapq.heappop(self.due)
                if flow.alive:
                    flow.send(now)
                    due = max(due, now - 1) + EVERY[flow.mode]
                    heapq.heappush(self.due, (due, place, flow))
            for number, _ in self.epoll.poll(0.005):
                if number != asking:
                    if self.by_number[number].alive:
                        self.by_number[number].receive(now)
                    continue
                more = bool(os.read(asking, 4096))
                since, firsts = time.monotonic(), {flow: flow.number for flow in self.flows}
                for flow in (f for f in self.flows if f.mode == "idle" and f.alive):
                    flow.send(since)
                if not more:
                    self.epoll.unregister(asking)
            if since is not None and self.round_over(since, firsts):
                since = None
                print(json.dumps({k: asdict(t) for k, t in report(self.flows).items()}))
                sys.stdout.flush()

    def pulse(self) -> dict[int, int]:
        """Have all flows speak often, until standard input ends.

        By bin of the monotonic clock: how many were answered in it, under the outside tuple they began with.
        """
        asking = sys.stdin.fileno()
        self.epoll.register(asking, select.EPOLLIN)
        bins: dict[int, set[int]] = {}
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= due:
                due = now + PULSE_SECONDS
                for flow in self.flows:
                    if flow.alive:
                        flow.send(now)
            for number, _ in self.epoll.poll(max(due - time.monotonic(), 0)):
                if number == asking:
                    return {moment: len(flows) for moment, flows in bins.items()}
                flow = self.by_number[number]
                if flow.alive:
                    flow.receive(time.monotonic())
                if flow.alive and not flow.changed:
                    bins.setdefault(int(flow.answered / BIN_SECONDS), set()).add(number)

    def round_over(self, since: float, firsts: dict[Flow, int]) -> bool:
        """Whether each flow has shown that it lives, or has had its time to."""
        now = time.monotonic()
        silent = [f for f in self.flows if f.alive and not f.lives(since, firsts[f])]
        if silent and now - since < ROUND_SECONDS:
            return False
        for flow in silent:
            flow.end("timeout")
        return True


def main() -> None:
    """Run flows, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="8.8.8.8")
    parser.add_argument("--who", type=int, default=1007, help="port of the service that answers")
    parser.add_argument("--ticker", type=int, default=19, help="port of the service that speaks")
    parser.add_argument("--tick", type=float, default=0.25, help="seconds between its frames")
    words = ("KIND", "MODE", "COUNT", "FIRST_PORT")
    parser.add_argument("--flows", nargs=4, action="append", metavar=words, default=[])
    parser.add_argument("--pulse", action="store_true", help="speak often, and count by time")
    options = parser.parse_args()
    ports = dict.fromkeys((*EVERY, "idle"), options.who) | {"server": options.ticker}
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 -- a small Python may lack it; its limit is then the usual

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    generator = Generator(options.target, ports, options.tick)
    for kind, mode, count, first_port in options.flows:
        generator.plan(kind, mode, int(count), int(first_port))
    print("flowing", generator.open_all(), flush=True)
    if options.pulse:
        print(json.dumps(generator.pulse()))
    else:
        generator.run()
    for flow in generator.flows:
        flow.end("over")


if __name__ == "__main__":
    main()
