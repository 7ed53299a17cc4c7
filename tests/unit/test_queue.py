"""What waits at a socket is read within a bound."""

import itertools
import socket

import pytest

from appliance.wires import queue


def test_all_that_waits_is_read_and_then_there_is_no_more() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.setblocking(False)
        for number in range(3):
            theirs.send(bytes([number]))
        assert list(queue.waiting(lambda: ours.recv(9))) == [b"\0", b"\1", b"\2"]
        assert list(queue.waiting(lambda: ours.recv(9))) == []


def test_who_sends_without_an_end_is_not_read_without_an_end() -> None:
    said = itertools.count()
    assert list(queue.waiting(lambda: next(said))) == list(range(queue.MOST_AT_ONCE))


def failing(packet: bytes) -> None:
    raise OSError(packet.decode())


def test_what_goes_wrong_with_a_packet_is_not_taken_for_an_empty_socket() -> None:
    with pytest.raises(OSError, match="so"):
        list(map(failing, queue.waiting(lambda: b"so")))
