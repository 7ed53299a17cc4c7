"""The connection table by its netlink socket, with a stand-in for the kernel at the other end."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import AF_NETLINK, SOCK_RAW

import pytest

from appliance import CommandFailed, MissingCapability, MissingKernelFeature, netlink
from appliance.conntrack import kept_ports, replica_refresh, table
from appliance.conntrack.ctnetlink import ASSURED, ICMP, TCP, UDP, Flow
from appliance.conntrack.table import Touched

from .kernel_stand_ins import ConnectionTable, Door, Kept, RoutingTable, opened, refused

INSIDE, WORLD = bytes((192, 168, 100, 10)), bytes((8, 8, 8, 8))
TIMERS = {"udp": 30, "icmp": 30, "udp_stream": 180, "tcp_established": 7200}


def udp(port: int, remaining: int, status: int = 0, outside: int | None = None) -> Kept:
    return Kept(Flow(UDP, INSIDE, WORLD, port, 53), remaining, status, outside)


def named(batches: Iterator[list[bytes]]) -> list[bytes]:
    return [name for names in batches for name in names]


def tcp(port: int, remaining: int = 7200, *, strict: bool = False) -> Kept:
    return Kept(Flow(TCP, INSIDE, WORLD, port, 443), remaining, ASSURED, strict=strict)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> ConnectionTable:
    found = ConnectionTable()
    opened(monkeypatch).lead(AF_NETLINK, SOCK_RAW, netlink.NETFILTER, to=found.door)
    return found


def test_a_canary_is_there_once_it_was_planted_and_armed_again_by_planting_it_again(
    kernel: ConnectionTable,
) -> None:
    assert not table.planted(7)
    table.plant(7)
    assert table.planted(7) and not table.planted(8)
    (canary,) = kernel.entries.values()
    assert (canary.flow, canary.remaining) == (table.canary(7), table.CANARY_TIMEOUT)
    canary.remaining = 1
    table.plant(7)
    assert [entry.remaining for entry in kernel.entries.values()] == [table.CANARY_TIMEOUT]


def test_what_traffic_has_rearmed_is_named_and_nothing_else(kernel: ConnectionTable) -> None:
    fresh, old = udp(1, 29), udp(2, 5)
    echo = Kept(Flow(ICMP, INSIDE, WORLD, 9, 8 * 256), 29)
    kernel.keep(fresh, old, udp(3, 179, ASSURED), tcp(4), echo)
    since = time.monotonic() - 10
    assert named(table.rearmed("udp", TIMERS, since)) == [fresh.name]
    assert named(table.rearmed("icmp", TIMERS, since)) == [echo.name]


def test_a_kernel_that_knows_no_filters_is_asked_for_everything(kernel: ConnectionTable) -> None:
    kernel.filters = False
    kernel.keep(udp(1, 29), tcp(2))
    names = named(table.rearmed("tcp_established", TIMERS, time.monotonic() - 10))
    assert names == [tcp(2).name]


def test_of_siblings_those_that_kept_their_port_are_told_where_one_did_not(
    kernel: ConnectionTable,
) -> None:
    kept = Kept(Flow(UDP, INSIDE, bytes((9, 9, 9, 9)), 1, 53), 29)
    kernel.keep(kept, udp(2, 29), tcp(1))
    assert named(table.kept_beside_moved()) == []
    kernel.keep(udp(1, 29, outside=40_000))
    assert named(table.kept_beside_moved()) == [kept.name]


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Be the process for kept ports."""
    monkeypatch.setattr("sys.argv", ["kept_ports", *words])
    kept_ports.main()


