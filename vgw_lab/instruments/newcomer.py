"""A machine that has just come: it forgets where its gateway is, opens a connection to an echo service, and begins anew. Runs on a machine.

So each connection begins with the question who has the gateway's address. Connections are not waited for: one begins each
EVERY_SECONDS. It prints `opening`, and in the end one JSON object.
"""

import argparse
import contextlib
import errno
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

EVERY_SECONDS = 0.1
# ARP and TCP both ask again after a second (RFC 6298, section 2.1): who had to wait for that was not served at once.
AT_ONCE = 0.5
_TOKEN = b"?"
# nlmsghdr, ndmsg and rtattr (linux/netlink.h, linux/neighbour.h).
_HEAD, _NEIGHBOUR, _ATTRIBUTE = (
    struct.Struct("=IHHII"),
    struct.Struct("=B3xiHBB"),
    struct.Struct("=HH"),
)
_RTM_DELNEIGH, _REQUEST_AND_ACK, _NDA_DST = 29, 5, 1


@dataclass(frozen=True)
class Tally:
    """How many connections were opened, and when those began that did not work at once: seconds after the first."""

    opened: int
    failed: Sequence[float]

    @property
    def share(self) -> float:
        """The part of them that worked at once."""
        return 1 - len(self.failed) / self.opened if self.opened else 0.0


class Connection:
    """One connection, from its first word to the answer; `ended` once that is known."""

    def __init__(self, target: tuple[str, int], began: float) -> None:
        self.began, self.asked, self.worked, self.ended = began, False, False, False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.socket.connect(target)

    def go_on(self, *, readable: bool, writable: bool) -> None:
        """Ask once it is open, and take the answer."""
        try:
            if writable and not self.asked:
                self.socket.send(_TOKEN)
                self.asked = True
            elif readable:
                self._end(worked=self.socket.recv(1) == _TOKEN)
        except OSError:
            self._end(worked=False)

    def give_up(self, now: float) -> None:
        """End it where it was not served at once."""
        if not self.ended and now - self.began > AT_ONCE:
            self._end(worked=False)

    def _end(self, *, worked: bool) -> None:
        self.ended, self.worked = True, worked
        self.socket.close()


def forget(interface: str, gateway: str) -> None:
    """Have the kernel forget at which MAC the gateway is (rtnetlink(7), RTM_DELNEIGH)."""
    neighbour = _NEIGHBOUR.pack(socket.AF_INET, socket.if_nametoindex(interface), 0, 0, 0)
    address = _ATTRIBUTE.pack(_ATTRIBUTE.size + 4, _NDA_DST) + socket.inet_aton(gateway)
    length = _HEAD.size + len(neighbour) + len(address)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(_HEAD.pack(length, _RTM_DELNEIGH, _REQUEST_AND_ACK, 1, 0) + neighbour + address)
        (error,) = struct.unpack_from("=i", kernel.recv(4096), _HEAD.size)
    if -error not in (0, errno.ENOENT):
        raise OSError(-error, f"cannot forget {gateway}: {os.strerror(-error)}")


def run(
    interface: str,
    gateway: str,
    target: tuple[str, int],
    seconds: float,
    unwanted: Callable[[], bool] = lambda: False,
) -> Tally:
    """Open connections for so many seconds, or until nobody wants to know any more."""
    begin = due = time.monotonic()
    end, all_of_them = begin + seconds, list[Connection]()
    while (now := time.monotonic()) < end + AT_ONCE and not unwanted():
        if now >= due and now < end:
            forget(interface, gateway)
            all_of_them.append(Connection(target, now))
            due += EVERY_SECONDS
        pending = [one for one in all_of_them if not one.ended]
        _serve(pending, max(0.0, (due if due < end else end + AT_ONCE) - time.monotonic()))
        for one in pending:
            one.give_up(time.monotonic())
    for one in all_of_them:
        one.give_up(end + 2 * AT_ONCE)
    failed = [round(one.began - begin, 2) for one in all_of_them if not one.worked]
    return Tally(len(all_of_them), failed)


def _serve(pending: Sequence[Connection], seconds: float) -> None:
    asks = [one.socket for one in pending if not one.asked]
    ready, open_now, _ = select.select([one.socket for one in pending], asks, [], seconds)
    for one in pending:
        one.go_on(readable=one.socket in ready, writable=one.socket in open_now)


def main() -> None:
    """As a program."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--interface", default="eth1")
    options.add_argument("--gateway", required=True)
    options.add_argument("--target", default="8.8.8.8")
    options.add_argument("--port", type=int, default=7)
    options.add_argument("--seconds", type=float, default=20.0)
    words = options.parse_args()
    print("opening", flush=True)
    target = (words.target, words.port)
    tally = run(words.interface, words.gateway, target, words.seconds, _input_has_ended)
    if not _input_has_ended():
        print(json.dumps(asdict(tally)))


def _input_has_ended() -> bool:
    """Whether whoever started this has gone, or was broken off."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


if __name__ == "__main__":
    main()
