"""A whole node of the pair without a kernel: what it hears, what follows, and what it says and does."""

import logging
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.conntrack.orders import Order
from appliance.pair import beat, pair_status, terms
from appliance.pair.beat import BEAT_INTERVAL, Beat
from appliance.pair.mac_frames import MAC_PATIENCE
from appliance.pair.readiness import GRACE
from appliance.pair.side import WATCH
from appliance.processes import notes
from appliance.status import events
from appliance.vrrp import Role

from .node_doors import Node, config, connected
from .snapshots import PEER

STANDARD = config()
HOT = config("07-hot")
MASTER = replace(PEER, digest=terms.terms(STANDARD, "master").digest)
HOT_MASTER = replace(PEER, digest=terms.terms(HOT, "master").digest)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """The node `master`, which outranks its peer, as it starts."""
    return Node(STANDARD, "master", tmp_path)


def caught_up(node: Node, said: Beat = MASTER) -> None:
    """Have the node stand by with its replicas beside a MASTER."""
    node.table.entries = said.entries
    node.look(Role.BACKUP)
    for turn in range(60):
        asked = node.pair.memory.replication.fetch.open
        node.heard(90)
        canary = 10 + 2 * turn
        node.table.canaries.add(canary)
        said = replace(said, prepared=asked, canary=canary)
        node.told(said)
        node.serve()
        node.look()
    assert node.ready() == "1 0", node.pair.memory.verdict


def test_a_judgement_comes_with_a_beat_and_not_with_each_answer_from_the_way_out(
    node: Node,
) -> None:
    caught_up(node)
    judged = node.pair.memory
    node.serve(0.05)
    assert node.pair.memory is judged
    node.told(MASTER)
    node.serve(0.05)
    assert node.pair.memory is not judged, "a beat was heard"
    judged = node.pair.memory
    node.serve(BEAT_INTERVAL)
    assert node.pair.memory is not judged, "one is to be said"


def test_a_node_alone_is_ready_when_it_has_listened(node: Node) -> None:
    node.look()
    assert node.ready() == "0 1"
    node.serve(GRACE + 0.1)
    assert node.ready() == "1 0"
    node.look(ruleset=False)
    assert node.ready() == "0 0"


def test_a_standby_takes_in_the_table_before_it_is_ready(node: Node) -> None:
    caught_up(node)
    told_first = [one for one in node.conntrackd.told if one is not Order.COUNT]
    assert told_first == [Order.DISOWN, Order.DROP_MOVED, Order.REQUEST]
    assert node.conntrackd.calmed == [7]
    assert node.run_dir.settled.read_text() == "BACKUP 7\n"
    told = pair_status.of(node.pair)
    assert (told.canary % 2, told.degraded, told.uplink) == (0, "", True)
    found = events.read(node.run_dir)
    assert [event.now for event in found] == ["caught up"]
    assert found[0].flows == MASTER.entries


def test_status_can_be_told_at_each_moment_of_the_catching_up(node: Node) -> None:
    node.look(Role.BACKUP)
    while Order.REQUEST not in node.conntrackd.told:
        node.told(replace(MASTER, prepared=node.pair.memory.replication.fetch.open))
        node.serve()
        assert "dropped" not in pair_status.of(node.pair).counters._asdict()


def test_a_new_master_tells_its_peer_at_once_and_conntrackd_after_all_else(node: Node) -> None:
    caught_up(node)
    node.beats()
    node.conntrackd.told.clear()
    node.pair.become(Role.MASTER, node.now)
    assert [said.role for said in node.beats()] == ["MASTER"]
    assert node.conntrackd.told == [], "routes and rules come first"
    node.pair.guard(node.now, ruleset=True)
    assert node.conntrackd.told == []
    node.pair.settle(node.now, electable=True, generation=7)
    node.serve()
    assert [one for one in node.conntrackd.told if one is not Order.COUNT] == [
        Order.DISOWN,
        Order.OWN,
    ]
    assert node.run_dir.settled.read_text() == "- 7\n"
    node.serve()
    assert node.run_dir.settled.read_text() == "MASTER 7\n"


def test_an_agent_that_was_killed_left_a_node_that_goes_on(node: Node) -> None:
    caught_up(node)
    node.look(Role.MASTER)
    node.serve()
    node.serve()
    node.conntrackd.told.clear()
    node.pair = node.agent()
    node.look(Role.MASTER)
    for _ in range(3):
        node.serve()
    assert set(node.conntrackd.told) <= {Order.COUNT}, "nothing is repeated"
    assert node.ready().startswith("1")


def test_a_note_that_nobody_can_read_counts_as_none(node: Node) -> None:
    for text in ("", "MASTER\n", "LEADER 7\n", "MASTER seven\n"):
        node.run_dir.settled.write_text(text)
        node.conntrackd.told.clear()
        node.pair = node.agent()
        node.look(Role.MASTER)
        node.serve()
        node.serve()
        assert [one for one in node.conntrackd.told if one is not Order.COUNT] == [
            Order.DISOWN,
            Order.OWN,
        ]


