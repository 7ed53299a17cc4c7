"""When each kind of entry is looked at, and what becomes of it."""

import errno
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import netlink
from appliance.conntrack import kept_ports, replica_refresh, table
from appliance.conntrack.ctnetlink import ASSURED, TCP, UDP, Flow
from appliance.conntrack.replica_refresh import DEFAULTS, Refresher, due, spacing
from appliance.planning import daemon_files
from appliance.run_dir import RunDir

from .kernel_stand_ins import ConnectionTable, Kept, RoutingTable, opened
from .node_doors import config

SPACES = spacing({**DEFAULTS, "udp_stream": 180, "tcp_established": 7200})


def test_each_kind_is_looked_at_thrice_in_its_timer_the_shortest_first() -> None:
    assert list(SPACES.items()) == [
        ("udp", 10),
        ("icmp", 10),
        ("udp_stream", 60),
        ("tcp_established", 100),  # of 300, which unacknowledged data leaves
    ]
    assert spacing({**DEFAULTS, "tcp_established": 60})["tcp_established"] == 20


def test_a_node_that_has_looked_at_nothing_has_everything_to_do() -> None:
    assert due(SPACES, {}, 0.0) == list(SPACES)


def test_a_kind_is_due_again_when_its_time_has_come() -> None:
    last = {"udp": 1000.0, "icmp": 1005.0, "udp_stream": 950.0, "tcp_established": 911.0}
    assert due(SPACES, last, 1009.9) == []
    assert due(SPACES, last, 1010.0) == ["udp", "udp_stream"]
    assert due(SPACES, last, 1011.0) == ["udp", "udp_stream", "tcp_established"]


@given(st.lists(st.floats(0.01, 30), min_size=10, max_size=200))
def test_no_pass_comes_early_nor_later_than_one_look(steps: list[float]) -> None:
    now, last = 0.0, dict.fromkeys(SPACES, 0.0)
    for step in steps:
        now += step
        for kind in due(SPACES, last, now):
            assert SPACES[kind] <= now - last[kind] < SPACES[kind] + step + 1e-6
            last[kind] = now
        assert all(now - began < SPACES[kind] for kind, began in last.items())


def test_a_new_master_leaves_its_first_passes_for_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The timers of the one that it follows are true, and flows that begin now must not wait.
    holds, now = [False], [100.0]
    monkeypatch.setattr("appliance.wires.local_address.holds", lambda _: holds[0])
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    refresher = Refresher("192.168.100.99", DEFAULTS, 1000)
    passes: list[str] = []
    monkeypatch.setattr(refresher, "_pass", passes.append)
    monkeypatch.setattr(refresher, "_forget", lambda: passes.append("forget"))
    refresher.look()
    assert passes == []
    holds[0] = True
    refresher.look()
    assert passes == ["forget"]
    now[0] += refresher.spaces["udp"]
    refresher.look()
    assert passes == ["forget", "udp", "icmp"]


def test_one_that_starts_on_a_master_begins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.wires.local_address.holds", lambda _: True)
    refresher = Refresher("192.168.100.99", DEFAULTS, 1000)
    passes: list[str] = []
    monkeypatch.setattr(refresher, "_pass", passes.append)
    monkeypatch.setattr(refresher, "_forget", lambda: passes.append("forget"))
    refresher.look()
    assert passes == [*refresher.spaces, "forget"]


class Kernel(NamedTuple):
    """What the kernel keeps: its connections, and whether the gateway address is this node's."""

    connections: ConnectionTable
    routes: RoutingTable


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    found = Kernel(ConnectionTable(), RoutingTable(local=True))
    doors = opened(monkeypatch)
    doors.lead(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETFILTER, to=found.connections.door)
    doors.lead(socket.AF_NETLINK, socket.SOCK_RAW, netlink.ROUTE, to=found.routes.door)
    monkeypatch.setattr(table, "SETTINGS", tmp_path)
    (tmp_path / "nf_conntrack_count").write_text("4\n")
    return found


def kept(protocol: int, port: int, remaining: int, *, strict: bool = False) -> Kept:
    flow = Flow(protocol, bytes((192, 168, 100, 10)), bytes((8, 8, 8, 8)), port, 443)
    return Kept(flow, remaining, ASSURED * (protocol == TCP), strict=strict)


