"""Flows that a new file no longer allows end on both nodes, are counted and told; no other flow is touched."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.waiting import eventually
from vgw_lab.worlds import topology

from .conftest import Lab, told
from .test_lab_changes import (
    FLOWS,
    NODES,
    all_live,
    flowing,
    give_back,
    in_force,
    running,
    taken_up,
    write,
)
from .test_lab_replication import AT_REST, at_rest, must, recorded

FORWARDS = (
    "{protocol: udp, port: 51820, to: 192.168.100.10}",
    "{protocol: tcp, port: 8080, to: 192.168.100.10, to_port: 80}",
)
ELSEWHERE = "{protocol: udp, port: 51820, to: 192.168.100.20}"
INWARD = 5  # flows to each port
# Answers by UDP until its input ends.
ECHO = """
import sys
from vgw_lab.instruments import service
services = service.Services()
services.receive(sys.argv[1], 51820)
print("serving", flush=True)
services.serve(until=0)
"""


def file(*forwards: str, more: str = "") -> str:
    rules = f"  destination: [{', '.join(forwards)}]\n" if forwards else ""
    return topology.gateway_yaml().replace("nat:\n", f"nat:\n{rules}") + more


@pytest.fixture
def lab(standard_lab: Lab) -> Iterator[Lab]:
    """One in which both ports lead to noeud1."""
    for node in NODES:
        taken_up(standard_lab, node, file(*FORWARDS))
    assert eventually(lambda: in_force(standard_lab) and at_rest(standard_lab), AT_REST)
    for node in NODES:  # of flows that are over an entry is left for a while
        standard_lab.exec(node, "conntrack", "-D", "--orig-dst", "203.0.113.99")
    yield standard_lab
    give_back(standard_lab)


Fared = Callable[[], dict[str, Any]]


@contextmanager
def served(lab: Lab) -> Iterator[Fared]:
    """Flows from outside to both ports, and what serves them; the function says how they fared."""
    instruments = "vgw_lab.instruments"
    with ExitStack() as stack:
        for number, machine in ((10, "noeud1"), (20, "noeud2")):
            words = (sys.executable, "-c", ECHO, f"192.168.100.{number}")
            server = stack.enter_context(running(lab, machine, *words))
            assert server.stdout
            assert server.stdout.readline() == "serving\n"
        web = (sys.executable, "-m", f"{instruments}.service", "--port", "80")
        server = stack.enter_context(running(lab, "noeud1", *web))
        assert server.stdout
        assert server.stdout.readline() == "serving\n"
        clients = []
        for mode, port in (("udp", "51820"), ("client", "8080")):
            options = ("--target", "203.0.113.99", "--who", port)
            flows = ("--flows", mode, mode, str(INWARD), "0")
            argv = (sys.executable, "-m", f"{instruments}.flows", *options, *flows)
            clients.append(stack.enter_context(running(lab, "internet", *argv)))
        for client in clients:
            assert client.stdout
            assert client.stdout.readline() == f"flowing {INWARD}\n"

        def fared() -> dict[str, Any]:
            found: dict[str, Any] = {}
            for client in clients:
                assert client.stdin
                client.stdin.write("\n")
                client.stdin.flush()
            for client in clients:
                assert client.stdout
                found |= json.loads(client.stdout.readline())
            return found

        yield fared


def led(lab: Lab, node: str, machine: str) -> int:
    """How many entries of a node's table lead from outside to a machine."""
    listed = must(lab, node, "conntrack", "-L", "--orig-dst", "203.0.113.99")
    return len(re.findall(rf"dst=203\.0\.113\.99 .*?src={re.escape(machine)} ", listed))


@pytest.mark.parametrize("order", [("backup", "master"), ("master", "backup")], ids="-".join)
def test_a_port_that_is_taken_away_and_one_that_leads_elsewhere_end_their_flows_and_no_other(
    lab: Lab, order: tuple[str, str]
) -> None:
    before = {node: len(recorded(lab, node, "flows")) for node in NODES}
    repairs = {node: told(lab, node)["repairs"] for node in NODES}
    with served(lab) as inward, flowing(lab, "noeud1") as first, flowing(lab, "noeud2") as second:
        assert eventually(lambda: led(lab, "backup", "192.168.100.10") == 2 * INWARD)
        there = must(lab, order[0], "conntrack", "-L", "--orig-dst", "203.0.113.99")
        said = [taken_up(lab, node, file(ELSEWHERE)) for node in order]
        ended = f"{2 * INWARD} flows ended that the file no longer allows: {2 * INWARD} of ports"
        assert ended in said[0], (said, there)
        fared = inward()
        assert fared["client"]["broken"] == {"timeout": INWARD}, "nobody answers them"
        assert fared["udp"]["alive"] == INWARD, "who speaks on is led to the other machine"
        for node in NODES:
            assert eventually(lambda node=node: led(lab, node, "192.168.100.10") == 0)  # type: ignore[misc]
            assert eventually(lambda node=node: led(lab, node, "192.168.100.20") == INWARD)  # type: ignore[misc]
        all_live(first())
        all_live(second())
    for node in NODES:
        assert told(lab, node)["repairs"] == repairs[node]
    told_of = recorded(lab, order[0], "flows")[before[order[0]] :]
    assert [(event["now"], ended in event["sentence"]) for event in told_of] == [("ended", True)]
    assert eventually(lambda: at_rest(lab), AT_REST)


def test_a_rule_that_drops_ends_what_it_drops_and_nothing_else(lab: Lab) -> None:
    drops = "forward:\n  rules: [{action: drop, from: 192.168.100.20/32, protocol: udp}]\n"
    with flowing(lab, "noeud1") as first, flowing(lab, "noeud2") as second:
        said = [taken_up(lab, node, file(*FORWARDS, more=drops)) for node in reversed(NODES)]
        # Of flows that are over an entry is left for a while, which ends too.
        counts = [int(re.search(r"(\d+) that forward drops", one)[1]) for one in said]  # type: ignore[index]
        assert all(count >= FLOWS for count in counts), said
        all_live(first())
        fared = second()
        assert fared.pop("udp")["broken"] == {"timeout": FLOWS}
        all_live(fared)


def test_flows_are_kept_where_the_operator_says_so(lab: Lab) -> None:
    with served(lab) as inward:
        for node in reversed(NODES):
            write(lab, node, file())
            said = must(lab, node, "vgw", "apply", "--keep-flows")
            assert "ended" not in said
        assert {kind: one["alive"] for kind, one in inward().items()} == {
            "udp": INWARD,
            "client": INWARD,
        }
        said = taken_up(lab, "master", file(more="timeouts: {udp: 40}\n"))
        assert "ended" not in said, "what the former file did not allow either is let be"