def test_two_nodes_replicate_and_a_canary_of_each_master_arrives(tmp_path: Path) -> None:
    master = Node(STANDARD, "master", tmp_path / "m")
    backup = Node(STANDARD, "backup", tmp_path / "b")
    pass_on = connected(master, backup)
    master.look(Role.MASTER)
    backup.look(Role.BACKUP)

    def live(seconds: float) -> None:
        for turn in range(int(seconds * 10)):
            for one in (master, backup):
                one.heard(100 if one is backup else 0)
                one.serve()
                pass_on()
                if turn % 10 == 9:
                    one.look()

    live(6.0)
    assert backup.pair.memory.replication.canaries.seen, "a canary has arrived"
    assert master.pair.memory.waited < 1.5
    assert not master.pair.memory.degraded
    assert not master.pair.memory.behind
    assert backup.ready().startswith("1")
    assert not backup.pair.contested
    backup.look(Role.MASTER)
    live(0.5)
    assert backup.pair.contested
    master.look(Role.BACKUP)
    live(6.0)
    assert master.pair.memory.replication.canaries.seen > master.pair.memory.replication.fetch.open


def test_a_dead_replication_is_told_of_and_conntrackd_is_started_anew(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vgw")
    node.look(Role.MASTER)
    for _ in range(180):
        node.told(replace(MASTER, role="BACKUP"))
        node.serve()
    assert node.pair.memory.degraded.startswith("no flow to backup has arrived for")
    assert node.conntrackd.restarts == 1
    number = node.pair.memory.replication.canaries.number
    node.told(replace(MASTER, role="BACKUP", seen=number))
    assert node.serve(), "that is news"
    assert [event.now for event in events.read(node.run_dir)] == ["degraded", "works"]
    assert "replication works again, it was degraded: no flow to backup" in caplog.text


def test_a_peer_whose_power_is_cut_leaves_no_word_of_replication_behind(node: Node) -> None:
    caught_up(node)
    before = len(events.read(node.run_dir))
    node.serve(0.2)
    node.heard(100)  # its last advert, a moment after its last beat
    for _ in range(40):
        node.serve(0.1)
        node.look()
    assert node.pair.memory.degraded == ""
    assert len(events.read(node.run_dir)) == before


def test_a_peer_that_is_gone_has_not_mended_its_replication(node: Node) -> None:
    caught_up(node)
    for _ in range(20):
        node.serve(0.1)
        node.heard(100)
        node.look()
    assert node.pair.memory.degraded == "the peer is silent on the sync link"
    for _ in range(40):
        node.serve(0.1)
        node.look()
    found = events.read(node.run_dir)
    assert [event.now for event in found] == ["caught up", "degraded", "alone"]
    assert found[-1].sentence.startswith("the peer is gone; replication was degraded: the peer is")


def test_what_conntrackd_refuses_is_told_once_and_tried_again(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.conntrackd.refuses = frozenset({Order.OWN})
    node.look(Role.MASTER)
    for _ in range(3):
        node.serve()
    assert caplog.text.count("conntrackd refused to own") == 1
    node.conntrackd.refuses = frozenset()
    for _ in range(15):
        node.serve()
    assert node.run_dir.settled.read_text() == "MASTER 7\n"
    assert node.pair.bulkheads.problems == ()


def test_a_kernel_that_refuses_canaries_is_told_of_and_the_rest_goes_on(node: Node) -> None:
    node.table.refuses = "no right to plant"
    node.look(Role.MASTER)
    assert node.pair.bulkheads.problems == ("no right to plant",)
    node.look(Role.BACKUP)
    node.told(MASTER)
    node.serve()
    assert node.pair.bulkheads.problems == ("no right to plant",)
    assert node.beats()[-1].role == "BACKUP"


def test_a_master_that_is_cut_off_tells_so_at_once(node: Node) -> None:
    node.look(Role.MASTER)
    node.beats()
    node.pair.cable(node.now, carries=False, lan="eth1")
    assert [said.role for said in node.beats()] == ["FAULT"]
    node.pair.cable(node.now, carries=False, lan="eth1")
    assert node.beats() == [], "once"
    node.pair.cable(node.now + 1, carries=True, lan="eth1")
    assert node.pair.own.back == node.now + 1


def test_a_standby_draws_the_virtual_macs_here_when_its_master_is_cut_off(tmp_path: Path) -> None:
    node, said = Node(HOT, "master", tmp_path), HOT_MASTER
    caught_up(node, said)
    node.voice.announced.clear()
    for _ in range(2):  # heard together
        node.told(replace(said, role="FAULT"))
    node.serve()
    floating = [str(address) for address in node.pair.voice.terms.floating]
    assert node.voice.announced == [("vgw-lan", floating[0]), ("vgw-wan", floating[1])]
    node.told(replace(said, role="FAULT"))
    node.serve()
    assert len(node.voice.announced) == 2, "once"


def test_frames_of_a_virtual_mac_that_do_not_come_are_told_of(tmp_path: Path) -> None:
    node, said = Node(HOT, "master", tmp_path), HOT_MASTER
    caught_up(node, said)
    node.frames[1].last = node.now
    for _ in range(int(MAC_PATIENCE) + 1):
        node.told(said)
        node.serve(1.0)
        node.frames[1].last = node.now
    told = pair_status.of(node.pair).degraded
    assert told.startswith("no frame of the virtual MAC 00:00:5e:00:01:33 has come in by vgw-lan")
    assert "vgw-wan" not in told
    node.told(replace(said, role="BACKUP"))
    node.serve()
    assert node.pair.memory.unheard == "", "nobody sends any"


def test_a_standby_calls_a_master_that_it_does_not_hear(node: Node) -> None:
    node.look(Role.BACKUP)
    node.voice.announced.clear()
    for _ in range(6):
        node.told(MASTER)
        node.serve(0.05)
    home = ("eth1", str(STANDARD.nodes["master"].lan.ip))
    assert node.voice.announced == [home] * 3, "ten times a second at most"
    node.heard(90)
    node.told(MASTER)
    node.serve(0.11)
    assert len(node.voice.announced) == 3, "it is heard"


def test_a_master_keeps_its_peers_place_known(node: Node) -> None:
    node.look(Role.MASTER)
    for _ in range(15):
        node.serve()
    assert node.voice.kept == ["eth1"] * 2, "once a second"


def test_a_switchovers_note_goes_when_it_has_done_its_work(node: Node) -> None:
    caught_up(node)
    node.look(Role.MASTER)
    notes.ask_aside(node.run_dir, asked=True)
    node.told(replace(MASTER, role="BACKUP"))
    node.serve()
    assert node.ready() == "1 1"
    node.look(Role.BACKUP)
    node.heard(90)
    node.serve()
    assert notes.is_asked_aside(node.run_dir), "the peer's adverts are of the lower rank still"
    node.heard(101)
    node.serve(BEAT_INTERVAL)
    assert not notes.is_asked_aside(node.run_dir)
    notes.ask_aside(node.run_dir, asked=True)
    node.look(Role.MASTER)
    assert not notes.is_asked_aside(node.run_dir), "the VGW came back"


def test_beats_come_four_times_a_second_and_at_each_news(node: Node) -> None:
    node.look(Role.MASTER)
    node.beats()
    for _ in range(30):
        node.serve(0.05)
    said = node.beats()
    assert 6 <= len(said) <= 9
    assert said[-1].canary > said[0].canary
    assert all(later.canary >= one.canary for one, later in pairwise(said))


def test_a_request_that_a_look_brought_is_told_without_delay(node: Node) -> None:
    node.look(Role.BACKUP, generation=0)
    node.serve()
    node.beats()
    node.look(Role.BACKUP)
    node.serve(WATCH)
    assert [said.asks for said in node.beats()] == [node.pair.memory.replication.fetch.open]


def test_the_agent_waits_no_longer_than_something_is_due(node: Node) -> None:
    node.look(Role.BACKUP)
    node.serve()
    assert node.pair.filenos() == (3, 4)
    assert 0 < node.pair.wait(node.now) <= beat.BEAT_INTERVAL
    node.told(replace(MASTER, canary=99))
    node.serve()
    assert node.pair.wait(node.now) <= 1.01 * WATCH, "a canary was announced"
    assert node.pair.wait(node.now + 60) == 0.0


def test_a_node_without_an_address_outside_asks_nobody(tmp_path: Path) -> None:
    node = Node(config("04-no-address-outside"), "master", tmp_path)
    node.look()
    node.serve()
    assert node.pair.filenos() == (3,)
    assert node.beats()[-1].quiet is None
    assert node.pings.samples == 0
    assert pair_status.of(node.pair).uplink is None


def test_a_file_in_which_the_peer_has_another_name_is_taken_up(node: Node) -> None:
    node.look(Role.BACKUP)
    renamed = config(**{"  backup:": "  other:"})
    node.wanted = renamed
    node.pair.take_up(renamed, node.now)
    node.told(replace(MASTER, node="other"))
    node.serve()
    assert node.pair.ears.peer.is_master
    told = pair_status.of(node.pair)
    assert told.peer and told.peer.node == "other"


def test_a_beat_that_comes_just_before_a_change_of_role_is_heard_first(node: Node) -> None:
    caught_up(node)
    node.told(replace(MASTER, role="FAULT"))
    node.pair.become(Role.MASTER, node.now)
    assert node.pair.ears.peer.in_fault
    assert not node.pair.contested
