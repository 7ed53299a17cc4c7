"""A changed file is taken up in one step on either node, one after the other, and costs nobody a packet."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import Bound, Figure
from tests.waiting import PATIENCE, eventually
from vgw_lab.worlds import topology
from vgw_lab.worlds.namespaces import NamespaceLab
from vgw_lab.worlds.nodes import NamespaceNode

from .conftest import REPOSITORY, Lab, told
from .test_lab_replication import AT_REST, at_rest, events, must

NODES = ("master", "backup")
ORDERS = (("backup", "master"), NODES)
FILE = "/run/lab/gateway.yaml"
WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
STANDARD = topology.gateway_yaml()
# What an operator changes on a day: a port, a rule, a timer, and a word of keepalived's own file.
ANOTHER = (
    STANDARD.replace(
        "nat:\n", "nat:\n  destination: [{protocol: tcp, port: 8080, to: 192.168.100.10}]\n"
    ).replace("priority: 100", "priority: 110")
    + "timeouts: {udp: 40}\nforward:\n  rules: [{action: drop, to: 198.51.100.0/24}]\n"
)
FLOWS = 25  # of each kind on each machine
KINDS = ("client", "server", "stream", "udp")


@pytest.fixture
def lab(standard_lab: Lab) -> Iterator[Lab]:
    """A pair at rest, which gets its own file back."""
    assert eventually(lambda: at_rest(standard_lab), AT_REST)
    yield standard_lab
    give_back(standard_lab)


@pytest.fixture
def own_lab(free_lab: Lab) -> Lab:
    free_lab.must("up")
    assert eventually(lambda: at_rest(free_lab), AT_REST)
    return free_lab


def give_back(lab: Lab) -> None:
    """Have both nodes go by the file with which the lab was made."""
    for node in NODES:
        taken_up(lab, node, STANDARD)
    assert eventually(lambda: in_force(lab) and at_rest(lab), AT_REST)


def write(lab: Lab, node: str, text: str) -> None:
    """Put another file in a node's place for it, as an editor does."""
    must(lab, node, "python3", "-c", WRITE, FILE, text)


def taken_up(lab: Lab, node: str, text: str) -> str:
    """Have a node take up another file; what `vgw apply` printed."""
    write(lab, node, text)
    return must(lab, node, "vgw", "apply")


