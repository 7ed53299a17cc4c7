"""What the agent is told from outside arrives whole, and once."""

import os
import select
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import netlink
from appliance.agent import notify, roles
from appliance.agent.sources import Heard, Sources
from appliance.run_dir import RunDir

from .kernel_stand_ins import opened


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[notify.Fifo]:
    found = notify.Fifo(tmp_path / "notify.fifo")
    yield found
    os.close(found.fileno())


def write(tmp_path: Path, data: bytes) -> None:
    with (tmp_path / "notify.fifo").open("wb", buffering=0) as writer:
        writer.write(data)


def test_a_line_that_is_cut_is_heard_when_its_rest_comes(fifo: notify.Fifo, tmp_path: Path) -> None:
    write(tmp_path, b'INSTANCE "VI_1" MASTER 100\nINSTANCE "VI_')
    assert fifo.lines() == ['INSTANCE "VI_1" MASTER 100']
    write(tmp_path, b'1" BACKUP 100\n')
    assert fifo.lines() == ['INSTANCE "VI_1" BACKUP 100']


def test_a_writer_that_goes_is_no_end(fifo: notify.Fifo, tmp_path: Path) -> None:
    write(tmp_path, b"one\n")
    assert fifo.lines() == ["one"]
    assert select.select([fifo], [], [], 0)[0] == []


def test_bytes_that_are_no_text_are_a_line_all_the_same(fifo: notify.Fifo, tmp_path: Path) -> None:
    write(tmp_path, b"\xff\xfe\n")
    assert fifo.lines() == ["\N{REPLACEMENT CHARACTER}" * 2]


def test_the_fifo_is_for_its_owner_and_one_that_is_there_is_kept(
    fifo: notify.Fifo, tmp_path: Path
) -> None:
    path = tmp_path / "notify.fifo"
    assert stat.S_ISFIFO(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_ino
    notify.make_fifo(path)
    assert path.stat().st_ino == before


@pytest.fixture
def handlers() -> Iterator[None]:
    """This process hears signals as before, when the test is over."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    # Another test may have blocked one in this process, as `vgw start` does until it is heard.
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


def close(signals: notify.Signals) -> None:
    signals.reader.close()
    signals._writer.close()


@pytest.fixture
def signals(handlers: None) -> Iterator[notify.Signals]:
    found = notify.Signals()
    yield found
    close(found)


@pytest.mark.parametrize(
    ("number", "stop", "reload"),
    [
        (signal.SIGTERM, True, False),
        (signal.SIGINT, True, False),
        (signal.SIGHUP, False, True),
    ],
)
def test_a_signal_leaves_a_note_and_wakes_whoever_waits(
    signals: notify.Signals, number: signal.Signals, *, stop: bool, reload: bool
) -> None:
    assert select.select([signals.reader], [], [], 0)[0] == []
    signal.raise_signal(number)
    assert select.select([signals.reader], [], [], 5)[0] == [signals.reader]
    assert (signals.stop, signals.reload) == (stop, reload)


class Notices:
    """The kernel's messages of some groups, as they come by a netlink socket."""

    def __init__(self) -> None:
        self.reader, self.kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.reader.setblocking(False)
        self.groups = 0
        self.fileno, self.recv = self.reader.fileno, self.reader.recv

    def bind(self, address: tuple[int, int]) -> None:
        self.groups = address[1]


LINKS, RULES = netlink.ROUTE, netlink.NETFILTER


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[int, Notices]]:
    """What the kernel tells, by netlink family."""
    found = {LINKS: Notices(), RULES: Notices()}
    doors = opened(monkeypatch)
    for family, notices in found.items():
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK
        doors.lead(socket.AF_NETLINK, kind, family, to=lambda notices=notices: notices)  # type: ignore[misc]
    yield found
    for notices in found.values():
        notices.reader.close()
        notices.kernel.close()


@pytest.fixture
def sources(handlers: None, kernel: dict[int, Notices], tmp_path: Path) -> Iterator[Sources]:
    found = Sources(RunDir(tmp_path), [(RULES, 64)])
    yield found
    close(found._signals)
    os.close(found._fifo.fileno())


def test_nothing_heard_is_told_when_the_time_is_up(sources: Sources) -> None:
    assert sources.wait((), 0.01) == Heard()
    assert not sources.told_to_stop() and not sources.told_to_reload()


def test_keepalived_is_heard_with_its_words(sources: Sources, tmp_path: Path) -> None:
    write(tmp_path, b'INSTANCE "VI_1" BACKUP 100\nINSTANCE "VI_1" MASTER 100\n')
    heard = sources.wait((), 5)
    assert heard.local
    assert roles.cause(heard.lines) == "keepalived said MASTER", "the last word counts"
    assert roles.cause(["GROUP something else"]) is None


@pytest.mark.parametrize("family", [LINKS, RULES])
def test_the_kernels_word_asks_for_one_look_however_often_it_comes(
    sources: Sources, kernel: dict[int, Notices], family: int
) -> None:
    assert kernel[LINKS].groups and kernel[RULES].groups == 64
    for _ in range(3):
        kernel[family].kernel.send(b"a message")
    assert sources.wait((), 5) == Heard(local=True)
    assert sources.wait((), 0) == Heard(), "all of it was read away"


def test_the_pairs_sockets_wake_it_and_are_left_to_the_pair(sources: Sources) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"a beat")
        assert sources.wait([ours.fileno()], 5) == Heard(others=True)
        assert ours.recv(10) == b"a beat"


def test_signals_are_heard_at_once_and_a_reload_once(sources: Sources) -> None:
    signal.raise_signal(signal.SIGHUP)
    assert sources.wait((), 5).local
    assert (sources.told_to_reload(), sources.told_to_reload()) == (True, False)
    signal.raise_signal(signal.SIGTERM)
    assert sources.wait((), 5).local
    assert sources.told_to_stop()
