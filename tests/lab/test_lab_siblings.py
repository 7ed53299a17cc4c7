"""A returning node gives each flow the outside port that it has on the MASTER, whatever its siblings have."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from tests.waiting import eventually

from .conftest import Lab
from .test_lab_changes import running

SIBLINGS = 100
# One datagram to each of some servers, all from one port; once more each five seconds, for nobody answers, and the kernel
# forgets such a flow after thirty.
SEND = """
import select, socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
    flow.bind(("", int(sys.argv[1])))
    while True:
        for server in sys.argv[2:]:
            flow.sendto(b"?", (server, 1007))
        print("sent", flush=True)
        if select.select([sys.stdin], [], [], 5)[0]:
            break
"""


@contextmanager
def sending(lab: Lab, machine: str, port: int, *servers: str) -> Iterator[None]:
    """While the block runs, flows of a machine's; each is there when it begins."""
    with running(lab, machine, "python3", "-c", SEND, str(port), *servers) as child:
        assert child.stdout
        assert child.stdout.readline() == "sent\n"
        yield


def outside(lab: Lab, node: str, port: int) -> dict[tuple[str, ...], str]:
    """The outside ports of the flows from a port, by machine and server."""
    words = f"conntrack -L -p udp --orig-port-src {port}"
    told = re.findall(r"src=(\S+) dst=(\S+) .* dport=(\d+) ", lab.exec(node, *words.split()).stdout)
    return {(machine, server): outer for machine, server, outer in told}


def caught_up(lab: Lab, node: str) -> bool:
    told = json.loads(lab.read(node, "/run/vgw/status.json") or "{}")
    return bool(told.get("ready")) and told["role"] == "BACKUP"


# Tells the standby of all flows again and again, of the moved one too.
REFRESH = """
touch /run/vgw/refreshing
for _ in $(seq 300); do
    [ -e /run/vgw/refreshing ] || break
    python3 -m appliance.conntrack.replica_refresh --once --address 192.168.100.99 --held /run/vgw/touches-held
done >/dev/null 2>&1 &
"""


@contextmanager
def refreshing(lab: Lab) -> Iterator[None]:
    """While the block runs, the MASTER tells of flows that changed in no way, as it does each ten seconds."""
    lab.exec("master", "sh", "-c", REFRESH)
    try:
        yield
    finally:
        lab.exec("master", "rm", "/run/vgw/refreshing")


@pytest.mark.parametrize(("port", "meanwhile"), [(5000, nullcontext), (5001, refreshing)])
def test_a_flow_keeps_its_outside_port_beside_a_sibling_that_was_moved(
    standard_lab: Lab, port: int, meanwhile: Callable[[Lab], AbstractContextManager[None]]
) -> None:
    servers = [f"198.51.100.{number}" for number in range(1, SIBLINGS + 1)]
    with (
        sending(standard_lab, "noeud2", port, "8.8.8.8"),  # takes the port outside, for this server
        # So here the last flow alone is moved.
        sending(standard_lab, "noeud1", port, *servers, "8.8.8.8"),
    ):
        here = outside(standard_lab, "master", port)
        assert len(here) == SIBLINGS + 2
        moved = [ends for ends, outer in here.items() if outer != str(port)]
        assert moved == [("192.168.100.10", "8.8.8.8")]
        former = len(standard_lab.must("logs", "backup"))
        standard_lab.must("stop", "backup")
        with meanwhile(standard_lab):
            standard_lab.must("start", "backup")
            assert eventually(lambda: caught_up(standard_lab, "backup")), standard_lab.must(
                "status"
            )
        there = outside(standard_lab, "backup", port)
    differ = {
        ends: (outer, there.get(ends)) for ends, outer in here.items() if outer != there.get(ends)
    }
    logs = standard_lab.must("logs", "backup")[former:]
    assert not differ, logs
    assert "exited: agent" not in logs
