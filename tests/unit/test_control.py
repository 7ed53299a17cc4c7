"""The socket by which commands ask the agent: one request, one answer, and no client that costs the agent anything."""

import contextlib
import json
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import ApplianceError, NotConverged
from appliance.control import asking, hearing, words
from appliance.control.hearing import CLIENT_PATIENCE, MOST_CLIENTS, Asking, ControlSocket
from appliance.control.words import ApplyAnswer, ApplyRequest
from tests.waiting import PATIENCE

REQUEST = ApplyRequest("/etc/vgw/gateway.yaml", "master")
DONE = ApplyAnswer(changes=("~ table inet vgw",), told=("and so on",))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agent(tmp_path: Path, clock: Clock) -> Iterator[ControlSocket]:
    found = ControlSocket(tmp_path / "agent.sock", clock)
    found.listen()
    yield found
    found.close()


def client(agent: ControlSocket, said: bytes = b"") -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.settimeout(PATIENCE)
    found.connect(str(agent.path))
    found.sendall(said)
    return found


def heard(agent: ControlSocket) -> tuple[Asking, ...]:
    """What the agent hears once something is there to hear."""
    assert select.select(agent.filenos(), [], [], PATIENCE)[0]
    return agent.hear()


def answer(connection: socket.socket) -> ApplyAnswer:
    """The whole of what was answered, until the agent parted."""
    with connection:
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert said.count(b"\n") == 1 and said.endswith(b"\n")
    return words.read_answer(said)


def asked(path: Path) -> tuple[threading.Thread, list[object]]:
    """A command that asks, and what came of it."""
    found: list[object] = []

    def ask() -> None:
        try:
            found.append(asking.ask(path, REQUEST, PATIENCE))
        except ApplianceError as error:
            found.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, found


def test_a_command_asks_and_hears_what_the_agent_answers(agent: ControlSocket) -> None:
    thread, found = asked(agent.path)
    one: tuple[Asking, ...] = ()
    while not one:
        one = heard(agent)
    assert [each.request for each in one] == [REQUEST]
    one[0].answer(DONE)
    thread.join(PATIENCE)
    assert found == [DONE]


def test_two_that_ask_at_once_have_an_answer_each(agent: ControlSocket) -> None:
    line = words.request_line(REQUEST)
    clients = [client(agent, line), client(agent, line)]
    found = heard(agent)
    assert len(found) == 2
    for number, one in enumerate(found):
        one.answer(ApplyAnswer(told=(str(number),)))
    assert [answer(one).told for one in clients] == [("0",), ("1",)]


def test_it_is_for_root_alone_from_its_first_moment_on(agent: ControlSocket) -> None:
    found = agent.path.stat()
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    before = os.umask(0o022)
    os.umask(before)
    assert before != 0o177, "the process makes its other files as before"


def test_nobody_is_there_where_none_listens(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "none" / "at all"):
        assert asking.ask(path, REQUEST) is None
        assert not asking.listens(path)
    killed = ControlSocket(tmp_path / "agent.sock")
    killed.listen()
    killed.close()
    assert (tmp_path / "agent.sock").exists() and not asking.listens(tmp_path / "agent.sock")
    successor = ControlSocket(tmp_path / "agent.sock")
    successor.listen()
    assert asking.listens(tmp_path / "agent.sock"), "what a killed agent left is no hindrance"
    successor.close()


def test_a_socket_that_somebody_took_away_is_made_again(agent: ControlSocket) -> None:
    agent.path.unlink()
    agent.listen()
    assert asking.listens(agent.path)
    before = agent.path.stat().st_ino
    agent.listen()
    assert agent.path.stat().st_ino == before, "one that is there stays"


def test_a_place_that_no_socket_can_have_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match=r"107 bytes at most: .* a shorter VGW_RUN_DIR"):
        ControlSocket(tmp_path / ("x" * hearing.LONGEST_PATH)).listen()
    with pytest.raises(ApplianceError, match=r"none/agent.sock cannot be made, so no command can"):
        ControlSocket(tmp_path / "none" / "agent.sock").listen()


NONSENSE: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"apply\n", "is no JSON object on a line of its own"),
    "an empty line": (b"\n", "is no JSON object on a line of its own"),
    "no object": (b"[1]\n", "is no JSON object on a line of its own"),
    "half of a surrogate pair": (
        json.dumps({"schema": 1, "ask": "apply", "file": "\ud800"}).encode() + b"\n",
        "not a text",
    ),
    "deep": (b"[" * 5000 + b"\n", "is no JSON object on a line of its own"),
    "another version's": (b'{"schema": 2}\n', "is in words of another version of VGW"),
    "another request": (b'{"schema": 1, "ask": "dance"}\n', "knows the request `apply` alone"),
    "a wrong type": (b'{"schema": 1, "ask": "apply", "file": 7}\n', "file is 7, not a text"),
    "too much": (b"x" * (words.LONGEST_REQUEST + 1), "has 32768 bytes at most"),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_who_says_nonsense_is_told_so_and_parted_from(agent: ControlSocket, kind: str) -> None:
    said, reason = NONSENSE[kind]
    connection = client(agent, said)
    while (
        len(agent.filenos()) < 2
        and not agent.hear()
        and select.select([connection], [], [], 0)
        == (
            [],
            [],
            [],
        )
    ):
        pass
    told = answer(connection)
    assert (told.code, told.changes) == (1, ())
    assert reason in told.refusal
    assert len(agent.filenos()) == 1, "nothing of it is left"