@contextmanager
def running(lab: Lab, node: str, *argv: str) -> Iterator["subprocess.Popen[str]"]:
    """A program that runs on a node until its input ends, or the block does."""
    with subprocess.Popen(
        lab.argv("exec", node, "--", *argv),
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.communicate(timeout=PATIENCE)


@contextmanager
def probed(lab: Lab) -> Iterator[Callable[[], dict[str, Any]]]:
    """A datagram each 10 ms from a machine behind to the internet; the function ends it, and says how they fared."""
    words = ("--every", "10", "--seconds", "900")
    argv = (sys.executable, "-m", "vgw_lab.instruments.probe", *words)
    with running(lab, "noeud1", *argv) as child:

        def fared() -> dict[str, Any]:
            said = child.communicate(timeout=PATIENCE)[0]
            found: dict[str, Any] = json.loads(said.splitlines()[-1])
            return found

        yield fared


@contextmanager
def replacements(lab: Lab, node: str) -> Iterator[Callable[[], int]]:
    """Counts how often the ruleset was changed on a node; the function ends the watch, and says so."""
    # Into a file: what reads a pipe at the end alone has nft miss what no longer fits.
    watch = "nft monitor >/run/monitor & read _; sleep 0.2; kill $!"
    script = f"{watch}; grep -c '# new generation' /run/monitor"
    with running(lab, node, "sh", "-c", script) as child:

        def count() -> int:
            return int(child.communicate("\n", timeout=PATIENCE)[0])

        yield count


@contextmanager
def flowing(lab: Lab, machine: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Flows of a machine; the function has each show that it lives, and says how they fared."""
    words = [word for kind in KINDS for word in ("--flows", kind, kind, str(FLOWS), "0")]
    with running(lab, machine, sys.executable, "-m", "vgw_lab.instruments.flows", *words) as child:
        assert child.stdin
        assert child.stdout
        assert child.stdout.readline() == f"flowing {len(KINDS) * FLOWS}\n"

        def fared() -> dict[str, Any]:
            assert child.stdin
            assert child.stdout
            child.stdin.write("\n")
            child.stdin.flush()
            found: dict[str, Any] = json.loads(child.stdout.readline())
            return found

        yield fared


def all_live(fared: dict[str, Any]) -> None:
    for kind, tally in fared.items():
        assert (tally["broken"], tally["changed"], tally["alive"]) == ({}, 0, FLOWS), (kind, tally)


def test_the_same_two_files_over_and_over_cost_no_flow_no_probe_and_no_repair(
    lab: Lab, repetitions: int, bound: Bound, figure: Figure
) -> None:
    rounds = 2 * repetitions
    before = {node: told(lab, node) for node in NODES}
    processes = [must(lab, node, "cat", "/run/vgw/vrrp.pid") for node in NODES]
    with (
        replacements(lab, "master") as on_master,
        replacements(lab, "backup") as on_backup,
        flowing(lab, "noeud1") as first,
        flowing(lab, "noeud2") as second,
        probed(lab) as probe,
    ):
        for number in range(rounds):
            text = (ANOTHER, STANDARD)[number % 2]
            for node in reversed(NODES):
                said = taken_up(lab, node, text).splitlines()
                assert said[0] == "~ table inet vgw", said
                assert "~ file /run/vgw/keepalived.conf" in said, said
        all_live(first())
        all_live(second())
        fared = probe()
        counts = [on_master(), on_backup()]
    assert counts == [rounds, rounds], "one replacement a change"
    assert [must(lab, node, "cat", "/run/vgw/vrrp.pid") for node in NODES] == processes
    for node in NODES:
        now = told(lab, node)
        for counted in ("repairs", "role_changes"):
            assert now[counted] == before[node][counted], now["repaired"]
    assert eventually(lambda: at_rest(lab), AT_REST)
    figure(
        f"{rounds} changes on either node under {2 * len(KINDS) * FLOWS} flows: "
        f"{fared['lost']} of {fared['sent']} probes lost"
    )
    with bound:
        assert fared["lost"] == 0


CHANGES = {
    "router id": {"virtual_router_id: 51": "virtual_router_id: 52"},
    "VGW": {"192.168.100.99": "192.168.100.98"},
    "version, transport and password": {"profile: standard, hold: 0": "profile: classic"},
    "virtual MACs": {"profile: standard": "profile: hot"},
    "interval": {"profile: standard": "profile: fast"},
}


def in_force(lab: Lab) -> bool:
    """Whether both nodes go by the file that they have."""
    return not any(told(lab, node)["file_errors"] for node in NODES)


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
@pytest.mark.parametrize("what", CHANGES)
def test_what_the_two_nodes_must_agree_on_changes_node_by_node_without_an_outage(
    lab: Lab, what: str, order: tuple[str, str], bound: Bound, figure: Figure
) -> None:
    text = STANDARD
    for before, after in CHANGES[what].items():
        text = text.replace(before, after)
    former = {node: len(events(lab, node)) for node in NODES}
    repairs = {node: told(lab, node)["repairs"] for node in NODES}
    with probed(lab) as probe:
        for node in order:
            taken_up(lab, node, text)
            assert eventually(lambda node=node: not told(lab, node)["problems"])  # type: ignore[misc]
        assert eventually(lambda: in_force(lab) and at_rest(lab), AT_REST), events(lab, "master")
        fared = probe()
    for node in NODES:
        now = told(lab, node)
        assert (now["file_errors"], now["repairs"]) == ([], repairs[node]), now
        since = events(lab, node)[former[node] :]
        # The VGW stands in conntrackd's file too: one that starts anew on the standby has yet to catch up.
        catches_up = what == "VGW" and told(lab, node)["role"] == "BACKUP"
        assert catches_up or not any("now FAULT" in line for line in since), "\n".join(since)
    figure(
        f"{what}, {' then '.join(order)}: {fared['lost']} of {fared['sent']} probes lost, gap {fared['gap_ms']} ms"
    )
    if what != "VGW":  # machines that go by the former one are cut off
        with bound:
            assert fared["gap_ms"] <= 50


def test_a_peer_gets_another_name_one_node_after_the_other(own_lab: Lab) -> None:
    lab = own_lab
    text = STANDARD.replace("  backup:", "  standby:")
    wires = NamespaceLab(lab.name)
    before = len(events(lab, "master"))
    with probed(lab) as probe:
        taken_up(lab, "master", text)
        assert eventually(lambda: told(lab, "master")["pair"]["peer"] is None)
        write(lab, "backup", text)
        refused = lab.exec("backup", "vgw", "apply")
        assert refused.returncode == 1
        assert (
            "this node calls itself backup, and the file knows master and standby" in refused.stderr
        )
        lab.must("stop", "backup")
        former = wires.topology.node("backup")
        renamed = replace(former, runs=("appliance", "start", "--node", "standby"))
        nodes = tuple(renamed if one is former else one for one in wires.topology.nodes)
        NamespaceNode(renamed, wires.world, replace(wires.topology, nodes=nodes)).start()
        assert eventually(lambda: at_rest(lab), AT_REST)
        fared = probe()
    assert told(lab, "master")["pair"]["peer"]["node"] == "standby"
    assert (fared["lost"], events(lab, "master")[before:]) == (0, [])


def replicas(lab: Lab) -> int:
    """How many flows of noeud1 the backup knows."""
    words = ("conntrack", "-L", "--orig-src", "192.168.100.10")
    return must(lab, "backup", *words).count(" src=192.168.100.10 ")


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_the_sync_link_gets_another_port_on_both_nodes_and_flows_are_replicated_by_it(
    lab: Lab, order: tuple[str, str]
) -> None:
    text = STANDARD.replace("sync: {interface: eth2}", "sync: {interface: eth2, port: 3790}")
    with flowing(lab, "noeud1") as flows, probed(lab) as probe:
        assert "sync.port 3780 -> 3790: both nodes change this" in taken_up(lab, order[0], text)
        taken_up(lab, order[1], text)
        assert eventually(lambda: in_force(lab) and at_rest(lab), AT_REST), events(lab, "backup")
        for node in NODES:
            listening = must(lab, node, "cat", "/proc/net/udp")
            assert f":{3790:04X} " in listening and f":{3780:04X} " not in listening
        assert eventually(lambda: replicas(lab) >= len(KINDS) * FLOWS)
        all_live(flows())
        assert probe()["lost"] == 0
