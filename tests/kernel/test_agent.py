"""The agent for real: it follows the role it finds, repairs what drifts, soon enough, and stays small."""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from appliance import converge
from appliance.agent import notify
from appliance.processes import notes
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.conftest import Bound
from tests.kernel.conftest import Namespace
from tests.kernel.test_adverts import DROPPED, GROUP, advert, packet, send
from tests.kernel.test_converge import DRIFT
from tests.kernel.wanted import hold_addresses, listing, plan_of, state
from tests.waiting import PATIENCE, waited

RUN_DIR = RunDir()
LOG = Path("/run/agent.log")
Cases = dict[str, Path]


def until(condition: Callable[[], object]) -> float:
    """Wait until a condition holds, and return how many seconds it took."""
    return waited(condition, every=0.002, told=LOG.read_text)


def told() -> dict[str, Any]:
    """The agent's last snapshot."""
    found: dict[str, Any] = json.loads(RUN_DIR.status.read_text())
    return found


@contextlib.contextmanager
def running(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An agent on a machine that is prepared as `vgw start` does."""
    converge.converge_fully(plan_of(file, Role.BACKUP), RUN_DIR)
    notify.make_fifo(RUN_DIR.notify_fifo)
    notes.set_ready(RUN_DIR, ready=True)
    environ = {**os.environ, "VGW_CONFIG": str(file)}
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "appliance.agent"], env=environ, stdout=log
        )
    try:
        until(RUN_DIR.status.exists)
        yield process
    finally:
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 0


def announce(words: str) -> None:
    """Write a line to the FIFO, as keepalived does at a change of role."""
    with RUN_DIR.notify_fifo.open("w") as fifo:
        fifo.write(f'INSTANCE "VI_1" {words} 100\n')


def own_route() -> str:
    command = ["ip", "route", "show", "table", "2010"]
    return subprocess.check_output(command, text=True)


def test_drift_of_every_kind_is_repaired_within_two_seconds_and_counted(
    namespace: Namespace, cases: Cases, bound: Bound
) -> None:
    def body() -> list[float]:
        took = []
        with running(cases["01-standard"]):
            wanted = plan_of(cases["01-standard"], Role.BACKUP)
            before = state(wanted)
            assert told()["repairs"] == 0
            for number, drift in enumerate(DRIFT.values(), start=1):
                subprocess.run(["sh", "-c", drift], check=True)
                took.append(until(lambda: not converge.differences(wanted, RUN_DIR)))
                assert state(wanted) == before
                took.append(until(lambda number=number: told()["repairs"] >= number))  # type: ignore[misc]
            assert told()["problems"] == []
        return took

    took = namespace(body)
    with bound:
        assert max(took) <= 2


def test_what_the_ruleset_drops_is_told(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        strangers = [packet(advert(0x31, number), GROUP, "192.168.100.10") for number in range(3)]

        def dropped() -> int:
            chain, rule = DROPPED
            return sum(
                one["packets"]
                for one in told()["dropped"]
                if (one["chain"], one["rule"]) == (chain, rule)
            )

        with running(cases["01-standard"]):
            until(lambda: told()["dropped"])
            assert dropped() == 0
            send(strangers, GROUP)
            until(dropped)
            metrics = subprocess.check_output(
                [sys.executable, "-m", "appliance", "metrics"], text=True
            )
        assert dropped() == len(strangers)
        labels = 'chain="arriving",rule="VRRP from anybody else"'
        assert f"vgw_dropped_packets_total{{{labels}}} 3.0" in metrics.splitlines()

    namespace(body)


def test_a_repair_counts_though_the_role_changes_in_the_same_look(
    namespace: Namespace, cases: Cases
) -> None:
    def body() -> None:
        with running(cases["01-standard"]) as process:
            until(lambda: told()["role"] == "BACKUP")
            process.send_signal(signal.SIGSTOP)
            hold_addresses(Role.MASTER)
            subprocess.run(["sh", "-c", DRIFT["a rule deleted"]], check=True)
            process.send_signal(signal.SIGCONT)
            until(lambda: told()["role"] == "MASTER" and told()["repairs"] == 1)
            hold_addresses(Role.BACKUP)
            until(lambda: told()["role"] == "BACKUP")
            assert told()["repairs"] == 1, "what a new role asks for is no repair"

    namespace(body)


def test_a_new_role_moves_the_nodes_own_routes_within_20_ms(
    namespace: Namespace, cases: Cases, bound: Bound
) -> None:
    def body() -> list[float]:
        took = []
        with running(cases["01-standard"]):
            for turn in range(20):
                role = (Role.MASTER, Role.BACKUP)[turn % 2]
                source = "203.0.113.99" if role is Role.MASTER else "203.0.113.2"
                hold_addresses(role)
                announce(role)
                until(lambda source=source: f"src {source}" in own_route())  # type: ignore[misc]
                until(lambda role=role: told()["role"] == role)  # type: ignore[misc]
                # Where it looked between the two addresses, the routes wait for the second.
                until(lambda: told()["moved_ms"] is not None)
                took.append(told()["moved_ms"])
        return took

    took = namespace(body)
    print(f"routes moved after {statistics.median(took)} ms in the median, {max(took)} at most")
    with bound:
        assert statistics.median(took) <= 20


def test_the_fifo_alone_is_heard_and_cannot_lie(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        with running(cases["01-standard"]):
            announce("MASTER")
            written = told()["written"]
            until(lambda: told()["written"] > written)
            assert told()["role"] == "BACKUP", "who does not hold the VGW is no MASTER"
            hold_addresses(Role.MASTER)
            until(lambda: told()["role"] == "MASTER")
            RUN_DIR.notify_fifo.write_text("rubbish\n\n\0\nINSTANCE")
            written = told()["written"]
            until(lambda: told()["written"] > written)

    namespace(body)


def test_a_fresh_agent_reads_its_role_from_the_world(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        hold_addresses(Role.MASTER)
        with running(cases["01-standard"]):
            assert told()["role"] == "MASTER"
            assert "src 203.0.113.99" in own_route()

    namespace(body)


def test_resident_memory_stays_under_45_mb(
    namespace: Namespace, cases: Cases, bound: Bound
) -> None:
    def body() -> float:
        with running(cases["05-everything"]) as process:
            for _ in range(10):
                for role in (Role.MASTER, Role.BACKUP):
                    hold_addresses(role)
                    until(lambda role=role: told()["role"] == role)  # type: ignore[misc]
            status = Path(f"/proc/{process.pid}/status").read_text()
            kib = int(next(line for line in status.splitlines() if "VmRSS" in line).split()[1])
            return kib * 1024 / 1e6

    resident = namespace(body)
    print(f"resident: {resident:.1f} MB")
    with bound:
        assert resident <= 45


def test_a_broken_file_is_not_taken_up_and_a_good_one_is(
    namespace: Namespace, cases: Cases, tmp_path: Path
) -> None:
    def body() -> None:
        file = tmp_path / "gateway.yaml"
        file.write_text(cases["01-standard"].read_text())
        with running(file) as process:
            good, text = listing(), file.read_text()
            for bad in (
                text.replace("priority: 90", "priority: none").encode(),
                text.replace("  master:", "  other:").encode(),
                b"\xff\xfe",
            ):
                LOG.write_text("")
                file.write_bytes(bad)
                process.send_signal(1)
                until(lambda: "kept the former configuration" in LOG.read_text())
                assert listing() == good
                until(lambda: told()["file_errors"])
                assert RUN_DIR.accepted.read_text() == text
            # But for what the nodes change together, which waits for the peer.
            other = cases["05-everything"].read_text().replace("router_id: 77", "router_id: 51")
            file.write_text(other.replace("port: 3781", "port: 3780"))
            process.send_signal(1)
            until(lambda: "8080" in (listing() or ""))
            until(lambda: told()["file_errors"] == [])
            assert told()["repairs"] == 0, "a change of the file is no drift"
            assert RUN_DIR.accepted.read_text() == file.read_text()

    namespace(body)


def test_a_tracked_interface_that_is_down_is_a_fault(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        with running(cases["05-everything"]):
            assert told()["role"] == "BACKUP"
            subprocess.run(["ip", "link", "set", "eth3", "down"], check=True)
            until(lambda: told()["role"] == "FAULT")

    namespace(body)
