"""Faults that an engine and its operator cause: each is measured, and the pair heals by itself."""

import json
import statistics
import time
from pathlib import Path

import pytest

from tests.conftest import Bound, Figure
from tests.containers.pair import NODES, Pair
from tests.waiting import PATIENCE, eventually, waited

# In the place of keepalived: it answers what is asked before the start, and cannot stay up.
NOT_KEEPALIVED = """#!/bin/sh
case $* in *--dont-fork*) echo "keepalived: out of order"; exit 1 ;; esac
echo "Keepalived v2.3.3 (01/01,2025)"
"""


def test_docker_kill(pair: Pair, repetitions: int, figure: Figure, bound: Bound) -> None:
    gaps = []
    for _ in range(repetitions):
        with pair.probe(every_ms=2) as train:
            time.sleep(0.3)
            pair.container("master").kill()
            assert eventually(lambda: pair.holders() == ["backup"])
            assert eventually(pair.pings)
        gaps.append(train["gap_ms"])
        pair.container("master").start()
        assert eventually(pair.settled), pair.logs("master")[-2000:]
    figure(f"docker kill: median {statistics.median(gaps)} ms of {sorted(gaps)}")
    with bound:
        assert statistics.median(gaps) <= 400, gaps


def test_docker_stop_loses_at_most_one_and_ends_with_0(
    pair: Pair, figure: Figure, bound: Bound
) -> None:
    master = pair.container("master")
    with pair.probe(every_ms=10) as train:
        time.sleep(0.3)
        began = time.monotonic()
        master.stop(timeout=int(PATIENCE))
        took = time.monotonic() - began
        assert eventually(lambda: pair.holders() == ["backup"])
        time.sleep(0.5)
    figure(f"docker stop: {took:.1f} s, {train['lost']} lost at 10 ms")
    assert pair.container("master").attrs["State"]["ExitCode"] == 0, pair.logs("master")[-2000:]
    with bound:
        assert took <= 5
        assert train["lost"] <= 1, train
    with pair.probe(every_ms=10) as train:
        master.start()
        assert eventually(pair.settled)
    print(f"start again: {train['lost']} lost at 10 ms")
    with bound:
        assert train["lost"] <= 1, train


@pytest.mark.parametrize("after", [0, 0.3, 1, 2])
def test_docker_stop_is_heard_while_a_node_still_starts(
    pair: Pair, after: float, bound: Bound
) -> None:
    backup = pair.container("backup")
    backup.kill()
    backup.start()
    time.sleep(after)
    began = time.monotonic()
    backup.stop(timeout=int(PATIENCE))
    took = time.monotonic() - began
    print(f"docker stop {after:g} s after docker start: {took:.1f} s")
    assert pair.container("backup").attrs["State"]["ExitCode"] == 0, pair.logs("backup")[-2000:]
    with bound:
        assert took <= 5
    backup.start()
    healed(pair, "started again", bound)


@pytest.mark.parametrize("node", NODES)
def test_docker_restart(pair: Pair, node: str, bound: Bound) -> None:
    pair.container(node).restart(timeout=15)
    healed(pair, f"restart {node}", bound)


@pytest.mark.parametrize("node", NODES)
def test_docker_pause_and_unpause(pair: Pair, node: str, bound: Bound) -> None:
    pair.container(node).pause()
    try:
        goes_round(pair, bound)
    finally:
        pair.container(node).unpause()
    healed(pair, f"unpause {node}", bound)


def test_a_master_that_docker_pauses_leaves_the_vgw_to_its_peer_and_both_tell_it(
    pair: Pair, bound: Bound
) -> None:
    assert eventually(pair.settled)
    before = unanswered(pair)
    pair.container("master").pause()
    try:
        assert eventually(lambda: pair.status("backup")["role"] == "MASTER")
        # A container that has just begun has to ask who has the VGW, and only one node answers.
        ping = ["ping", "-c3", "-W2", "8.8.8.8"]
        said = pair.docker.containers.run(
            pair.image("noeud1"), ping, network=pair.network("backend"), remove=True
        )
        assert b" 0% packet loss" in said
        assert eventually(lambda: pair.status("backup")["pair"]["peer"] is None), (
            "it has fallen silent"
        )
        assert "backup" in pair.holders()
    finally:
        pair.container("master").unpause()
    healed(pair, "unpause master", bound)
    assert unanswered(pair) > before
    for node in NODES:
        assert eventually(lambda node=node: pair.status(node)["pair"]["standstills"] > 0), node  # type: ignore[misc]


