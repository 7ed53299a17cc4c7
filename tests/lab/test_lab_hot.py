"""Hot standby: a takeover that VRRP only confirms, and what it costs while both nodes live."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually, waited
from vgw_lab.bench.silence import SILENT_DEATH
from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import REPOSITORY, Lab, told

LAN_MAC, WAN_MAC = "00:00:5e:00:01:33", "02:5e:cb:00:71:63"
GATEWAYS = ("master", "backup")


@contextmanager
def train(lab: Lab, seconds: float) -> Iterator[dict[str, Any]]:
    """A datagram each millisecond from noeud1; its count is there when the block has ended."""
    words = ("-m", "vgw_lab.instruments.probe", "--seconds", str(seconds))
    found: dict[str, Any] = {}
    with subprocess.Popen(
        lab.argv("exec", "noeud1", "--", sys.executable, *words),
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as probe:
        assert probe.stdout
        assert probe.stdout.readline().startswith("sending ")
        yield found
        counted, _ = probe.communicate(timeout=seconds + PATIENCE)
    found |= json.loads(counted)


def entry(lab: Lab, bridge: str, mac: str) -> str:
    """The port behind which a bridge has seen a MAC; empty where it has not."""
    table = lab.exec("world", "bridge", "-json", "fdb", "show", "br", bridge).stdout
    return next((str(one["ifname"]) for one in json.loads(table) if one["mac"] == mac), "")


def links(lab: Lab, node: str) -> dict[str, dict[str, Any]]:
    shown = json.loads(lab.exec(node, "ip", "-json", "address", "show").stdout)
    return {one["ifname"]: one for one in shown}


def degraded(lab: Lab, node: str) -> str:
    return str(told(lab, node)["pair"]["degraded"])


def test_both_nodes_bear_the_macs_and_one_has_the_addresses(hot_lab: Lab) -> None:
    for node, vgw, wan_vip in (
        ("master", ["192.168.100.99"], ["203.0.113.99"]),
        ("backup", [], []),
    ):
        found = links(hot_lab, node)
        for name, mac, wanted in (("vgw-lan", LAN_MAC, vgw), ("vgw-wan", WAN_MAC, wan_vip)):
            assert found[name]["address"] == mac
            assert found[name]["operstate"] == "UP"
            assert [one["local"] for one in found[name]["addr_info"]] == wanted
    neighbour = hot_lab.exec("noeud1", "ip", "neigh", "show", "192.168.100.99").stdout
    assert LAN_MAC in neighbour
    assert entry(hot_lab, "lan", LAN_MAC) == "master-lan"
    assert entry(hot_lab, "wan", WAN_MAC) == "master-wan"
    assert not any(degraded(hot_lab, node) for node in GATEWAYS)


def test_a_power_cut_costs_nothing_that_a_user_sees(hot_lab: Lab, bound: Bound) -> None:
    found = hot_lab.json("drill", "power-off", "--times", "5")
    for verdict in found["verdicts"]:
        assert (verdict["before"], verdict["after"]) == ("master", "backup")
        assert verdict["untranslated"] == 0
        assert verdict["bar"] == 40
    gap = found["summary"]["power-off"]["gap"]
    with bound:
        assert gap["median"] <= 15, found
        assert gap["max"] <= 40, found


def test_a_stop_loses_two_packets_at_most(hot_lab: Lab, bound: Bound) -> None:
    for verdict in hot_lab.json("drill", "clean-stop", "--times", "3")["verdicts"]:
        assert verdict["duplicates"] == 0, verdict
        with bound:
            assert verdict["lost"] <= 2, verdict
            assert verdict["return_lost"] <= 2, verdict


@pytest.mark.parametrize("drill", ["lan-down", "wan-down"])
def test_one_cable_is_made_good_before_vrrp_has_noticed(
    hot_lab: Lab, drill: str, bound: Bound
) -> None:
    found = hot_lab.json("drill", drill, "--times", "3")
    assert not any(verdict["duplicates"] for verdict in found["verdicts"]), found
    if drill == "lan-down":
        takeovers = [verdict["takeover"] for verdict in found["verdicts"]]
        with bound:
            assert found["summary"][drill]["gap"]["median"] <= 0.5 * min(takeovers), found


def test_a_switchover_and_its_way_back_lose_two_packets_at_most(hot_lab: Lab, bound: Bound) -> None:
    for node in GATEWAYS:
        with train(hot_lab, 30) as counted:
            done = hot_lab.exec(node, "vgw", "switchover")
            assert done.returncode == 0, done.stderr
        assert counted["duplicates"] == 0, counted
        with bound:
            assert counted["lost"] <= 2, counted
    assert eventually(lambda: hot_lab.nodes()["master"]["holds_vgw"])


def test_a_node_that_hangs_with_its_links_up_is_made_good_within_80_ms(
    hot_lab: Lab, bound: Bound, repetitions: int
) -> None:
    wires = NamespaceLab(hot_lab.name)
    gaps = []
    for _ in range(repetitions):
        wires.wait_healthy(PATIENCE)
        with train(hot_lab, 10) as counted:
            SILENT_DEATH.inject(wires, "master")
            try:
                took_over = eventually(lambda: "backup" in wires.holders())
            finally:
                SILENT_DEATH.mend(wires, "master")
        assert took_over
        gaps.append(counted["gap_ms"])
        assert eventually(lambda: wires.holders() == ("master",))
    with bound:
        assert median(gaps) <= 80, gaps


def test_a_false_takeover_costs_nothing(hot_lab: Lab, bound: Bound) -> None:
    wires = NamespaceLab(hot_lab.name)
    vrrp = hot_lab.read("master", "/run/vgw/vrrp.pid").strip()
    with train(hot_lab, 10) as counted:
        assert hot_lab.exec("master", "kill", "-STOP", vrrp).returncode == 0
        try:
            both = eventually(lambda: len(wires.holders()) == 2)
        finally:
            assert hot_lab.exec("master", "kill", "-CONT", vrrp).returncode == 0
        assert both
        assert eventually(lambda: wires.holders() == ("master",))
    assert counted["duplicates"] == 0, counted
    with bound:
        assert counted["lost"] <= 2, counted


def test_nothing_comes_twice_but_for_one_refresh_after_the_bridges_forgot(
    hot_lab: Lab, bound: Bound
) -> None:
    with train(hot_lab, 3) as counted:
        pass
    assert counted["duplicates"] == 0, counted
    with bound:
        assert counted["lost"] == 0, counted
    forget = "ip link set lan type bridge fdb_flush && ip link set wan type bridge fdb_flush"
    with train(hot_lab, 30) as counted:
        assert hot_lab.exec("world", "sh", "-c", forget).returncode == 0
        for bridge, mac in (("lan", LAN_MAC), ("wan", WAN_MAC)):
            took = waited(lambda b=bridge, m=mac: entry(hot_lab, b, m) == f"master-{b}")  # type: ignore[misc]
            with bound:
                assert took <= 3
    with bound:
        assert counted["lost"] == 0, counted
        # A packet and its answer are each passed on by both: four for one, for a second and its jitter.
        assert counted["duplicates"] <= 3 * 1500, counted


def test_a_link_that_somebody_deletes_is_made_again(hot_lab: Lab) -> None:
    for node in GATEWAYS:
        assert hot_lab.exec(node, "ip", "link", "del", "vgw-lan").returncode == 0
        assert eventually(lambda n=node: "vgw-lan" in links(hot_lab, n))  # type: ignore[misc]
    assert eventually(lambda: hot_lab.nodes()["master"]["holds_vgw"])
    assert eventually(
        lambda: hot_lab.exec("noeud1", "ping", "-c", "1", "-W", "1", "8.8.8.8").returncode == 0
    )
    assert links(hot_lab, "master")["vgw-lan"]["address"] == LAN_MAC


@pytest.mark.parametrize(("mac", "name"), [(LAN_MAC, "vgw-lan"), (WAN_MAC, "vgw-wan")])
def test_a_network_that_drops_virtual_macs_is_named(hot_lab: Lab, mac: str, name: str) -> None:
    rules = (
        "add table bridge t; add chain bridge t c { type filter hook forward priority 0; }; "
        f"add rule bridge t c ether saddr {mac} drop"
    )
    try:
        assert hot_lab.exec("world", "nft", rules).returncode == 0
        assert eventually(lambda: name in degraded(hot_lab, "backup"))
    finally:
        hot_lab.exec("world", "nft", "delete table bridge t")
    assert eventually(lambda: not degraded(hot_lab, "backup"))


def test_the_course_sheet_finds_the_vgw_beside_the_lans_own_interface(hot_lab: Lab) -> None:
    shown = hot_lab("course").stdout
    assert "ip addr show to 192.168.100.0/24: lists 192.168.100.3/24, 192.168.100.99/24" in shown
    assert "FAIL" not in shown
