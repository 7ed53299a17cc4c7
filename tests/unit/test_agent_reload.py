"""A change of the file is one step: taken up whole, or refused whole, with an answer for each who asked."""

import errno
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.agent.sources import Heard
from appliance.config import digests
from appliance.config.model import Config
from appliance.control.words import ApplyAnswer, ApplyRequest
from appliance.pair import beat
from appliance.pair.turn import LEAD_MARGIN
from appliance.processes.programs import keepalived_stopped
from appliance.vrrp import Role

from .agent_stand_in import PORT, Deed, Living, Operator, asking, edit
from .machine_stand_in import add_settings, planned
from .snapshots import PEER
from .supervisord_stand_in import Interface, supervisord

OTHER_ID = {"virtual_router_id: 51": "virtual_router_id: 52"}
HOT = {"profile: standard": "profile: hot"}


@pytest.fixture
def node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Living:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("VGW_RUN_DIR", str(tmp_path / "run"))
    return Living(monkeypatch, tmp_path)


@pytest.fixture
def programs(node: Living) -> Iterator[Interface]:
    with supervisord(node.run_dir, keepalived=11, conntrackd=7) as found:
        yield found


def scripts(node: Living) -> int:
    """How often nft was given a table to load."""
    return node.machine.nft.with_suffix(".log").read_text().splitlines().count("-f -")


def lead(node: Living) -> None:
    """Be MASTER."""
    node.stand_by()
    node.hold_vgw()
    assert node.look().role is Role.MASTER


class Others:
    """The peer, which says what it is each 0.1 s, and whoever asks this node."""

    def __init__(self, node: Living, role: Role, config: Config) -> None:
        self.node, self.role, self.config = node, role, config
        self.ready = True

    def beat(self) -> None:
        said = replace(
            PEER,
            role=str(self.role),
            ready=self.ready,
            digest=digests.digest(self.config),
            config=digests.legacy_digest(self.config),
            knows=self.heard(),
        )
        self.node.node.socket.inbox.append(beat.pack(said))
        if self.role is Role.MASTER:
            self.node.node.heard(90)

    def heard(self) -> str:
        """The digest that the node told last."""
        told = self.node.node.socket.outbox[-1:]
        found = [said.digest for one in told if (said := beat.unpack(one))]
        return found[0] if found else ""

    def live(self, seconds: float, *deeds: tuple[float, Deed]) -> None:
        """Let so much of the node's life pass beside them."""
        beats = [(0.1 * number, self.beat) for number in range(1, round(10 * seconds))]
        self.node.live(*sorted([*beats, *deeds], key=lambda one: one[0]), (seconds, lambda: None))


def test_a_change_is_one_replacement_of_the_table_and_no_repair(
    node: Living, programs: Interface
) -> None:
    node.stand_by()
    loaded = scripts(node)
    edit(node, {"nat:\n": PORT})
    answer = node.apply(file=str(node.file), node="master")
    assert answer == ApplyAnswer(changes=("~ table inet vgw",))
    assert scripts(node) == loaded + 1
    assert (node.told().repairs, node.told().file_errors) == (0, ())
    assert programs.signals == [], "keepalived's file is the same"
    assert node.apply() == ApplyAnswer()
    assert scripts(node) == loaded + 1


def test_keepalived_reads_a_file_that_has_changed_once(node: Living, programs: Interface) -> None:
    node.stand_by()
    edit(node, {"priority: 100": "priority: 120"})
    answer = node.apply()
    assert answer.changes == (f"~ file {node.run_dir.keepalived_conf}",)
    for _ in range(5):
        node.look()
    assert programs.signals == [("keepalived", "HUP")]


def test_what_hup_asks_for_is_done_in_the_same_way(
    node: Living, caplog: pytest.LogCaptureFixture
) -> None:
    node.stand_by()
    edit(node, {"nat:\n": PORT})
    loaded = scripts(node)
    node.live((0.1, node.story.hang_up), (0.2, lambda: None))
    assert scripts(node) == loaded + 1
    assert {"changed: ~ table inet vgw", f"took up {node.file}"} <= set(caplog.messages)


def test_two_that_ask_at_once_have_one_answer_after_the_other(node: Living) -> None:
    node.stand_by()
    edit(node, {"nat:\n": PORT})
    first, second = Operator(ApplyRequest()), Operator(ApplyRequest())
    node.live((0.1, lambda: Heard(asked=(first, second))), (0.2, lambda: None))
    assert first.answers == [ApplyAnswer(changes=("~ table inet vgw",))]
    assert second.answers == [ApplyAnswer()]