def unanswered(pair: Pair) -> int:
    """How many ARP requests the MASTER's kernel has left to its peer."""
    told = pair.shell("master", "nft --json list chain netdev vgw lan-in")
    rules = [item["rule"]["expr"] for item in json.loads(told)["nftables"] if "rule" in item]
    counters = [part["counter"] for rule in rules for part in rule if "counter" in part]
    return sum(int(counter["packets"]) for counter in counters)


@pytest.mark.parametrize("network", ["uplink", "backend"])
@pytest.mark.parametrize("node", NODES)
def test_docker_network_disconnect_and_connect(
    pair: Pair, node: str, network: str, bound: Bound
) -> None:
    wire = pair.docker.networks.get(pair.network(network))
    container = pair.container(node)
    settings = container.attrs["NetworkSettings"]["Networks"][pair.network(network)]
    address = settings["IPAMConfig"]["IPv4Address"]
    wire.disconnect(container)
    try:
        goes_round(pair, bound)
    finally:
        wire.connect(container, ipv4_address=address)
    healed(pair, f"disconnect {node} from {network}", bound)
    # Well is who takes over, too: its keepalived has to know the interface that is there now.
    other = next(name for name in NODES if name != node)
    pair.container(other).kill()
    try:
        assert eventually(pair.pings), pair.logs(node)[-2000:]
    finally:
        pair.container(other).start()


def goes_round(pair: Pair, bound: Bound) -> None:
    """A machine has a way out by the other node, within 10 s."""
    took = waited(lambda: pair.pings(count=3))
    with bound:
        assert took <= 10


def healed(pair: Pair, what: str, bound: Bound) -> None:
    """Within 10 s one MASTER, a BACKUP that could follow it, and a way out for both machines."""

    def told() -> object:
        return [(node, pair.status(node), pair.logs(node)[-1500:]) for node in NODES]

    took = waited(lambda: pair.whole() and pair.pings("noeud2"), told=told)
    print(f"{what}: healed after {took:.1f} s")
    with bound:
        assert took <= 10


@pytest.mark.parametrize("program", ["keepalived", "conntrackd", "agent"])
def test_a_killed_program_comes_back(pair: Pair, program: str, bound: Bound) -> None:
    def pid() -> str:
        return pair.exec("master", "supervisorctl", "pid", program)[1].strip()

    before = pid()
    assert int(before) > 1
    with pair.probe(every_ms=10) as train:
        pair.shell("master", f"kill -9 {before}")
        took = waited(
            lambda: pid() not in {before, "0"} and pair.settled(), told=lambda: pair.logs("master")
        )
    print(f"kill -9 {program}: healed after {took:.1f} s, {train['lost']} lost")
    with bound:
        assert took <= 5


def test_a_program_that_cannot_stay_up_ends_the_container(
    pair: Pair, tmp_path: Path, bound: Bound
) -> None:
    program = tmp_path / "keepalived"
    program.write_text(NOT_KEEPALIVED)
    program.chmod(0o755)
    overlay = tmp_path / "overlay.yaml"
    volumes = f'["{program}:/usr/sbin/keepalived:ro"]'
    overlay.write_text(f'services: {{master: {{restart: "no", volumes: {volumes}}}}}\n')
    pair.up("--no-deps", "master", overlays=[overlay])
    took = waited(
        lambda: pair.container("master").status == "exited", told=lambda: pair.logs("master")
    )
    assert pair.container("master").attrs["State"]["ExitCode"] == 20
    assert "keepalived: out of order" in pair.logs("master")
    assert "vgw: keepalived could not be kept alive" in pair.logs("master")
    assert eventually(lambda: pair.holders() == ["backup"])
    assert pair.pings()
    pair.up("--no-deps", "master")
    healed(pair, "made anew", bound)
    with bound:
        assert took <= 20
