"""The start of the real conntrackd: what it finds in the table, and how soon it is there."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.kernel.conftest import Namespace
from tests.kernel.connections import insert, until
from tests.kernel.wanted import hold_addresses, plan_of

RUN_DIR = RunDir()
OUT = "-p udp -t 100 -s 192.168.100.10 -d 8.8.8.8 --sport 5000 --dport 53 --src-nat 203.0.113.99"
IN = (
    "-p udp -t 100 -s 198.51.100.7 -d 203.0.113.99 --sport 5001 --dport 80 --dst-nat 192.168.100.10"
)
OWN = "-p udp -t 100 -s 203.0.113.2 -d 8.8.8.8 --sport 5002 --dport 53"
Cases = dict[str, Path]


@contextlib.contextmanager
def started(file: Path) -> Iterator[None]:
    """conntrackd as supervisord starts it, beside what a killed one left."""
    plan = plan_of(file, Role.BACKUP)
    RUN_DIR.path.mkdir(mode=0o700, exist_ok=True)
    for own in plan.files:
        (RUN_DIR.path / own.name).write_text(own.text)
    command = next(
        line.removeprefix("command = ").split()
        for line in RUN_DIR.supervisord_conf.read_text().splitlines()
        if "start_conntrackd" in line
    )
    RUN_DIR.conntrackd_lock.touch()
    RUN_DIR.conntrackd_socket.touch()
    began = time.monotonic()
    with subprocess.Popen(command) as process:
        try:
            name = Path(f"/proc/{process.pid}/comm")
            until(lambda: name.read_text() == "conntrackd\n", "it has become conntrackd")
            print(f"conntrackd begins {(time.monotonic() - began) * 1000:.0f} ms after its start")
            until(RUN_DIR.conntrackd_socket.is_socket, "conntrackd takes orders")
            yield
        finally:
            process.terminate()


def sources() -> set[str]:
    """Where the flows in the table began."""
    listed = subprocess.run(["conntrack", "-L"], check=True, capture_output=True, text=True).stdout
    return {line.partition("src=")[2].split()[0] for line in listed.splitlines()}


def test_a_standby_starts_without_replicas_and_the_master_with_its_flows(
    tracked: Namespace, cases: Cases
) -> None:
    def body() -> None:
        for flow in (OUT, IN, OWN):
            insert(flow)
        everything = {"192.168.100.10", "198.51.100.7", "203.0.113.2"}
        assert sources() == everything
        hold_addresses(Role.MASTER)
        with started(cases["01-standard"]):
            assert sources() == everything
        hold_addresses(Role.BACKUP)
        with started(cases["01-standard"]):
            assert sources() == {"203.0.113.2"}, "what nobody translates is no replica"

    tracked(body)
