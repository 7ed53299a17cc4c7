"""What drills judge: two tables side by side, who looked on where, and what is a known limit."""

import json
import os
import time
from collections import Counter
from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from vgw_lab import faults
from vgw_lab.drills import verdict
from vgw_lab.faults.fault import Fault, nothing
from vgw_lab.instruments import lookout
from vgw_lab.measures import invariants, tables
from vgw_lab.measures.invariants import Look, Violation, Watch
from vgw_lab.measures.tables import Difference, Entry
from vgw_lab.worlds import entry
from vgw_lab.worlds.topology import from_yaml, gateway_yaml

if TYPE_CHECKING:
    from vgw_lab.worlds.running import Lab

UDP = "udp 17 {left} src=192.168.100.10 dst=8.8.8.8 sport=5 dport=7 src=8.8.8.8 dst=203.0.113.99 sport=7 dport=5 mark=0 use=1"
TCP = (
    "tcp 6 {left} {state} src=192.168.100.10 dst=8.8.8.8 sport=5 dport=80 src=8.8.8.8 dst=203.0.113.99 "
    "sport=80 dport=5 [ASSURED] mark=0 use=1"
)
CANARY = "udp 17 30 src=192.0.2.1 dst=192.0.2.2 sport=1 dport=1 [UNREPLIED] src=192.0.2.2 dst=192.0.2.1 sport=1 dport=1"
OWN = "icmp 1 29 src=203.0.113.2 dst=203.0.113.1 type=8 code=0 id=9 src=203.0.113.1 dst=203.0.113.2 type=0 code=0 id=9"
FLOW: tables.Flow = (
    "udp",
    "192.168.100.10",
    "8.8.8.8",
    "5",
    "7",
    "8.8.8.8",
    "203.0.113.99",
    "7",
    "5",
)


def test_a_table_is_read_without_canaries_and_the_nodes_own_flows() -> None:
    text = "\n".join((UDP.format(left=179), CANARY, OWN))
    assert tables.parse(text, ["203.0.113.2"]) == {FLOW: Entry("", 179)}


@pytest.mark.parametrize(
    ("line", "missed"),
    [
        (UDP.format(left=179), True),
        (UDP.format(left=tables.LASTING_SECONDS), False),  # soon over, there perhaps already
        (TCP.format(left=7200, state="ESTABLISHED"), True),
        (TCP.format(left=110, state="FIN_WAIT"), True),
        (TCP.format(left=110, state="TIME_WAIT"), False),
    ],
)
def test_only_flows_that_go_on_are_missed(line: str, missed: bool) -> None:
    found = tables.compare({"master": tables.parse(line, []), "backup": {}})
    assert [(one.here, one.there, len(one.flows)) for one in found] == (
        [("master", "backup", 1)] if missed else []
    )


def test_equal_tables_differ_in_timers_and_states_only() -> None:
    here = tables.parse(TCP.format(left=7200, state="ESTABLISHED"), [])
    there = tables.parse(TCP.format(left=12, state="SYN_RECV"), [])
    assert tables.compare({"master": here, "backup": there}) == []


@pytest.mark.parametrize("state", ["CLOSE", "TIME_WAIT", "LAST_ACK"])
def test_a_flow_that_is_over_on_the_other_node_alone_differs_now_and_not_once_that_entry_is_gone(
    state: str,
) -> None:
    here = tables.parse(TCP.format(left=7200, state="ESTABLISHED"), [])
    there = tables.parse(TCP.format(left=8, state=state), [])
    (former,) = tables.compare({"master": here, "backup": there})
    assert str(former).endswith(f"(ESTABLISHED for 7200 s on master, {state} for 8 s on backup)")
    assert tables.compare({"master": here, "backup": {}}, [former]) == []


def test_what_differed_before_the_drill_is_none_of_its_doing() -> None:
    table = tables.parse(UDP.format(left=179), [])
    (entry,) = table.values()
    former = tables.compare({"master": table, "backup": {}})
    assert str(former[0]).startswith("master has 1 entries that backup has not, such as udp 192")
    assert str(former[0]).endswith("(there for 179 s on master, none on backup)")
    assert tables.compare({"master": table, "backup": {}}, former) == []
    assert tables.compare({"master": {}, "backup": table}, former) == [
        Difference("backup", "master", {FLOW: (entry, None)})
    ]


def test_a_flow_that_the_other_node_has_by_another_outside_port_is_missed() -> None:
    (entry,) = tables.parse(UDP.format(left=179), []).values()
    moved = (*FLOW[:-1], "3711")
    assert tables.compare({"master": {FLOW: entry}, "backup": {moved: entry}}) == [
        Difference("master", "backup", {FLOW: (entry, None)}),
        Difference("backup", "master", {moved: (entry, None)}),
    ]


def test_programs_that_ended_by_themselves_are_counted() -> None:
    log = (
        "2026-01-01 00:00:01,2 INFO spawned: 'conntrackd' with pid 9\n"
        "2026-01-01 00:00:02,2 WARN exited: conntrackd (terminated by SIGKILL; not expected)\n"
        "2026-01-01 00:00:03,2 INFO stopped: keepalived (exit status 0)\n"
    )
    before, after = verdict.ends(log), verdict.ends(log + log)
    assert before == Counter(conntrackd=1)
    assert verdict.anew({"master": before}, {"master": after}) == {"master": {"conntrackd": 1}}
    assert verdict.anew({"master": before}, {"master": before}) == {}


