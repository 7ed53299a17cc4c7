"""What the agent is told from outside: keepalived's notify FIFO, and signals."""

import contextlib
import os
import signal
import socket
from pathlib import Path


def make_fifo(path: Path) -> None:
    """Make the FIFO before keepalived does: one of its own it would make anew at each reload."""
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, 0o600)


class Fifo:
    """keepalived's notify FIFO, opened for writing too, so that its restart is no end of file."""

    def __init__(self, path: Path) -> None:
        make_fifo(path)
        self.number = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.heard = b""

    def fileno(self) -> int:
        """For select."""
        return self.number

    def lines(self) -> list[str]:
        """The whole lines that have come; one that is cut stays for the next reading."""
        *whole, self.heard = (self.heard + os.read(self.number, 4096)).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]


class Signals:
    """TERM, INT and HUP as something to wait on: the handlers only leave a note."""

    def __init__(self) -> None:
        self.stop = False
        self.reload = False
        self.reader, self._writer = socket.socketpair()
        for end in (self.reader, self._writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        if number == signal.SIGHUP:
            self.reload = True
        else:
            self.stop = True