def refresher(rate: float = 10_000, **timers: int) -> Refresher:
    return Refresher("192.168.100.99", {**DEFAULTS, **timers}, rate)


def test_a_master_touches_what_saw_traffic_and_lets_the_rest_expire(kernel: Kernel) -> None:
    kernel.connections.keep(
        kept(UDP, 1, 29), kept(UDP, 2, 5), kept(TCP, 3, 432_000), kept(TCP, 4, 400_000)
    )
    node = refresher()
    assert node.look() == {"udp": 1, "icmp": 0, "udp_stream": 0, "tcp_established": 1}
    assert [flow.source_port for flow in kernel.connections.touched] == [1, 3]
    assert node.look() == {}, "nothing is due again"


def test_a_new_master_lets_any_reset_end_the_connections_that_it_knew(kernel: Kernel) -> None:
    doubted = kept(TCP, 1, 432_000, strict=True)
    kernel.connections.keep(doubted, kept(TCP, 2, 432_000))
    kernel.routes.local = False
    node = refresher()
    assert node.look() == {} and doubted.strict
    kernel.routes.local = True
    assert node.look() == {}, "the former MASTER's timers are the true ones"
    assert not doubted.strict
    assert [flow.source_port for flow in kernel.connections.touched] == [1]


def test_who_lost_the_address_meanwhile_touches_no_more(kernel: Kernel) -> None:
    kernel.connections.keep(*(kept(UDP, port, 29) for port in range(1, 10)))
    kernel.connections.at_touch = lambda: setattr(kernel.routes, "local", False)
    refresher().look()
    assert [flow.source_port for flow in kernel.connections.touched] == [1]


