"""conntrackd is told in its own words; what waits for it is read from the kernel's lists of sockets."""

import os
import select
import socket
import subprocess
import time
from pathlib import Path

import pytest

from appliance.conntrack.conntrackd import NO_QUEUES, Conntrackd, commands, waiting
from appliance.conntrack.orders import Order, Outcome, Queues
from appliance.run_dir import RunDir

from .supervisord_stand_in import supervisord

NETLINK = """\
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
000000004f731416 0   14         000000d1 100      0        0     2        0        6701498
0000000019e9f022 12  23         00000000 16640    0        0     2        9        6700546
00000000df6930f2 12  2713440451 00000007 45459200 0        0     2        4711     6701170
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  1: 0200630A:0EC4 00000000:0000 07 00000000:00001A00 00:00000000 00000000     0        0 6701171 2 0000000000000000 0
  2: 0200630A:0EC5 00000000:0000 07 00000000:000000FF 00:00000000 00000000     0        0 6701172 2 0000000000000000 0
"""


def test_the_queues_of_the_one_who_listens_for_entries() -> None:
    assert waiting(NETLINK, UDP, 3780) == Queues(events=45459200, messages=6656, dropped=4711)


def test_nobody_listens() -> None:
    netlink, udp = (text.splitlines(keepends=True)[0] for text in (NETLINK, UDP))
    assert waiting(netlink, udp, 3780) == Queues(0, 0, 0)


def test_what_waits_on_this_machine_is_counted(tmp_path: Path) -> None:
    daemon = Conntrackd(RunDir(tmp_path))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
        assert daemon.queues(port).messages == 0
        door.sendto(bytes(100), door.getsockname())
        assert select.select([door], [], [], 10)[0]
        assert daemon.queues(port).messages >= 100


def test_a_kernel_that_shows_no_sockets_has_no_queues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.conntrack.conntrackd._EVENTS", tmp_path / "none")
    assert Conntrackd(RunDir(tmp_path)).queues(3780) == NO_QUEUES


def test_a_process_that_took_another_scheduler_is_made_to_run_as_any_other(tmp_path: Path) -> None:
    # SCHED_BATCH: a plain user may not have the realtime one that conntrackd takes.
    daemon = Conntrackd(RunDir(tmp_path))
    with subprocess.Popen(["sleep", "60"]) as child:
        os.sched_setscheduler(child.pid, os.SCHED_BATCH, os.sched_param(0))
        daemon.calm(child.pid)
        found = os.sched_getscheduler(child.pid)
        child.kill()
    assert found == os.SCHED_OTHER
    daemon.calm(child.pid)  # it is gone, and that is no error


def test_one_that_is_to_start_anew_is_killed_by_supervisord(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    with supervisord(run_dir, conntrackd=12) as told:
        Conntrackd(run_dir).restart()
    assert told.signals == [("conntrackd", "KILL")]


ANSWERS = """#!/bin/sh
echo "$*" >> "$0.log"
case "$*" in
*"-s network") echo "Packets lost:  3" ;;
*"-s queue") echo "not enough space errors:  4" ;;
*-s) printf 'external inject:\\nconnections created: 9 failed: 2\\n\\nfailed: 7\\n' ;;
*-R) echo "no socket"; exit 1 ;;
esac
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called conntrackd, which answers as the real one does, and logs how it was called."""
    found = tmp_path / "conntrackd"
    found.write_text(ANSWERS)
    found.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return found


def outcome(door: Conntrackd, order: Order) -> Outcome:
    """Give an order, and wait until it has ended."""
    door.give(order, 0.0)
    assert door.busy
    deadline = time.monotonic() + 10
    while (ended := door.outcome(0.0)) is None:
        assert time.monotonic() < deadline
    assert not door.busy
    assert door.outcome(0.0) is None, "it is told once"
    return ended


def calls(program: Path) -> list[str]:
    """The options it was called with."""
    lines = program.with_suffix(".log").read_text().splitlines()
    return [line.partition("conntrackd.conf ")[2] for line in lines]


def test_each_order_is_said_in_conntrackds_own_options(tmp_path: Path, program: Path) -> None:
    door = Conntrackd(RunDir(tmp_path))
    for order in (Order.DISOWN, Order.ANNOUNCE, Order.REQUEST, Order.FLUSH):
        assert outcome(door, order) == Outcome(order)
    assert calls(program) == ["-f internal", "-B", "-n", "-F"]
    assert all(commands(order, RunDir(tmp_path), "192.168.100.99") for order in Order)


def test_what_conntrackd_refuses_is_told_with_the_command(tmp_path: Path, program: Path) -> None:
    refused = outcome(Conntrackd(RunDir(tmp_path)), Order.OWN)
    assert refused.problem == f"`conntrackd -C {tmp_path}/conntrackd.conf -R` refused: no socket"


def test_the_counters_are_read_by_three_commands(tmp_path: Path, program: Path) -> None:
    told = outcome(Conntrackd(RunDir(tmp_path)), Order.COUNT)
    assert calls(program) == ["-s network", "-s queue", "-s"]
    assert told.counters == {"messages_lost": 3, "messages_unsent": 4, "entries_refused": 2}


def test_how_many_replicas_were_dropped_is_read_and_counts_as_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real one would drop entries of this machine.
    printing = ("sh", "-c", "echo 2")
    monkeypatch.setattr("appliance.conntrack.conntrackd._KEPT_PORTS", printing)
    door = Conntrackd(RunDir(tmp_path))
    assert outcome(door, Order.DROP_MOVED) == Outcome(Order.DROP_MOVED, dropped=2)
    assert outcome(door, Order.TOUCH_KEPT_PORTS) == Outcome(Order.TOUCH_KEPT_PORTS)


def test_one_that_does_not_answer_is_ended(tmp_path: Path, program: Path) -> None:
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    door = Conntrackd(RunDir(tmp_path))
    door.give(Order.OWN, 0.0)
    assert door.outcome(29.0) is None
    ended = door.outcome(31.0)
    assert ended and ended.problem.endswith("-R` gave no answer for 30 s")
    assert not door.busy


def test_without_the_program_the_order_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.system.ADMIN_PATHS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (
        "conntrackd: program not found" in outcome(Conntrackd(RunDir(tmp_path)), Order.OWN).problem
    )