def test_a_request_that_means_another_node_is_refused_and_changes_nothing(node: Living) -> None:
    node.stand_by()
    edit(node, {"nat:\n": PORT})
    loaded = scripts(node)
    refusals = [
        node.apply(file="/elsewhere.yaml"),
        node.apply(node="backup"),
        node.apply(role="MASTER"),
    ]
    assert [one.code for one in refusals] == [1, 1, 1]
    assert refusals[0].refusal.startswith(f"the agent that runs here goes by {node.file} and would")
    assert refusals[1].refusal.startswith("the node that runs here is master, not backup: stop it")
    assert refusals[2].refusal.startswith("--role master: an agent runs here, and decides")
    assert (scripts(node), node.told().file_errors) == (loaded, ())


def test_what_nft_refuses_is_refused_before_anything_is_changed(node: Living) -> None:
    node.stand_by()
    before = node.machine.table.read_text()
    edit(node, {"nat:\n": PORT, "priority: 100": "priority: 120"})
    node.machine.refuse_check()
    answer = node.apply()
    assert (answer.code, answer.changes) == (4, ())
    assert answer.refusal == "nft refused our table: Error: no"
    assert node.machine.table.read_text() == before
    assert "priority 100" in node.run_dir.keepalived_conf.read_text()
    assert node.told().file_errors == ("nft refused our table: Error: no",)
    assert node.agent.config.nodes["master"].priority == 100


def test_what_the_kernel_refuses_on_the_way_is_taken_back(node: Living) -> None:
    node.stand_by()
    before = node.machine.table.read_text()
    edit(node, {"nat:\n": PORT, "gateway: 203.0.113.1": "gateway: 203.0.113.4"})
    node.machine.kernel.refuses = errno.ENETUNREACH
    answer = node.apply()
    assert (answer.code, answer.changes) == (4, ())
    assert "Network is unreachable" in answer.refusal
    assert node.machine.table.read_text() == before, "the rules are those of the former file again"
    node.machine.kernel.refuses = 0
    told = node.look()
    assert (told.problems, told.repairs) == ((), 0)
    node.apply()
    assert node.told().file_errors == ()


def test_an_interface_that_the_file_names_and_that_is_not_there_is_refused(node: Living) -> None:
    node.stand_by()
    edit(node, {"interface: eth1": "interface: eth7"})
    answer = node.apply()
    assert (answer.code, answer.changes) == (12, ())
    assert answer.refusal.startswith("lan.interface: there is no interface eth7 here")
    assert node.look().role is Role.BACKUP


def test_sockets_that_a_change_does_not_concern_stay(node: Living) -> None:
    node.stand_by()
    wires = node.agent.pair.ears.wires
    edit(node, {"nat:\n": PORT})
    node.apply()
    assert node.agent.pair.ears.wires is wires
    edit(node, {"gateway: 203.0.113.1": "gateway: 203.0.113.4"})
    node.apply()
    assert node.agent.pair.ears.wires is not wires


def test_words_that_both_must_say_alike_wait_until_the_peer_has_them_too(
    node: Living, programs: Interface, caplog: pytest.LogCaptureFixture
) -> None:
    node.stand_by()
    former = node.agent.config
    peer, operator = Others(node, Role.MASTER, former), Operator(ApplyRequest())
    peer.live(1.0)
    new = edit(node, OTHER_ID)
    peer.live(3.0, (0.55, asking(operator)))
    (answer,) = operator.answers
    assert (answer.changes, answer.refusal) == ((), "")
    assert answer.told == (
        "vgw.virtual_router_id 51 -> 52: both nodes change this together, so the file waits until backup "
        "has the file too: `vgw apply` there",
    )
    assert (node.told().file_errors, node.told().role) == (answer.told, Role.BACKUP)
    assert node.node.beats()[-1].digest == digests.digest(new), "the peer is told of it"
    assert programs.signals == []
    peer.config = new
    peer.live(1.5)
    assert programs.signals == [("keepalived", "HUP")]
    assert "virtual_router_id 52" in node.run_dir.keepalived_conf.read_text()
    assert (node.told().file_errors, node.told().role) == ((), Role.BACKUP)
    assert "now FAULT" not in caplog.text.partition("now BACKUP")[2]


def test_the_master_forwards_on_by_the_former_words_until_its_peer_leads_by_the_new_ones(
    node: Living, programs: Interface
) -> None:
    lead(node)
    new = edit(node, OTHER_ID)
    peer, operator = Others(node, Role.BACKUP, new), Operator(ApplyRequest())

    def take_over() -> None:
        assert (operator.answers, programs.signals) == ([], [])
        peer.role = Role.MASTER

    peer.live(2.0, (0.25, asking(operator)), (0.65, take_over))
    assert operator.answers == [ApplyAnswer(changes=(f"~ file {node.run_dir.keepalived_conf}",))]
    assert programs.signals == [("keepalived", "HUP")]


def test_a_peer_that_does_not_lead_is_not_waited_for_for_ever(
    node: Living, programs: Interface
) -> None:
    lead(node)
    peer, operator = Others(node, Role.BACKUP, edit(node, OTHER_ID)), Operator(ApplyRequest())
    peer.live(LEAD_MARGIN, (0.25, asking(operator)))
    assert operator.answers == []
    peer.live(1.5)
    assert len(operator.answers) == 1
    assert programs.signals == [("keepalived", "HUP")]


