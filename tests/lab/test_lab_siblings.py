"""A returning node gives each flow the outside port that it has on the MASTER, whatever its siblings have."""

import json
import re

from tests.waiting import eventually

from .conftest import Lab

PORT, SIBLINGS = 5000, 100
# One datagram to each of some servers, all from one port.
SEND = f"""
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
    flow.bind(("", {PORT}))
    for server in sys.argv[1:]:
        flow.sendto(b"?", (server, 1007))
"""


def send(lab: Lab, machine: str, *servers: str) -> None:
    done = lab.exec(machine, "python3", "-c", SEND, *servers)
    assert done.returncode == 0, done.stderr


def outside(lab: Lab, node: str) -> dict[tuple[str, ...], str]:
    """The outside ports of the flows of that port, by machine and server."""
    words = f"conntrack -L -p udp --orig-port-src {PORT}"
    told = re.findall(r"src=(\S+) dst=(\S+) .* dport=(\d+) ", lab.exec(node, *words.split()).stdout)
    return {(machine, server): port for machine, server, port in told}


def caught_up(lab: Lab, node: str) -> bool:
    told = json.loads(lab.exec(node, "cat", "/run/vgw/status.json").stdout or "{}")
    return bool(told.get("ready")) and told["role"] == "BACKUP"


def test_a_flow_keeps_its_outside_port_beside_a_sibling_that_was_moved(standard_lab: Lab) -> None:
    servers = [f"198.51.100.{number}" for number in range(1, SIBLINGS + 1)]
    send(standard_lab, "noeud2", "8.8.8.8")  # takes the port outside, for this server
    send(standard_lab, "noeud1", *servers, "8.8.8.8")  # so here the last flow alone is moved
    here = outside(standard_lab, "master")
    assert len(here) == SIBLINGS + 2
    moved = [ends for ends, port in here.items() if port != str(PORT)]
    assert moved == [("192.168.100.10", "8.8.8.8")]
    standard_lab.must("stop", "backup")
    standard_lab.must("start", "backup")
    assert eventually(lambda: caught_up(standard_lab, "backup")), standard_lab.must("status")
    assert outside(standard_lab, "backup") == here