def test_nothing_is_touched_while_a_standby_is_told_what_it_must_hear_first(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.connections.keep(kept(UDP, 1, 29))
    hold = tmp_path / "hold"
    kept_ports.hold(hold)
    touched_by_then: list[int] = []

    def over(_seconds: float) -> None:
        if hold.exists():
            touched_by_then.append(len(kernel.connections.touched))
            hold.unlink()

    monkeypatch.setattr("time.sleep", over)
    assert Refresher("192.168.100.99", DEFAULTS, 10_000, str(hold)).look()["udp"] == 1
    assert touched_by_then == [0]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes where somebody sleeps, and nowhere else."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.append(now.pop() + seconds))


def test_short_timers_are_kept_while_a_long_pass_goes_on(kernel: Kernel, clock: None) -> None:
    kernel.connections.keep(kept(UDP, 1, 30), kept(TCP, 2, 432_000), kept(TCP, 3, 432_000))
    refresher(rate=1 / 15).look()  # 15 s a touch; UDP is due each 10 s
    touched = [flow.source_port for flow in kernel.connections.touched]
    assert 1 in touched[touched.index(2) : touched.index(3)]


def test_a_pass_that_takes_too_long_is_told_with_the_remedy(
    kernel: Kernel, clock: None, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel.connections.keep(kept(UDP, 1, 30))
    refresher(rate=1 / 15).look()
    assert capsys.readouterr().err == (
        "refresh: refreshing 1 replicas of udp entries took 15 s, and 10 s are allowed; replicas may "
        "expire on the peer; lengthen this timer under `timeouts`\n"
    )


def test_what_the_kernel_refuses_is_told_once_and_once_that_it_is_over(
    kernel: Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    node, problem = (
        refresher(),
        "replicas on the peer are not refreshed: the kernel refused to show ",
    )
    kernel.connections.refuses = errno.ENOMEM
    assert set(node.look().values()) == {0}
    node.look()
    told = capsys.readouterr().err
    assert told == f"refresh: {problem}the connection table: Cannot allocate memory\n"
    kernel.connections.refuses = 0
    node.last.clear()
    node.look()
    assert capsys.readouterr().err == told.replace("refresh: ", "refresh: over: ")


def test_who_cannot_tell_whether_it_is_master_touches_nothing_and_says_so(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel.connections.keep(kept(UDP, 1, 29))
    node = refresher()
    with monkeypatch.context() as broken:
        broken.setattr(kernel.routes, "answers", lambda *_: iter(()))
        assert node.look() == {}
    assert capsys.readouterr().err.startswith(
        "refresh: the kernel did not tell who has 192.168.100.99"
    )
    assert node.look()["udp"] == 1
    assert capsys.readouterr().err.startswith("refresh: over: the kernel did not tell")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """For `main`, which this process outlives: it stays as nice as it was, and hears what it did."""
    monkeypatch.setattr("os.nice", lambda _: 0)
    before = signal.getsignal(signal.SIGTERM)
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    yield monkeypatch
    signal.signal(signal.SIGTERM, before)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def test_once_tells_how_many_of_each_kind_and_ends(
    kernel: Kernel, command: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command.setattr(
        sys, "argv", ["refresh", "--address", "192.168.100.99", "--udp", "60", "--once"]
    )
    kernel.connections.keep(kept(UDP, 1, 59))
    assert replica_refresh.main() == 0
    told = capsys.readouterr().err
    assert told == "refresh: udp 1, icmp 0, udp_stream 0, tcp_established 0\n"
    kernel.routes.local = False
    assert replica_refresh.main() == 0
    assert capsys.readouterr().err == "refresh: nothing to do\n"
    kernel.routes.local = True
    kernel.connections.refuses = errno.EPERM
    assert replica_refresh.main() == 1


def test_a_timer_of_nothing_is_refused(
    command: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command.setattr(sys, "argv", ["refresh", "--address", "192.168.100.99", "--udp", "0"])
    with pytest.raises(SystemExit):
        replica_refresh.main()
    assert "argument --udp: 0 must be at least 1" in capsys.readouterr().err


def test_it_looks_again_and_again_until_sigterm_which_ends_it_well(
    kernel: Kernel, command: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        pass

    def leave(code: int) -> None:
        raise Ended(code)

    command.setattr(sys, "argv", ["refresh", "--address", "192.168.100.99"])
    command.setattr("os._exit", leave)
    command.setattr(replica_refresh, "TICK", 0.01)
    kernel.routes.local = False
    asked = []

    def asks(*_: object) -> Iterator[bytes]:
        asked.append(time.monotonic())
        if len(asked) == 3:
            signal.raise_signal(signal.SIGTERM)
        return RoutingTable(local=False).answers(0, 0, b"")

    command.setattr(kernel.routes, "answers", asks)
    with pytest.raises(Ended, match="0"):
        replica_refresh.main()
    assert len(asked) == 3


def test_the_words_that_the_plan_gives_it_are_those_that_it_knows(tmp_path: Path) -> None:
    wanted = config(**{"machines:": "timeouts: {udp: 40}\nmachines:"})
    file = tmp_path / "refresh.args"
    file.write_text(daemon_files.refresh_args(wanted, RunDir("/run/vgw")))
    given = vars(replica_refresh.options().parse_args([f"@{file}"]))
    assert (given["address"], given["held"]) == ("192.168.100.99", "/run/vgw/touches-held")
    assert {name: given[name] for name in ("udp", "udp_stream", "icmp", "tcp_established")} == {
        "udp": 40,
        "udp_stream": 180,
        "icmp": 30,
        "tcp_established": 7200,
    }


def test_words_that_change_have_it_begin_anew_and_others_do_not(
    kernel: Kernel, command: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Anew(BaseException):
        pass

    def become(program: str, argv: list[str]) -> None:
        raise Anew(program, *argv)

    file = tmp_path / "refresh.args"
    file.write_text("--address\n192.168.100.99\n")
    looks = 0

    def look(_: Refresher) -> dict[str, int]:
        nonlocal looks
        looks += 1
        if looks == 3:
            file.rename(tmp_path / "away")  # in the middle of being replaced it is no other
        if looks == 5:
            file.write_text("--address\n192.168.100.98\n")
        return {}

    command.setattr(sys, "argv", ["refresh", f"@{file}"])
    command.setattr("os.execv", become)
    command.setattr(replica_refresh, "TICK", 0.001)
    command.setattr(Refresher, "look", look)
    with pytest.raises(Anew) as anew:
        replica_refresh.main()
    module = ("-m", "appliance.conntrack.replica_refresh", f"@{file}")
    assert anew.value.args == (sys.executable, sys.executable, *module)
    assert looks == 5