def test_who_is_alone_takes_such_a_file_up_at_once(node: Living, programs: Interface) -> None:
    lead(node)
    edit(node, OTHER_ID)
    assert node.apply().changes == (f"~ file {node.run_dir.keepalived_conf}",)


def test_a_peer_that_advertises_and_is_silent_on_the_sync_link_is_waited_for(node: Living) -> None:
    node.stand_by()
    edit(node, OTHER_ID)
    node.node.heard(90)
    told = node.apply().told[0]
    assert "so the file waits until the peer is heard on the sync link" in told


def test_a_sync_link_that_is_cut_meanwhile_does_not_part_the_pair(
    node: Living, programs: Interface
) -> None:
    lead(node)
    former = node.agent.config
    edit(node, OTHER_ID)
    Others(node, Role.BACKUP, former).live(1.0, (0.55, asking(Operator(ApplyRequest()))))
    node.live((5.0, lambda: None))
    assert "is heard on the sync link" in node.told().file_errors[0]
    assert programs.signals == []
    assert node.apply().changes == (f"~ file {node.run_dir.keepalived_conf}",), "said again"


def test_a_keepalived_that_an_agent_had_stopped_is_started_by_the_next(
    node: Living, programs: Interface
) -> None:
    node.stand_by()
    programs.sticks = True
    with keepalived_stopped(node.run_dir):
        pass
    node.look()
    assert node.run_dir.keepalived_away.exists()
    programs.sticks = False
    assert node.look().programs["keepalived"] == "RUNNING"
    assert not node.run_dir.keepalived_away.exists()
    programs.states["keepalived"] = "STOPPED"
    node.look()
    assert programs.started == ["keepalived"], "what the operator stops stays so"


def test_a_file_that_waits_is_forgotten_when_the_operator_thinks_better_of_it(
    node: Living, programs: Interface
) -> None:
    node.stand_by()
    former, text = node.agent.config, node.file.read_text()
    peer = Others(node, Role.MASTER, former)
    peer.live(1.0)
    edit(node, OTHER_ID)
    peer.live(1.0, (0.55, asking(Operator(ApplyRequest()))))
    node.file.write_text(text)
    peer.live(1.0, (0.55, asking(Operator(ApplyRequest()))))
    assert node.told().file_errors == ()
    assert node.node.beats()[-1].digest == digests.digest(former)
    assert programs.signals == []


def test_an_agent_that_starts_has_such_a_file_wait_as_well(
    node: Living, programs: Interface
) -> None:
    node.stand_by()
    node.apply()
    former = node.agent.config
    edit(node, OTHER_ID)
    node.agent = node.begin_anew()
    Others(node, Role.MASTER, former).live(4.0)
    assert programs.signals == []
    assert "has the file too" in node.told().file_errors[0]
    assert "virtual_router_id 51" in node.run_dir.keepalived_conf.read_text()


def test_a_master_lets_its_peer_lead_where_its_own_keepalived_must_be_started_anew(
    node: Living, programs: Interface
) -> None:
    lead(node)
    former = node.agent.config
    add_settings(planned(edit(node, HOT), Role.BACKUP, node.run_dir))
    peer, operator = Others(node, Role.BACKUP, former), Operator(ApplyRequest())

    def take_over() -> None:
        assert (operator.answers, programs.stopped) == ([], [])
        assert node.run_dir.aside.read_text() == "1\n"
        peer.role = Role.MASTER
        node.lose_vgw()

    peer.live(2.0, (0.25, asking(operator)), (1.05, take_over))
    assert "+ link vgw-lan on eth1 address 00:00:5e:00:01:33" in operator.answers[0].changes
    assert (programs.stopped, programs.started) == (["keepalived"], ["keepalived"])
    assert not node.run_dir.asked_aside.exists(), "it is no switchover that the operator asked for"
    assert (node.told().role, node.told().repairs) == (Role.BACKUP, 0)


def test_conntrackd_is_started_anew_where_its_file_is_another_and_else_not(
    node: Living, programs: Interface
) -> None:
    node.stand_by()
    edit(node, {"machines:": "timeouts: {udp: 40}\nmachines:"})
    changes = node.apply().changes
    assert f"~ file {node.run_dir.refresh_args}" in changes, "the refresher looks at it by itself"
    assert node.node.conntrackd.restarts == 0
    edit(node, {"sync: {interface: eth2}": "sync: {interface: eth2, protocols: [tcp]}"})
    assert node.apply().changes == (f"~ file {node.run_dir.conntrackd_conf}",)
    assert node.node.conntrackd.restarts == 1
    node.run_dir.conntrackd_conf.write_text("an operator's")
    node.look()
    assert node.node.conntrackd.restarts == 1, "a file that is put right was read by nobody"
    assert programs.signals == []
