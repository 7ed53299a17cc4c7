"""The connection table of a real kernel: the canary, and which entries a touch makes it report."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from appliance import netlink
from appliance.conntrack import ctnetlink, table
from appliance.conntrack.ctnetlink import ASSURED, CONFIRMED, SEEN_REPLY, TCP, UDP, Flow
from appliance.wires import local_address
from tests.conftest import Bound
from tests.kernel.conftest import Namespace
from tests.kernel.connections import fill, insert, setting, until, updates, whole_table
from tests.waiting import PATIENCE

TIMERS = {
    "udp": 30,
    "icmp": 30,
    "udp_stream": 180,
    "tcp_established": 7200,
    "tcp_unacknowledged": 300,
}
VGW = "192.168.100.99"
REFRESH = [sys.executable, "-m", "appliance.conntrack.replica_refresh", "--address", VGW]
WITHOUT_CAPABILITY = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
MANY = 100_000


def touch(kind: str, period: float) -> table.Touched:
    rearmed = table.rearmed(kind, TIMERS, time.monotonic() - period)
    return table.touch(rearmed, rate=5000)


def test_the_canary_is_seen_by_its_number_and_leaves_by_itself(tracked: Namespace) -> None:
    def body() -> None:
        assert table.count() == 0 and table.limit() > 0
        table.plant(7)
        assert table.planted(7) and not table.planted(8)
        assert table.planted(50_007)
        table.plant(7)
        assert table.count() == 1
        (canary,) = whole_table().values()
        assert canary.remaining <= table.CANARY_TIMEOUT
        until(lambda: not table.planted(7), "the canary has left")

    tracked(body)


def test_only_what_saw_traffic_is_touched_and_its_timer_stays(tracked: Namespace) -> None:
    lines = {
        "udp": "-p udp -s 192.168.100.10 -d 8.8.8.8 --sport {port} --dport 53 -t {timer}",
        "udp_stream": "-p udp -s 192.168.100.10 -d 8.8.8.8 --sport 1{port} --dport 443 -t {timer} "
        "-u SEEN_REPLY,ASSURED",
        "icmp": "-p icmp -s 192.168.100.10 -d 8.8.8.8 --icmp-type 8 --icmp-code 0 --icmp-id {port} "
        "-t {timer}",
        "tcp_established": "-p tcp -s 192.168.100.10 -d 8.8.8.8 --sport 2{port} --dport 80 -t {timer} "
        "--state ESTABLISHED -u SEEN_REPLY,ASSURED",
    }
    periods = {"udp": 10, "udp_stream": 60, "icmp": 10, "tcp_established": 100}

    def body() -> None:
        for kind, line in lines.items():
            insert(line.format(port=1000, timer=TIMERS[kind]))
            insert(line.format(port=1001, timer=TIMERS[kind] - 2 * periods[kind]))
        insert(lines["tcp_established"].format(port=1002, timer=TIMERS["tcp_unacknowledged"]))
        closing = lines["tcp_established"].replace("ESTABLISHED", "TIME_WAIT")
        insert(closing.format(port=1003, timer=7200))
        insert("-p udp -s fd00::1 -d fd00::2 --sport 1 --dport 2 -t 30")
        expected = {"udp": [29], "udp_stream": [179], "icmp": [29], "tcp_established": [299, 7199]}
        with updates() as heard:
            for kind, timers in expected.items():
                before = whole_table()
                assert touch(kind, periods[kind]) == (len(timers), 0)
                reported = heard()
                assert all(ctnetlink.KINDS[kind].has(entry) for entry in reported)
                for entry, timer in zip(
                    sorted(reported, key=lambda entry: entry.remaining), timers, strict=True
                ):
                    assert timer - 5 <= entry.remaining <= timer + 1, (kind, entry)
                after = whole_table()
                assert after.keys() == before.keys()
                for name, entry in before.items():
                    assert entry.remaining - 5 <= after[name].remaining <= entry.remaining
                    assert after[name][:3] == entry[:3] and after[name].state == entry.state

    tracked(body)


def test_an_entry_that_has_ended_is_counted_and_not_made_again(tracked: Namespace) -> None:
    def body() -> None:
        gone = Flow(TCP, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), 1, 2)
        table.plant(1)
        there = ctnetlink.origin(table.canary(1))
        with updates() as heard:
            assert table.touch([[ctnetlink.origin(gone), there]], rate=100) == (2, 1)
            assert [entry.origin for entry in heard()] == [there]
        assert table.count() == 1

    tracked(body)


def test_a_kernel_that_refuses_the_filter_shows_everything(tracked: Namespace) -> None:
    def body() -> None:
        insert("-p udp -s 192.168.100.10 -d 8.8.8.8 --sport 1 --dport 53 -t 30")
        unknown = netlink.attribute(25 | 0x8000, netlink.attribute(1, b"\xff" * 4))
        request = ctnetlink.message(0x101, netlink.DUMP, unknown)
        dump = table._dump(request, ctnetlink.answers)
        assert [entry.protocol for buffer in dump for entry in buffer] == [UDP]

    tracked(body)


def test_flows_that_kept_their_port_are_found_beside_a_moved_sibling(tracked: Namespace) -> None:
    def body() -> None:
        machine, other = "-p udp -s 192.168.100.10 -t 30", "-p udp -s 192.168.100.20 -t 30"
        for port in (1, 2):
            insert(f"{machine} -d 8.8.8.8 --sport {port} --dport 53")
            insert(f"{other} -d 8.8.8.8 --sport {port} --dport 53")
        insert("-p icmp -s 192.168.100.10 -d 8.8.8.8 --icmp-type 8 --icmp-code 0 --icmp-id 1 -t 30")
        assert not list(table.kept_beside_moved())
        insert(f"{machine} -d 8.8.4.4 --sport 1 --dport 53 --src-nat 203.0.113.99:4000")
        kept = Flow(UDP, bytes((192, 168, 100, 10)), bytes((8, 8, 8, 8)), 1, 53)
        found = [name for names in table.kept_beside_moved() for name in names]
        assert found == [ctnetlink.origin(kept)]

    tracked(body)


def test_touches_keep_to_their_rate(tracked: Namespace, bound: Bound) -> None:
    def body() -> float:
        fill(1000, 3000)
        began = time.monotonic()
        stale = table.rearmed("udp", {**TIMERS, "udp": 3000}, began - 1000)
        assert table.touch(stale, rate=1000) == (1000, 0)
        took = time.monotonic() - began
        assert took > 0.9
        return took

    took = tracked(body)
    with bound:
        assert took < 5


def test_without_the_capability_the_operator_is_told(tracked: Namespace) -> None:
    def body() -> None:
        script = "from appliance.conntrack import table; table.plant(1)"
        done = subprocess.run(
            [*WITHOUT_CAPABILITY, sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "MissingCapability: the kernel refused to plant the canary 1" in done.stderr
        assert "cap_add" in done.stderr

    tracked(body)


def test_a_live_flow_is_touched_and_an_idle_one_is_not(tracked: Namespace) -> None:
    def body() -> None:
        # The kernel tracks what a rule asks about.
        rules = "add table ip t; add chain ip t o { type filter hook output priority 0; }; "
        rules += "add rule ip t o ct state new counter"
        subprocess.run(["nft", rules], check=True)
        setting("udp_timeout", TIMERS["udp"])
        with (
            socket.socket(type=socket.SOCK_DGRAM) as live,
            socket.socket(type=socket.SOCK_DGRAM) as idle,
            socket.socket(type=socket.SOCK_DGRAM) as server,
        ):
            server.bind(("192.168.100.2", 5000))
            for client in (live, idle):
                client.connect(("192.168.100.2", 5000))
                client.send(b"x")
            port = idle.getsockname()[1].to_bytes(2, "big")

            def aged() -> bool:
                live.send(b"x")
                found = [entry for name, entry in whole_table().items() if name[40:42] == port]
                return found[0].remaining <= TIMERS["udp"] - 4

            with updates() as heard:
                until(aged, "the idle flow's timer has run down")
                assert heard() == []  # traffic alone is no event
                assert touch("udp", 2) == (1, 0)
                touched = [entry.origin[40:42] for entry in heard()]
            assert touched == [live.getsockname()[1].to_bytes(2, "big")]

    tracked(body)


def test_a_table_of_many_entries_is_passed_over_in_moderate_time(
    tracked: Namespace, bound: Bound
) -> None:
    def body() -> tuple[float, float]:
        # So long that none ends meanwhile, however busy the machine is.
        fill(MANY // 2, 3000)
        fill(MANY // 2, 3000, first=MANY // 2, status=CONFIRMED | SEEN_REPLY | ASSURED)
        began, used = time.monotonic(), time.process_time()
        names = list(table.rearmed("udp", {**TIMERS, "udp": 3000}, began - 2500))
        read, used_to_read = time.monotonic() - began, time.process_time() - used
        began, used = time.monotonic(), time.process_time()
        sent, gone = table.touch(names, rate=1e9)
        touched, used_to_touch = time.monotonic() - began, time.process_time() - used
        assert (sent, gone) == (MANY // 2, 0)
        print(
            f"{MANY} entries, half of them udp: read {read:.2f} s (CPU {used_to_read:.2f} s), "
            f"{sent} touched {touched:.2f} s (CPU {used_to_touch:.2f} s)"
        )
        return read, touched

    read, touched = tracked(body)
    with bound:
        assert read < 10
        assert touched < 10


def test_the_program_refreshes_while_it_holds_the_address_and_ends_at_once(
    tracked: Namespace, bound: Bound
) -> None:
    def once() -> str:
        done = subprocess.run([*REFRESH, "--once"], capture_output=True, text=True, check=True)
        return done.stderr.strip()

    def body() -> float:
        line = "-p udp -s 192.168.100.10 -d 8.8.8.8 --sport 1 --dport 53 -t 30"
        insert(line)
        assert not local_address.holds(VGW)
        assert once() == "refresh: nothing to do"
        subprocess.run(["ip", "addr", "add", f"{VGW}/24", "dev", "eth1"], check=True)
        assert local_address.holds(VGW)
        assert once() == "refresh: udp 1, icmp 0, udp_stream 0, tcp_established 0"
        with updates() as heard:
            program = subprocess.Popen(REFRESH, stderr=subprocess.PIPE, text=True)
            try:
                until(lambda: bool(heard()), "the program has touched the entry")
                memory = Path(f"/proc/{program.pid}/status").read_text()
                resident = int(memory.split("VmRSS:")[1].split()[0])
                print(f"resident: {resident} kB")
                assert resident <= 20_000
            finally:
                began = time.monotonic()
                program.send_signal(signal.SIGTERM)
                _, said = program.communicate(timeout=PATIENCE)
            assert (program.returncode, said) == (0, "")
            return time.monotonic() - began

    took = tracked(body)
    with bound:
        assert took < 1


def test_a_long_pass_lets_quicker_kinds_between_and_ends_with_the_role(
    tracked: Namespace,
) -> None:
    def body() -> None:
        subprocess.run(["ip", "addr", "add", f"{VGW}/24", "dev", "eth1"], check=True)
        fill(1000, TIMERS["udp_stream"], status=CONFIRMED | SEEN_REPLY | ASSURED)
        insert("-p udp -s 192.168.100.10 -d 8.8.8.8 --sport 1 --dport 53 -t 100")
        command = [*REFRESH, "--once", "--udp", "3", "--udp-stream", "180", "--rate", "200"]
        with updates() as heard, subprocess.Popen(command) as program:
            streams, others = 0, 0

            def hear() -> None:
                nonlocal streams, others
                reported = [bool(entry.status & ASSURED) for entry in heard()]
                streams, others = streams + sum(reported), others + reported.count(False)

            def interleaved() -> bool:
                hear()
                return streams > 100 and others > 1

            until(interleaved, "udp is touched again while the pass over udp_stream goes on")
            assert program.poll() is None and streams < 1000
            subprocess.run(["ip", "addr", "del", f"{VGW}/24", "dev", "eth1"], check=True)
            assert program.wait(timeout=PATIENCE) == 0
            hear()
            assert streams < 1000

    tracked(body)


def test_a_problem_is_said_once_and_ends_nothing(tracked: Namespace) -> None:
    def body() -> None:
        subprocess.run(["ip", "addr", "add", f"{VGW}/24", "dev", "eth1"], check=True)
        command = [*WITHOUT_CAPABILITY, *REFRESH, "--udp", "3"]
        program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert program.stderr is not None
        assert "CAP_NET_ADMIN" in program.stderr.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(timeout=4)  # time for three passes over udp, and one over each other kind
        program.terminate()
        _, said = program.communicate(timeout=PATIENCE)
        assert (program.returncode, said) == (0, "")

    tracked(body)
