"""The agent's life: what wakes it, what it measures, what it begins with, and how it ends."""

import gc
import json
import logging
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from appliance.agent import loop
from appliance.agent.sources import Heard
from appliance.agent.takeover import FIRST_PACKET_PATIENCE, TAKEOVER_STEP
from appliance.conntrack.orders import Order
from appliance.pair import beat
from appliance.status.node_status import Dropped
from appliance.vrrp import Role

from .agent_stand_in import NOTICED, Living, said
from .snapshots import PEER
from .supervisord_stand_in import supervisord


def term() -> None:
    """TERM is always the last to come."""


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Living:
    monkeypatch.setenv("VGW_RUN_DIR", str(tmp_path / "run"))
    return Living(monkeypatch, tmp_path)


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_where_nothing_is_heard_it_looks_once_a_second(node: Living) -> None:
    written = []

    def note() -> None:
        written.append(node.told().written)

    node.live(*((0.5 + second, note) for second in range(6)), (6.0, term))
    assert max(later - one for one, later in pairwise(written)) <= 2.0
    assert len(set(written)) == len(written)
    assert node.told().role is Role.BACKUP


def test_it_is_awake_in_time_for_the_next_beat_and_the_next_question_to_the_way_out(
    node: Living,
) -> None:
    node.live((3.0, term))
    assert max(node.story.waits) <= beat.BEAT_INTERVAL
    said_so = node.node.beats()
    assert 3.0 / beat.BEAT_INTERVAL <= len(said_so) <= 24
    assert node.node.pings.samples >= 9


def test_the_peer_hears_of_it_also_while_keepalived_says_something_each_moment(
    node: Living,
) -> None:
    def lower() -> Heard:
        node.node.now += 0.02  # so long that by its end the next is there
        return said("MASTER_RX_LOWER_PRI")

    node.live((4.0, node.hold_vgw), (5.0, term))
    node.node.beats()
    # A MASTER's keepalived says it of each advert of a lower priority.
    node.live(*((0.01 * turn, lower) for turn in range(100)), (1.0, term))
    assert len(node.node.beats()) >= 2.0 / beat.BEAT_INTERVAL - 1


def test_who_held_the_vgw_between_two_looks_has_conntrackd_disown_what_began_then(
    node: Living,
) -> None:
    both = said("MASTER")._replace(lines=said("MASTER").lines + said("BACKUP").lines)
    with supervisord(node.run_dir, conntrackd=7, keepalived=8):
        node.live((4.0, term))
        node.node.conntrackd.told.clear()
        node.live((1.0, lambda: both), (2.0, term))
    assert node.told().role is Role.BACKUP
    assert Order.DISOWN in node.node.conntrackd.told


def test_what_made_it_look_is_told_with_the_change(node: Living) -> None:
    node.live(
        (4.0, node.hold_vgw),
        (5.0, lambda: said("NONSENSE 1 2")),
        (6.0, lambda: (node.lose_vgw(), NOTICED)[1]),
        (9.0, term),
    )
    assert [(event.now, event.cause) for event in node.changes()] == [
        ("FAULT", "read at start"),
        ("BACKUP", "all is well"),
        ("MASTER", "keepalived said MASTER"),
        ("BACKUP", "found by looking"),
    ]


def test_a_takeovers_first_packet_is_measured(node: Living) -> None:
    def forward() -> None:
        node.traffic = True

    node.traffic = False
    node.live((4.0, node.hold_vgw), (4.25, forward), (5.0, term))
    event = node.changes()[-1]
    assert event.now == "MASTER"
    assert event.forwarded_ms == pytest.approx(250, abs=1000 * TAKEOVER_STEP)


def test_while_a_takeover_is_measured_the_pair_is_judged_no_more_often(node: Living) -> None:
    asked = []

    def count() -> None:
        asked.append(node.node.adverts.asked)

    node.traffic = False
    end = 4.0 + FIRST_PACKET_PATIENCE
    node.live(
        (2.0, count), (3.9, count), (4.0, node.hold_vgw), (4.1, count), (end, count), (8.0, term)
    )
    assert asked[3] - asked[2] <= 1.5 * (asked[1] - asked[0])


def test_a_takeover_without_traffic_is_recorded_all_the_same(node: Living) -> None:
    recorded = []
    node.traffic = False
    node.live(
        (4.0, node.hold_vgw),
        (4.0 + FIRST_PACKET_PATIENCE - 0.1, lambda: recorded.append(node.changes()[-1].now)),
        (4.0 + FIRST_PACKET_PATIENCE + 0.1, lambda: recorded.append(node.changes()[-1].now)),
        (7.0, term),
    )
    assert recorded == ["BACKUP", "MASTER"]
    assert node.changes()[-1].forwarded_ms is None


