"""One question to the kernel by netlink, and the whole answer (netlink(7))."""

import errno
import os
import socket

from appliance import netlink

_ANSWER_SECONDS = 5.0  # for an answer that the kernel gives at once
_BUFFER = 65_536  # bytes; the kernel fills at most 32 KiB at a time
_READINGS = 20  # of a list that changes while it is read

Answer = list[tuple[int, bytes]]


def ask(protocol: int, request: bytes) -> Answer:
    """Each message of the answer: its kind and its payload. Raises OSError with the kernel's word.

    The request asks for ACK or DUMP, by which the answer has an end. A list that changed while it was read is
    read again, for it may lack what was there all the time.
    """
    for _ in range(_READINGS):
        answer, whole = _read(protocol, request)
        if whole:
            return answer
    raise OSError(errno.EAGAIN, "the kernel's list changed each time while it was read")


def _read(protocol: int, request: bytes) -> tuple[Answer, bool]:
    """The answer, and whether it is of one moment."""
    answer: Answer = []
    whole = True
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as kernel:
        kernel.settimeout(_ANSWER_SECONDS)
        kernel.send(request)
        while True:
            buffer = kernel.recv(_BUFFER)
            for kind, at, end in netlink.messages(buffer):
                whole = whole and not netlink.interrupted(buffer, at)
                if kind not in (netlink.ERROR, netlink.DONE):
                    answer.append((kind, buffer[at:end]))
                elif code := netlink.refusal(buffer, at):
                    raise OSError(code, os.strerror(code))
                else:
                    return answer, whole
