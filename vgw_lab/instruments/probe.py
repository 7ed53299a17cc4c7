"""A train of numbered datagrams to an echo service, or of pings, and what became of them. Runs on a machine.

It runs until its standard input ends, or for so many seconds, and then prints one JSON object.
"""

import argparse
import contextlib
import itertools
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

_NUMBER = struct.Struct("!Q")
# An echo request (RFC 792): type, code, checksum, identifier, sequence, and then our number.
_ECHO = struct.Struct("!BBHHHQ")
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_IP_HEADER = 20
_LINGER_SECONDS = 0.5
# Where packets are lost one by one for long, nobody looks at each.
_SILENCES = 200


@dataclass(frozen=True)
class Tally:
    """What became of a train. Times in seconds on the monotonic clock, which all of a lab shares.

    `gap_ms` is the longest time from a send that was answered to the next such, over lost ones:
    0 when none was lost. `gap_at` is when it began, `last_answer` when the last answer came.
    `silences` has the longest such times, from when to when, in their order; sending went on to `ended`.
    """

    sent: int
    lost: int
    duplicates: int
    gap_ms: float
    gap_at: float | None
    began: float
    last_answer: float | None
    ended: float = 0.0
    silences: Sequence[Sequence[float]] = ()

    def earlier(self, seconds: float) -> "Tally":
        """The same on a clock that is so many seconds behind."""
        return replace(
            self,
            gap_at=None if self.gap_at is None else self.gap_at - seconds,
            began=self.began - seconds,
            last_answer=None if self.last_answer is None else self.last_answer - seconds,
            ended=self.ended - seconds,
            silences=[[begin - seconds, end - seconds] for begin, end in self.silences],
        )


def tally(sent_at: Sequence[float], answers: Sequence[int], last_answer: float | None) -> Tally:
    """Count. `sent_at` is when each number was sent, `answers` how often each was answered."""
    silences = []
    answered = [number for number, times in enumerate(answers) if times]
    # An outage that reaches to either end of the train counts up to that end.
    for before, after in itertools.pairwise([-1, *answered, len(sent_at)]):
        if after - before < 2:
            continue
        begin, end = sent_at[max(before, 0)], sent_at[min(after, len(sent_at) - 1)]
        if end > begin:
            silences.append([begin, end])
    gap_at, until = max(silences, key=lambda one: one[1] - one[0], default=(None, 0.0))
    longest = sorted(silences, key=lambda one: one[0] - one[1])[:_SILENCES]
    return Tally(
        sent=len(sent_at),
        lost=sum(1 for times in answers if not times),
        duplicates=sum(times - 1 for times in answers if times > 1),
        gap_ms=0.0 if gap_at is None else round((until - gap_at) * 1000, 1),
        gap_at=gap_at,
        began=sent_at[0] if sent_at else 0.0,
        last_answer=last_answer,
        ended=sent_at[-1] if sent_at else 0.0,
        silences=sorted(longest),
    )


class Datagrams:
    """Numbers to an echo service by UDP (RFC 862), each answered with itself."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def packet(self, number: int) -> bytes:
        """What to send."""
        return _NUMBER.pack(number)

    def number(self, answer: bytes) -> int | None:
        """The number that an answer bears; None for what is no answer."""
        return int(_NUMBER.unpack(answer)[0]) if len(answer) == _NUMBER.size else None


class Pings:
    """Numbers in echo requests, which any host answers.

    Without privilege where the kernel gives out such sockets (ping_group_range of icmp(7)), else as root.
    """

    def __init__(self) -> None:
        self.identifier = os.getpid() & 0xFFFF
        try:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        except PermissionError:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)

    def packet(self, number: int) -> bytes:
        """What to send."""
        return echo_request(self.identifier, number)

    def number(self, answer: bytes) -> int | None:
        """The number that an answer bears; None for what is no answer to us."""
        return echoed(answer, self.identifier, raw=self.socket.type == socket.SOCK_RAW)


def echo_request(identifier: int, number: int) -> bytes:
    """A ping; a kernel that gives out sockets for pings writes an identifier of its own."""
    words = (identifier, number & 0xFFFF, number)
    checksum = internet_checksum(_ECHO.pack(_ECHO_REQUEST, 0, 0, *words))
    return _ECHO.pack(_ECHO_REQUEST, 0, checksum, *words)


def echoed(answer: bytes, identifier: int, *, raw: bool) -> int | None:
    """The number in a reply to us; None for all else.

    A raw socket hands over everybody's, each with its IP header, which has no options here.
    """
    answer = answer[_IP_HEADER:] if raw else answer
    if len(answer) != _ECHO.size:
        return None
    kind, _, _, whose, _, number = _ECHO.unpack(answer)
    return int(number) if kind == _ECHO_REPLY and (whose == identifier or not raw) else None


def internet_checksum(data: bytes) -> int:
    """The ones' complement of the ones' complement sum of 16-bit words (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Train:
    """The datagrams of one probe: sends on an absolute schedule and reads answers in between.

    Port 0 means pings.
    """

    def __init__(self, target: tuple[str, int], interval: float) -> None:
        self.echo = Datagrams() if target[1] else Pings()
        self.socket = self.echo.socket
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.connect(target)
        self.socket.setblocking(False)
        self.interval = interval
        self.sent_at: list[float] = []
        self.answers: list[int] = []
        self.last_answer: float | None = None

    def send(self) -> None:
        """Send the next number; one that the kernel refuses counts as sent, and lost."""
        self.answers.append(0)
        self.sent_at.append(time.monotonic())
        with contextlib.suppress(OSError):
            self.socket.send(self.echo.packet(len(self.answers) - 1))

    def receive(self) -> None:
        """Read all answers that are there."""
        while True:
            try:
                answer = self.socket.recv(64)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error for an earlier datagram; that one is lost
            number = self.echo.number(answer)
            if number is not None and number < len(self.answers):
                self.answers[number] += 1
                self.last_answer = time.monotonic()

    def run(self, seconds: float) -> Tally:
        """Send until standard input ends, at most for so long; then wait a little for the last."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            due = began + len(self.sent_at) * self.interval
            if not self._wait(due, stoppable=True):
                break
            self.send()
        self._wait(time.monotonic() + _LINGER_SECONDS, stoppable=False)
        return tally(self.sent_at, self.answers, self.last_answer)

    def _wait(self, due: float, stoppable: bool) -> bool:
        """Read answers until `due`; False when standard input has ended meanwhile."""
        watched = [self.socket, sys.stdin] if stoppable else [self.socket]
        while (left := due - time.monotonic()) > 0:
            ready = select.select(watched, [], [], left)[0]
            if self.socket in ready:
                self.receive()
            if sys.stdin in ready:
                return False
            if not stoppable and self.answers and min(self.answers[-50:]) > 0:
                return True
        return True


def main() -> None:
    """Run one probe, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="8.8.8.8")
    parser.add_argument("--port", type=int, default=7, help="of the echo service; 0: pings")
    parser.add_argument("--every", type=float, default=1.0, help="milliseconds between sends")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long at most")
    options = parser.parse_args()
    train = Train((options.target, options.port), options.every / 1000)
    print("sending", time.monotonic(), flush=True)
    print(json.dumps(asdict(train.run(options.seconds))), flush=True)


if __name__ == "__main__":
    main()