def test_a_request_may_come_in_pieces_and_a_slow_one_ends(
    agent: ControlSocket, clock: Clock
) -> None:
    line = words.request_line(REQUEST)
    slow = client(agent, line[:10])
    assert heard(agent) == ()
    slow.sendall(line[10:-1])
    assert heard(agent) == ()
    slow.sendall(line[-1:])
    assert len(heard(agent)) == 1
    silent = client(agent)
    assert heard(agent) == ()
    clock.now += CLIENT_PATIENCE + 0.1
    assert agent.hear() == ()
    assert "within 5 s" in answer(silent).refusal
    slow.close()
    agent._asking[0].answer(DONE)


def test_who_goes_away_is_forgotten(agent: ControlSocket) -> None:
    line = words.request_line(REQUEST)
    with client(agent, line[:10]):
        assert heard(agent) == ()
    assert heard(agent) == ()
    assert len(agent.filenos()) == 1
    with client(agent, line):
        (one,) = heard(agent)
    one.answer(DONE)
    assert not one.waits, "an answer that nobody hears is no error"


def test_of_many_at_once_some_wait_in_the_kernel_and_all_are_answered(agent: ControlSocket) -> None:
    line = words.request_line(REQUEST)
    clients = [client(agent, line) for _ in range(MOST_CLIENTS + 3)]
    first = heard(agent)
    assert (len(first), agent.filenos()) == (MOST_CLIENTS, ()), "nobody else wakes the agent"
    for one in first:
        one.answer(DONE)
    rest = heard(agent)
    for one in rest:
        one.answer(DONE)
    assert [answer(one) for one in clients] == [DONE] * (MOST_CLIENTS + 3)


def test_an_answer_does_not_wait_for_a_reader(agent: ControlSocket) -> None:
    client_ = client(agent, words.request_line(REQUEST))
    (one,) = heard(agent)
    began = time.monotonic()
    one.answer(ApplyAnswer(changes=tuple(f"~ route {number}" for number in range(100_000))))
    assert time.monotonic() - began < PATIENCE
    told = answer(client_)
    assert (told.changes[0], told.changes[-1]) == ("~ route 0", "and 99980 more")


def test_who_cannot_be_let_in_does_not_keep_the_agent_awake(
    agent: ControlSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_descriptor(*_: object) -> None:
        raise OSError(24, "Too many open files")

    with client(agent):
        with monkeypatch.context() as patch:
            patch.setattr("socket.socket.accept", no_descriptor)
            assert agent.hear() == ()
            assert agent.filenos() == ()
        agent.listen()
        assert heard(agent) == ()
        assert len(agent.filenos()) == 2


def answering(path: Path, said: bytes | None) -> threading.Thread:
    """An agent that lets one client in, hears it, unless nothing is to be said, says that and parts."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as one:
            if said is not None:
                one.recv(9000)
                one.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


ENDS: dict[str, tuple[bytes | None, str]] = {
    "goes away": (None, "the agent of this node"),
    "ends in the middle": (b'{"schema"', "ended before it answered"),
    "says nonsense": (b"done\n", "the agent's answer is no JSON object"),
    "is of another version": (
        b'{"schema": 9}\n',
        "the agent's answer is in words of another version of VGW",
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_command_whose_agent_gives_no_answer_says_so(tmp_path: Path, how: str) -> None:
    said, reason = ENDS[how]
    thread = answering(tmp_path / "agent.sock", said)
    with pytest.raises(ApplianceError, match=reason):
        asking.ask(tmp_path / "agent.sock", REQUEST, PATIENCE)
    thread.join()


def test_a_command_does_not_wait_for_ever(agent: ControlSocket) -> None:
    with pytest.raises(ApplianceError, match=r"did not answer for 0 s, and may still take the"):
        asking.ask(agent.path, REQUEST, 0.05)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)


@given(st.builds(ApplyRequest, TEXTS, TEXTS, TEXTS))
def test_a_request_is_read_as_it_was_said(request: ApplyRequest) -> None:
    line = words.request_line(request)
    assert words.read_request(line) == request
    assert line.count(b"\n") == 1 and len(line) <= words.LONGEST_REQUEST


@given(
    st.builds(
        ApplyAnswer, st.tuples(TEXTS, TEXTS), st.tuples(TEXTS), TEXTS, st.integers(0, 255), TEXTS
    )
)
def test_an_answer_is_read_as_it_was_said(answer: ApplyAnswer) -> None:
    assert words.read_answer(words.answer_line(answer)) == answer


@given(
    st.lists(st.text("\x00é😀", max_size=500), max_size=400),
    st.text("é😀\x00"),
    st.integers(1, 400),
)
def test_an_answer_always_fits_into_the_sockets_queue(
    lines: list[str], refusal: str, times: int
) -> None:
    answer = ApplyAnswer(tuple(lines), tuple(lines), refusal * times)
    assert len(words.answer_line(answer)) <= 2 * words.LONGEST_ANSWER


@given(st.binary(max_size=300))
def test_whatever_bytes_come_are_a_request_or_a_sentence(line: bytes) -> None:
    with contextlib.suppress(ApplianceError):
        assert isinstance(words.read_request(line), ApplyRequest)


def test_a_refusal_says_the_errors_code_and_words() -> None:
    told = words.refused(NotConverged("1 to do"))
    assert (told.refusal, told.code, told.before) == ("1 to do", 3, "vgw: ")
