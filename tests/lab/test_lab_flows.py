"""No established flow breaks when a gateway fails, nor when it comes back."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bound
from tests.waiting import waited
from vgw_lab.measures import load
from vgw_lab.worlds import topology

from .conftest import Lab, judged

SCALE = 0.1
KINDS = {kind for mode in load.USUAL for kind in (mode, f"{mode}, same port")}


@pytest.fixture(scope="module")
def open_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with a port of the WAN VIP that leads to a machine."""
    file: Path = tmp_path_factory.mktemp("flows") / "gateway.yaml"
    rule = "  destination: [{protocol: tcp, port: 8080, to: 192.168.100.20, to_port: 80}]\n"
    file.write_text(topology.gateway_yaml().replace("nat:\n", f"nat:\n{rule}"))
    lab = Lab("open")
    lab.must("up", "--config", str(file))
    yield from judged(lab)


def drilled(lab: Lab, bound: Bound, fault: str, *words: str) -> dict[str, Any]:
    """The verdict of one drill with flows, which all were open when it began, and none of which stood still."""
    verdict = lab.drilled(fault, "--flows", "--scale", str(SCALE), *words)
    assert set(verdict["flows"]) == {"takeover", "return"}
    for tallies in verdict["flows"].values():
        for kind in KINDS:
            assert tallies[kind]["flows"] > 0, tallies
            with bound:
                assert tallies[kind]["stall_ms"] < 5000, tallies
    return verdict


def judge(verdict: dict[str, Any], bound: Bound) -> None:
    for phase, tallies in verdict["flows"].items():
        for kind, tally in tallies.items():
            assert (tally["broken"], tally["changed"]) == ({}, 0), (phase, kind, tally)
            assert tally["alive"] == tally["flows"], (phase, kind, tally)
    assert verdict["refused"] == 0, verdict["broken"]
    unkept = [sentence for sentence in verdict["broken"] if "longest gap" not in sentence]
    with bound:
        assert not unkept, "a gap is for the drills without load to judge"


@pytest.mark.parametrize("fault", ["power-off", "kill-all", "clean-stop", "lan-down"])
def test_no_flow_breaks_and_none_moves(standard_lab: Lab, fault: str, bound: Bound) -> None:
    judge(drilled(standard_lab, bound, fault), bound)


def kept(lab: Lab) -> set[tuple[str, ...]]:
    """The machines' connections that a gateway takes for established: gateway, machine and port."""
    found: set[tuple[str, ...]] = set()
    for gateway in ("master", "backup"):
        told = lab.exec(gateway, "conntrack", "-L", "-p", "tcp", "--state", "ESTABLISHED").stdout
        ends = re.findall(r"ESTABLISHED src=(192\.168\.100\.[12]0) .*? sport=(\d+)", told)
        found |= {(gateway, machine, port) for machine, port in ends}
    return found


@pytest.mark.parametrize("fault", ["lan-down", "switchover"])
def test_flows_that_are_reset_after_a_return_are_kept_by_no_node(
    standard_lab: Lab, fault: str, bound: Bound
) -> None:
    before = kept(standard_lab)
    drilled(standard_lab, bound, fault)
    took = waited(lambda: not kept(standard_lab) - before)
    with bound:
        # What ends unnoticed on one node leaves by itself after 10 s, and after hours on the other.
        assert took <= 4


def test_no_flow_from_outside_breaks(open_lab: Lab, bound: Bound) -> None:
    verdict = drilled(open_lab, bound, "power-off")
    assert verdict["flows"]["takeover"]["inbound"]["flows"] == load.INBOUND
    judge(verdict, bound)


def test_no_flow_breaks_when_the_table_is_full_of_others(standard_lab: Lab, bound: Bound) -> None:
    verdict = drilled(standard_lab, bound, "power-off", "--background", "20000")
    judge(verdict, bound)
    for gateway in ("master", "backup"):
        assert int(standard_lab.exec(gateway, "conntrack", "-C").stdout) >= 20000, gateway


def test_more_entries_than_the_machine_holds_are_refused(standard_lab: Lab) -> None:
    done = standard_lab("drill", "power-off", "--background", "999999999")
    assert done.returncode == 1
    assert "net.netfilter.nf_conntrack_max is" in done.stderr


def test_a_table_for_people_shows_the_flows_on_80_columns(standard_lab: Lab) -> None:
    done = standard_lab("drill", "clean-stop", "--flows", "--scale", str(SCALE))
    table = [line for line in done.stdout.splitlines() if line.startswith(("drill", "clean-stop "))]
    assert any("server, same port" in line for line in table), done.stdout
    assert all(len(line) <= 80 for line in table)
    assert "server" not in standard_lab("drill", "clean-stop").stdout
