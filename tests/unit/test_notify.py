"""What the agent is told from outside arrives whole, and once."""

import os
import select
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.agent import notify


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
def signals() -> Iterator[notify.Signals]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    # Another test may have blocked one in this process, as `vgw start` does until it is heard.
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    found = notify.Signals()
    yield found
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)
    found.reader.close()
    found._writer.close()


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