def test_a_known_limit_is_one_only_until_the_fault_is_put_right() -> None:
    fault = Fault("x", "x", "silent", nothing, nothing, known={"two": "why"})
    assert verdict.is_known(fault, Violation("two", "both", 1.0, 3.0), until=4.0)
    assert not verdict.is_known(fault, Violation("two", "both", 1.0, 3.1), until=4.0)
    assert not verdict.is_known(fault, Violation("differs", "says", 1.0, 1.0), until=4.0)


def test_turns_are_counted_between_sole_holders() -> None:
    looks = [
        Look(at, holders=tuple(who.split()))
        for at, who in enumerate(("m", "m b", "b", "", "b", "m"))
    ]
    assert invariants.turns(Watch(looks)) == 2
    assert invariants.turns(Watch([Look(0, holders=("m",)), Look(1), Look(2, holders=("m",))])) == 0


def test_lookouts_on_two_nodes_become_one_view() -> None:
    watch = Watch()
    both = {"holds": True, "role": "MASTER", "refused": 2, "answering": ["m"], "mac": "m"}
    invariants.merge(
        watch,
        [
            (3.0, "backup", {"holds": True, "answering": ["b"], "refused": 5}),
            (1.0, "master", both),
            (1.1, "backup", {"holds": False, "role": "BACKUP", "refused": 4, "answering": ["m"]}),
            (2.0, "master", {}),
            (2.1, "master", None),
            (4.0, "backup", {"end": True}),
        ],
    )
    assert [(look.at, look.holders, look.answering) for look in watch.looks] == [
        (1.0, ("master",), ("m",)),
        (1.1, ("master",), ("m",)),
        (2.1, (), ()),  # its network may answer on while it is taken down
        (3.0, ("backup",), ("b",)),
    ]
    assert watch.end == 4.0
    assert {node: len(said) for node, said in watch.refusals.items()} == {"master": 0, "backup": 1}


def seen_by_two(heard_of_master: list[str], until: float = 5.0) -> Watch:
    """Both hold the VGW from 1.5 s on, and each says so; what the backup hears of the master, and until when that one looks."""
    holds = {"holds": True, "mac": "m", "answering": ["m", "b"]}
    took_over = {"holds": True, "mac": "b", "answering": ["b", *heard_of_master]}
    times = [1.0 + step / 10 for step in range(41)]
    watch = Watch()
    invariants.merge(
        watch,
        [
            (1.0, "master", {**holds, "answering": ["m"]}),
            *((at, "master", holds if at >= 1.5 else {}) for at in times if at <= until),
            *((at, "backup", took_over) for at in times if at >= 1.5),
        ],
    )
    return watch


@pytest.mark.parametrize("until", [5.0, 1.4], ids=["keepalived is frozen", "all is frozen"])
def test_who_holds_the_vgw_and_is_not_heard_by_the_other_does_not_answer(until: float) -> None:
    watch = seen_by_two([], until)
    assert not invariants.lasting(watch, lambda look: len(look.answering) > 1, 0.0)
    assert watch.looks[-1].answering == ("b",)
    assert watch.looks[-1].holders == ("backup", "master")


@pytest.mark.parametrize("until", [5.0, 1.4], ids=["keepalived is frozen", "all is frozen"])
def test_who_is_heard_answers_whatever_it_says(until: float) -> None:
    watch = seen_by_two(["m"], until)
    ((_, seconds),) = invariants.lasting(watch, lambda look: len(look.answering) > 1, 2.0)
    assert seconds > 2.4


def test_lookouts_whose_clocks_differ_are_read_by_ours() -> None:
    topology = from_yaml(gateway_yaml("standard", True))
    now = time.monotonic()
    clocks = {"master": 5000.0, "backup": -0.0}

    def look_on(words: Sequence[str], there: Collection[str]) -> dict[str, entry.Child]:
        found = {}
        for node, ahead in clocks.items():
            lines = [
                {"at": now + ahead, "holds": node == "master", "mac": node},
                {"at": now + ahead + (1 if node == "master" else 1.5), "holds": node == "backup"},
                {"at": now + ahead + 2, "end": True},
            ]
            said = [f"looking {now + ahead}", *map(json.dumps, lines)]
            found[node] = entry.begin(["printf", "%s\\n", *said], os.environ)
        return found

    lookers = invariants.Lookers(cast("Lab", SimpleNamespace(topology=topology, look_on=look_on)))
    lookers.begin()
    lookers.end()
    looks = [look.holders for look in lookers.watch.looks if look.holders]
    assert looks == [("master",), ("backup",)]
    assert invariants.turns(lookers.watch) == 1
    assert lookers.watch.end - now < 10


def test_what_a_kernel_refused_is_counted() -> None:
    snmp = "Icmp: InMsgs OutDestUnreachs\nIcmp: 7 3\nTcp: InSegs OutRsts\nTcp: 9 4\n"
    assert lookout.refusals(snmp) == 4


def test_every_row_of_the_matrix_that_a_lab_can_show_has_a_drill() -> None:
    shown = {row for fault in faults.FAULTS.values() for row in fault.rows}
    assert shown == {*range(1, 30), 40, 41}


def test_names_are_short_enough_for_a_table_of_80_columns() -> None:
    assert max(map(len, faults.FAULTS)) <= 15


def test_a_fault_that_must_not_move_the_vgw_allows_no_turn() -> None:
    for fault in faults.FAULTS.values():
        assert (fault.moves is False) <= (fault.turns == 0), fault.name
