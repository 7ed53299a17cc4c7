"""A command's side of the socket: ask the agent that runs, and read its one answer."""

import errno
import os
import socket
from pathlib import Path

from appliance import ApplianceError
from appliance.control import words
from appliance.control.words import ApplyAnswer, ApplyRequest

# Seconds for the answer: the agent tries out, applies and reads back, and may let the peer lead first.
ANSWER_PATIENCE = 60.0
_NOBODY = (errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED)
_REMEDIES_OF_ASKING = {
    errno.EACCES: "; run this as root",
    errno.EAGAIN: "; too many ask it already, try again",
}
_MOST_READ = 2 * words.LONGEST_ANSWER  # bytes that are read of an answer


def listens(path: Path) -> bool:
    """Whether an agent listens there."""
    connection = _connected(path, ANSWER_PATIENCE)
    if connection:
        connection.close()
    return connection is not None


def ask(path: Path, request: ApplyRequest, seconds: float = ANSWER_PATIENCE) -> ApplyAnswer | None:
    """The agent's answer; None where no agent listens there. Raises ApplianceError where one gives none."""
    connection = _connected(path, seconds)
    if connection is None:
        return None
    with connection:
        try:
            connection.sendall(words.request_line(request))
            line = _line(connection)
        except TimeoutError:
            raise ApplianceError(
                f"the agent of this node did not answer for {seconds:.0f} s, and may still take the file up; "
                "`vgw status` tells since when it is silent"
            ) from None
        except OSError as error:
            raise ApplianceError(f"the agent of this node went away: {error.strerror}") from None
    if not line:
        raise ApplianceError(
            "the agent of this node ended before it answered; `vgw status` and the output of `vgw start` "
            "tell more"
        )
    return words.read_answer(line)


def _connected(path: Path, seconds: float) -> socket.socket | None:
    """A connection to who listens there, which waits for so long at most; None where nobody does."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        if error.errno in _NOBODY:
            return None
        why = os.strerror(error.errno) if error.errno else str(error)
        remedy = _REMEDIES_OF_ASKING.get(error.errno or 0, "")
        raise ApplianceError(f"{path}: the agent cannot be asked: {why}{remedy}") from None
    return connection


def _line(connection: socket.socket) -> bytes:
    """What was said until the line, or the connection, ended."""
    said = b""
    while b"\n" not in said and len(said) < _MOST_READ:
        part = connection.recv(65536)
        if not part:
            return b""
        said += part
    return said.partition(b"\n")[0]
