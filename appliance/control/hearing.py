"""The agent's side of the socket by which commands ask it: a unix socket for root alone (unix(7)).

A client that is slow, says nonsense or goes away costs the agent nothing: each has bounds on its length, its time and
its number, nothing waits for one, and an answer that finds no reader is dropped.
"""

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

from appliance import ApplianceError, system
from appliance.control import words
from appliance.control.words import ApplyAnswer, ApplyRequest

LONGEST_PATH = 107  # bytes of a socket's path, without the zero behind it (sun_path, unix(7))
MOST_CLIENTS = 8  # at a time; others wait in the kernel's queue
CLIENT_PATIENCE = 5.0  # seconds that a client has for its request


class Asking:
    """Who has asked, and waits for the answer."""

    def __init__(self, connection: socket.socket, request: ApplyRequest) -> None:
        self._connection = connection
        self.request = request

    @property
    def waits(self) -> bool:
        """Whether it has not been answered."""
        return self._connection.fileno() >= 0

    def answer(self, answer: ApplyAnswer) -> None:
        """Answer, and part; never waits, and never raises for a client that went away."""
        _say(self._connection, answer)


class _Talking:
    """A client that has not said all yet."""

    def __init__(self, connection: socket.socket, since: float) -> None:
        connection.setblocking(False)
        self.connection, self.since = connection, since
        self.said = b""

    def hear(self) -> ApplyRequest | None:
        """Its request, once it is whole. Raises ApplianceError where it is none, and EOFError where it went away."""
        with contextlib.suppress(BlockingIOError):
            while b"\n" not in self.said:
                part = self.connection.recv(words.LONGEST_REQUEST)
                if not part:
                    raise EOFError
                self.said += part
                if len(self.said) > words.LONGEST_REQUEST:
                    raise ApplianceError(
                        f"a request has {words.LONGEST_REQUEST} bytes at most, and this one has more"
                    )
        line, end, _ = self.said.partition(b"\n")
        return words.read_request(line) if end else None


class ControlSocket:
    """Listens under a path. What it is asked comes from `hear`; `listen` has it be found there."""

    def __init__(self, path: Path, clock: Callable[[], float] = system.monotonic) -> None:
        self.path, self.clock = path, clock
        self._listener: socket.socket | None = None
        self._place: tuple[int, int] | None = None
        self._talking: list[_Talking] = []
        self._asking: list[Asking] = []
        # Nobody could be let in, such as for want of a file descriptor: the next `listen` tries again.
        self._shut = False

    def listen(self) -> None:
        """Be found under the path, also where somebody took it away. Raises ApplianceError with the reason."""
        self._shut = False
        if self._listener is None or self._place != _place(self.path):
            self.close()
            self._listener = _listener(self.path)
            self._place = _place(self.path)

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        ends = [one.connection for one in self._talking]
        if self._listener and self._has_room():
            ends.append(self._listener)
        return tuple(end.fileno() for end in ends)

    def hear(self) -> tuple[Asking, ...]:
        """Who has asked since this was called last; never waits, and never raises for what a client does."""
        now = self.clock()
        self._let_in(now)
        found = [asking for one in tuple(self._talking) if (asking := self._heard(one, now))]
        self._asking += found
        return tuple(found)

    def close(self) -> None:
        """Listen no more."""
        for end in (self._listener, *(one.connection for one in self._talking)):
            if end:
                end.close()
        self._listener, self._talking = None, []

    def _has_room(self) -> bool:
        self._asking = [one for one in self._asking if one.waits]
        return not self._shut and len(self._talking) + len(self._asking) < MOST_CLIENTS

    def _let_in(self, now: float) -> None:
        try:
            while self._listener and self._has_room():
                self._talking.append(_Talking(self._listener.accept()[0], now))
        except BlockingIOError:
            return  # nobody else is there
        except OSError:
            self._shut = True

    def _heard(self, client: _Talking, now: float) -> Asking | None:
        """The client's request; one that cannot be heard any further is parted from."""
        try:
            if request := client.hear():
                self._talking.remove(client)
                return Asking(client.connection, request)
            if now - client.since <= CLIENT_PATIENCE:
                return None
            raise ApplianceError(f"a request has to be said within {CLIENT_PATIENCE:.0f} s")
        except ApplianceError as error:
            _say(client.connection, words.refused(error))
        except (OSError, EOFError):
            client.connection.close()
        self._talking.remove(client)
        return None


def _say(connection: socket.socket, answer: ApplyAnswer) -> None:
    """Send an answer, and part: at one stroke, or not at all."""
    with connection, contextlib.suppress(OSError):
        connection.send(words.answer_line(answer), socket.MSG_DONTWAIT)


def _listener(path: Path) -> socket.socket:
    """A socket that listens there, in place of one that a killed agent left. Raises ApplianceError."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ApplianceError(
            f"{path} is no name for a socket, which has {LONGEST_PATH} bytes at most: no command can ask "
            "this agent; choose a shorter VGW_RUN_DIR"
        )
    system.remove(path)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # from its first moment on it is for nobody else
    try:
        found.bind(str(path))
        found.listen()
        found.setblocking(False)
    except OSError as error:
        found.close()
        raise ApplianceError(
            f"{path} cannot be made, so no command can ask this agent: {error.strerror}"
        ) from None
    finally:
        os.umask(before)
    return found


def _place(path: Path) -> tuple[int, int] | None:
    """What lies there, by device and number; None where nothing does."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