def test_flows_that_kept_their_port_are_told_while_nobody_else_tells_of_any(
    kernel: ConnectionTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, is_held = tmp_path / "hold", []
    kept = Kept(Flow(UDP, INSIDE, bytes((9, 9, 9, 9)), 1, 53), 29)
    kernel.keep(kept, udp(1, 29, outside=40_000), udp(2, 29))
    kernel.at_touch = lambda: is_held.append(replica_refresh.held(str(hold)))
    run(monkeypatch, "--tell", str(hold))
    assert kernel.touched == [kept.flow]
    assert is_held == [True]
    assert replica_refresh.held(str(hold)), "and for a while, for what it told is on its way"


def test_where_no_port_was_moved_nobody_is_held(
    kernel: ConnectionTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = tmp_path / "hold"
    kernel.keep(udp(1, 29), udp(2, 29))
    run(monkeypatch, "--tell", str(hold))
    assert kernel.touched == [] and not hold.exists()


def test_a_hold_is_over_by_itself(tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    assert not replica_refresh.held(str(hold)), "nobody holds"
    hold.touch()
    for seconds, held in ((0, True), (-replica_refresh.HOLD - 1, False), (60, False)):
        moment = time.monotonic() + seconds - 0.01
        os.utime(hold, (moment, moment))
        assert replica_refresh.held(str(hold)) is held


@pytest.mark.parametrize("holds_vgw", [False, True])
def test_replicas_that_came_with_another_port_are_dropped_but_by_who_holds_the_vgw(
    kernel: ConnectionTable,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    holds_vgw: bool,
) -> None:
    doors = opened(monkeypatch)
    doors.lead(AF_NETLINK, SOCK_RAW, netlink.NETFILTER, to=kernel.door)
    doors.lead(AF_NETLINK, SOCK_RAW, netlink.ROUTE, to=RoutingTable(local=holds_vgw).door)
    kept, moved = udp(2, 29), [udp(1, 29, outside=40_000), udp(3, 29, outside=40_001)]
    kernel.keep(kept, *moved)
    run(monkeypatch, "--drop", "192.168.100.99")
    assert capsys.readouterr().out == ("0\n" if holds_vgw else "2\n")
    assert list(kernel.entries.values()) == ([kept, *moved] if holds_vgw else [kept])


def test_the_process_for_kept_ports_ends_with_the_kernels_word(
    kernel: ConnectionTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.refuses = errno.EPERM
    for words in (("--tell", str(tmp_path / "hold")), ("--drop", "192.168.100.99")):
        with pytest.raises(SystemExit, match=r"show the connection table: CAP_NET_ADMIN is missin"):
            run(monkeypatch, *words)


def test_connections_whose_resets_must_fit_are_told(kernel: ConnectionTable) -> None:
    kernel.keep(tcp(1), tcp(2, strict=True), udp(3, 29))
    assert named(table.strict()) == [tcp(2).name]


def test_what_has_ended_before_it_was_touched_is_counted_and_not_made_anew(
    kernel: ConnectionTable,
) -> None:
    kernel.keep(udp(1, 29))
    batches = [[udp(1, 29).name, udp(2, 29).name], [], [udp(3, 29).name]]
    assert table.touch(batches, 10_000) == Touched(sent=3, gone=2)
    assert list(kernel.entries) == [udp(1, 29).name]


def test_a_rate_is_kept_over_more_than_one_message(kernel: ConnectionTable) -> None:
    entries = [udp(port, 29) for port in range(1, 151)]
    kernel.keep(*entries)
    began = time.monotonic()
    assert table.touch([[entry.name for entry in entries]], 1500).sent == 150
    assert time.monotonic() - began >= 0.1
    assert kernel.touched == [entry.flow for entry in entries]


DEEDS: dict[str, Callable[[], object]] = {
    "to plant the canary 7 in the connection table": lambda: table.plant(7),
    "to look for the canary 7 in the connection table": lambda: table.planted(7),
    "to show the connection table": lambda: list(table.strict()),
    "to update connections that the peer should know of (1)": lambda: table.touch(
        [[b"x" * 52]], 1e4
    ),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_the_kernel_refuses_is_told_with_its_word(kernel: ConnectionTable, deed: str) -> None:
    kernel.refuses = errno.ENOMEM
    with pytest.raises(CommandFailed) as failed:
        DEEDS[deed]()
    assert str(failed.value) == f"the kernel refused {deed}: Cannot allocate memory"
    kernel.refuses = errno.EPERM
    with pytest.raises(MissingCapability) as missing:
        DEEDS[deed]()
    assert str(missing.value).startswith(
        f"the kernel refused {deed}: CAP_NET_ADMIN is missing; give"
    )


def test_a_kernel_that_does_not_answer_is_told(
    kernel: ConnectionTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.silent = True
    with pytest.raises(CommandFailed, match="did not answer about the connection table for 10 s"):
        table.planted(7)

    def overrun(_door: Door, _size: int, _flags: int = 0) -> bytes:
        raise OSError(errno.ENOBUFS, "No buffer space available")

    monkeypatch.setattr(Door, "recv", overrun)
    with pytest.raises(
        CommandFailed, match="about the connection table: No buffer space available"
    ):
        table.planted(7)


def test_a_kernel_without_the_module_says_which_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = opened(monkeypatch)
    doors.lead(AF_NETLINK, SOCK_RAW, netlink.NETFILTER, to=refused(errno.EPROTONOSUPPORT))
    with pytest.raises(MissingKernelFeature, match=r"supported; load nf_conntrack_netlink on"):
        table.planted(7)


def test_how_full_the_table_is_comes_from_the_kernels_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "SETTINGS", tmp_path)
    monkeypatch.setattr(table, "_STATISTICS", tmp_path / "statistics")
    with pytest.raises(MissingKernelFeature, match=r"nf_conntrack_count cannot be read: No such"):
        table.count()
    assert table.refused() is table.dropped() is None
    (tmp_path / "nf_conntrack_count").write_text("12\n")
    (tmp_path / "nf_conntrack_max").write_text("262144\n")
    (tmp_path / "statistics").write_text("entries insert_failed drop\n0000000c 0000000a 2\n")
    assert (table.count(), table.limit()) == (12, 262_144)
    assert (table.refused(), table.dropped()) == (10, 2)