def test_a_change_of_role_is_recorded_also_where_the_agent_ends_at_once(
    node: Living, log: pytest.LogCaptureFixture
) -> None:
    node.traffic = False
    node.live((4.0, node.hold_vgw))
    assert node.changes()[-1].now == "MASTER"
    assert log.messages[-1] == "the agent ends; the kernel forwards on as it was told"
    assert node.machine.table.exists() and node.machine.forwards()


def test_a_file_is_read_again_when_hup_comes(node: Living) -> None:
    text = node.file.read_text()
    node.file.write_text(text.replace("203.0.113.99", "203.0.113.98"))
    seen = []

    def hang_up() -> Heard:
        seen.append(node.told().wan_vip)
        return node.story.hang_up()

    node.live((3.5, hang_up), (4.0, term))
    assert (seen, node.told().wan_vip) == (["203.0.113.99/24"], "203.0.113.98/24")


def test_the_peers_word_makes_it_look_without_waiting_for_the_next_tick(node: Living) -> None:
    reasons = []

    def tell() -> None:
        digest = node.agent.pair.voice.terms.legacy_digest
        peer = replace(PEER, role="MASTER", generation=5, config=digest)
        node.node.socket.inbox.append(beat.pack(peer))

    def note() -> None:
        reasons.append(node.told().pair.reason)

    node.live((4.3, note), (4.4, tell), (4.5, note), (4.6, term))
    assert reasons[0] == "all is well"
    assert reasons[1] != reasons[0]


def test_what_the_rules_have_dropped_is_told(node: Living) -> None:
    rule = {"chain": "input", "comment": "everything else"}
    counter = {"counter": {"packets": 3, "bytes": 180}}
    listing = {"nftables": [{"rule": {**rule, "expr": [counter, {"drop": None}]}}]}
    node.machine.nft.with_suffix(".json").write_text(json.dumps(listing))
    node.live((3.0, term))
    assert node.told().dropped == (Dropped("input", "everything else", 3, 180),)


def begin(node: Living) -> None:
    """As supervisord starts it."""
    node.story.deeds = [(node.node.now + 3.0, term)]
    try:
        loop.main(node.file, "master", node.doors())
    finally:
        gc.unfreeze()  # for this process does not live as long as an agent's


def test_it_begins_by_the_file_and_keeps_what_it_took_up(node: Living) -> None:
    begin(node)
    assert node.told().role is Role.BACKUP
    assert node.told().config == str(node.file)
    assert node.run_dir.accepted.read_text() == node.file.read_text()


def test_a_kernel_without_filters_on_the_way_out_is_told_of(
    node: Living, log: pytest.LogCaptureFixture
) -> None:
    lacks = "this kernel has no filters for what comes in by an interface"
    begin(node)
    assert lacks not in log.text
    assert node.machine.frames.exists()
    node.machine.refuse_check("Error: Could not process rule: Operation not supported")
    begin(node)
    assert lacks in log.text
    assert not node.machine.frames.exists()


def test_beside_a_file_with_errors_it_begins_by_what_was_taken_up_last(
    node: Living, log: pytest.LogCaptureFixture
) -> None:
    begin(node)
    good = node.file.read_text()
    node.file.write_text("vgw: {}\n")
    begin(node)
    told = node.told()
    assert (told.role, told.vgw) == (Role.BACKUP, "192.168.100.99/24")
    assert told.file_errors
    assert f"{node.file} cannot be used, so the node goes on by what it took up last" in log.text
    node.file.write_text(good.replace("203.0.113.99", "203.0.113.98"))
    begin(node)
    told = node.told()
    assert (told.file_errors, told.wan_vip) == ((), "203.0.113.98/24")
    assert "changed: ~ table inet vgw" in log.messages, "as any change of the file is taken up"


def test_with_nothing_to_go_by_it_ends_the_node_and_says_why(node: Living) -> None:
    node.file.unlink()
    with supervisord(node.run_dir) as told, pytest.raises(SystemExit) as end:
        begin(node)
    assert (end.value.code, told.ending) == (2, True)
    assert told.reason.startswith(
        f"the agent has no configuration to go by:\n{node.file}: No such file or directory;"
    )
    with pytest.raises(SystemExit) as end:
        begin(node)
    assert end.value.code == 2, "without a supervisord there is no node to end"


def test_a_machine_that_lacks_an_interface_is_told_with_its_exit_code(
    node: Living, log: pytest.LogCaptureFixture
) -> None:
    node.machine.kernel.link("eth2").name = "renamed"
    with pytest.raises(SystemExit) as end:
        begin(node)
    assert end.value.code == 12
    assert log.messages[-1].startswith("sync.interface: there is no interface eth2 here; there are")
