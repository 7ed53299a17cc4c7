"""What an agent does of one look at its machine: it follows the role, keeps the plan, and tells what is wrong."""

import errno
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import rtnetlink
from appliance.addresses import Prefix
from appliance.agent.guard import NO_RULES_SECONDS
from appliance.pair import beat
from appliance.pair.election import DEAF_PATIENCE, HOLDS_ON, STUBBORN
from appliance.planning.wanted import Names
from appliance.rtnetlink import RouteEntry, RuleEntry
from appliance.vrrp import Role

from .agent_stand_in import Living
from .snapshots import PEER
from .supervisord_stand_in import supervisord

OWN, FORWARD = Names().own_table, Names().forward_table


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Living:
    return Living(monkeypatch, tmp_path)


def test_a_node_that_finds_nobody_makes_its_machine_a_gateway_and_stands_by(node: Living) -> None:
    told = node.look("read at start")
    assert (told.role, told.sentence) == (
        Role.FAULT,
        "now FAULT: the node is not ready (read at start)",
    )
    assert node.machine.table.exists() and node.machine.forwards(), "the plan does not wait"
    node.stand_by()
    told = node.told()
    assert told.sentence == (
        "now BACKUP: the peer is to carry the VGW; this node stands by (found by looking, was FAULT for 2.0 s)"
    )
    assert (told.ready, told.role_changes, told.repairs, told.problems) == (True, 2, 0, ())


def test_a_takeover_moves_the_nodes_own_way_out_tells_the_peer_and_is_kept_as_an_event(
    node: Living,
) -> None:
    node.stand_by()
    assert node.sources_of(OWN) == ["203.0.113.2"]
    node.node.heard(90)
    node.node.beats()
    node.hold_vgw()
    told = node.look("keepalived said MASTER", passed=2.0)
    assert (told.role, told.role_changes) == (Role.MASTER, 3)
    assert node.sources_of(OWN) == ["203.0.113.99"]
    assert node.sources_of(FORWARD) == [None], "the way of others is the same in every role"
    assert node.node.beats()[0].role == "MASTER"
    node.lose_vgw()
    node.look("keepalived said BACKUP")
    event = node.changes()[-1]
    assert (event.was, event.now, event.cause) == ("BACKUP", "MASTER", "keepalived said MASTER")
    assert (event.sentence, event.flows) == (told.sentence, 100)
    assert (event.detection_ms, event.farewell, event.forwarded_ms) == (2000.0, False, None)


def test_where_nobody_has_changed_a_rule_the_ruleset_is_not_looked_at_again(node: Living) -> None:
    node.stand_by()
    before = node.machine.listings
    assert node.look().ready
    assert node.machine.listings == before
    node.machine.tables.generation += 1
    assert node.look().ready
    assert node.machine.listings == before + 3, "each table of ours"
    node.machine.table.unlink()
    node.look()
    assert node.machine.listings == before + 7, "found gone, and all listed once it was there again"


def test_what_has_drifted_is_repaired_counted_and_told(
    node: Living, caplog: pytest.LogCaptureFixture
) -> None:
    node.stand_by()
    node.machine.kernel.rules.pop()
    node.machine.table.unlink()
    told = node.look()
    assert told.repairs == 2
    assert told.repaired[0] == "+ table inet vgw"
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING] == [
        f"repaired: {what}" for what in told.repaired
    ]
    assert node.look().repairs == 2, "once"


def test_what_a_new_role_asks_for_is_no_repair(node: Living) -> None:
    node.stand_by()
    node.hold_vgw()
    assert node.look().repairs == 0


def test_routes_that_wait_for_keepaliveds_second_address_are_no_repair(node: Living) -> None:
    node.stand_by()
    node.machine.kernel.add_address("eth1", "192.168.100.99/24")
    node.machine.kernel.refuses = errno.EINVAL
    told = node.look()
    assert (told.role, told.moved_ms) == (Role.MASTER, None)
    assert told.problems
    node.machine.kernel.refuses = 0
    told = node.look()
    assert (told.repairs, told.problems, told.moved_ms) == (0, (), 1000.0)
    node.machine.kernel.routes.pop()
    assert node.look().repairs == 1, "what goes later is one"


def test_what_cannot_be_put_right_is_a_problem_told_once_and_when_it_is_over(
    node: Living, caplog: pytest.LogCaptureFixture
) -> None:
    node.stand_by()
    node.machine.kernel.rules.pop()
    node.machine.kernel.refuses = errno.EPERM
    caplog.set_level(logging.INFO)
    (problem,) = node.look().problems
    assert problem.startswith("the kernel refused + rule 3150")
    assert problem.endswith("Operation not permitted")
    assert node.look().problems == (problem,)
    node.machine.kernel.refuses = 0
    assert node.look().problems == ()
    lines = [one.getMessage() for one in caplog.records]
    assert (lines.count(problem), lines.count(f"over: {problem}")) == (1, 1)


def test_what_is_right_at_the_second_look_is_no_problem(node: Living) -> None:
    node.stand_by()
    node.machine.table.unlink()
    node.machine.stumble()
    told = node.look()
    assert (told.problems, told.repaired[0]) == ((), "+ table inet vgw")
    assert node.machine.forwards()


def test_without_its_rules_a_node_is_not_ready_and_then_it_ends(node: Living) -> None:
    with supervisord(node.run_dir, keepalived=11) as told:
        node.stand_by()
        node.machine.table.unlink()
        node.machine.refuse_rules()
        snapshot = node.look()
        assert not snapshot.ready
        assert node.look().role is Role.FAULT
        for _ in range(int(NO_RULES_SECONDS) - 1):
            node.look()
        assert not told.ending
        node.look()
        assert told.ending
    assert told.reason == (
        f"no ruleset in force for {NO_RULES_SECONDS:.0f} s: "
        f"{'; '.join(2 * ['nft refused our table: Error: Operation not permitted'])}"
    )


def test_a_cable_that_is_out_and_an_interface_that_is_gone_are_a_fault(node: Living) -> None:
    lan = node.machine.kernel.link("eth1")
    whole = replace(lan)
    for broken in (replace(lan, carries=False), replace(lan, name="renamed")):
        node.stand_by()
        vars(lan).update(vars(broken))
        told = node.look()
        assert told.role is Role.FAULT
        assert "an interface of the gateway is down" in told.sentence
        vars(lan).update(vars(whole))


@pytest.mark.parametrize("case", ["01-standard", "06-by-subnet"])
@pytest.mark.parametrize(
    ("interface", "home"), [("eth1", "192.168.100.2/24"), ("eth0", "203.0.113.2/24")]
)
def test_an_address_of_its_own_that_is_gone_is_a_fault_and_told_with_the_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, interface: str, home: str
) -> None:
    node = Living(monkeypatch, tmp_path, case)
    node.stand_by()
    node.machine.kernel.remove_address(home)
    node.look()
    told = node.look()
    problem = (
        f"{interface} has lost this node's address {home}: "
        f"`ip addr add {home} dev {interface}` puts it back"
    )
    assert (told.role, told.ready, told.problems) == (Role.FAULT, False, (problem,))
    assert problem in told.sentence
    node.machine.kernel.add_address(interface, home)
    assert node.look().problems == ()
    # It has been alone, and hears for half a second whether it still is.
    assert [node.look().role for _ in range(2)] == [Role.FAULT, Role.BACKUP]


def test_a_sync_interface_that_is_gone_moves_nothing_and_is_told(node: Living) -> None:
    node.stand_by()
    node.machine.kernel.link("eth2").name = "renamed"
    node.look()
    told = node.look()
    assert (told.role, told.ready) == (Role.BACKUP, True)
    assert "there is no interface eth2" in told.problems


def stranger(destination: str, table: int = 254, interface: int = 1) -> bytes:
    """A route of another program's, which leads out by an interface without a gateway."""
    entry = RouteEntry(table, Prefix(destination), None, interface, None)
    return rtnetlink._route_body(entry, 4, 0, 1)


def test_a_route_that_takes_the_traffic_of_others_is_a_fault_and_told_with_whose_it_is(
    node: Living,
) -> None:
    node.stand_by()
    kernel = node.machine.kernel
    kernel.routes.append(thief := stranger("128.0.0.0/1"))
    told = node.look()
    problem = (
        "packets from inside to 198.41.0.4 would leave by lo, not by eth0 via 203.0.113.1: the route 128.0.0.0/1 "
        "of table main (protocol static) comes before ours; "
        "`ip route del 128.0.0.0/1 dev lo table main` takes it away"
    )
    assert told.problems == (problem,)
    assert node.look().role is Role.FAULT
    kernel.routes.remove(thief)
    node.look()
    assert (node.look().role, node.told().problems) == (Role.BACKUP, ())


def test_a_rule_in_front_of_ours_is_told_by_its_priority(node: Living) -> None:
    node.stand_by()
    kernel = node.machine.kernel
    kernel.routes.append(stranger("0.0.0.0/0", table=52))
    kernel.rules.append(rtnetlink._rule_body(RuleEntry(5270, 1, 52, "", 0, None), 3))
    (problem,) = node.look().problems
    assert problem.endswith(
        "the routing rule 5270 to table 52 (protocol boot) comes before ours; `ip rule del pref 5270` takes it away"
    )


def test_packets_from_inside_that_the_kernel_would_drop_are_told(node: Living) -> None:
    node.stand_by()
    kernel = node.machine.kernel
    node.look()
    kernel.leads_nowhere = errno.EINVAL
    (problem,) = node.look().problems
    assert problem == (
        "the kernel would drop packets from inside to 8.8.8.8 (Invalid argument): "
        "`ip rule` and `ip route` show what leads them nowhere"
    )
    kernel.rules.append(rtnetlink._rule_body(RuleEntry(5270, 1, 52, "", 0, None), 3))
    (problem,) = node.look().problems
    assert "(Invalid argument): the routing rule 5270 to table 52 (protocol boot)" in problem


def test_interfaces_that_were_renumbered_are_found_by_their_subnets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    node = Living(monkeypatch, tmp_path, "06-by-subnet")
    node.stand_by()
    kernel = node.machine.kernel
    lan, wan = (kernel.link(name) for name in ("eth1", "eth0"))
    lan.name, wan.name = "eth0", "eth1"
    told = node.look()
    assert told.role is Role.BACKUP
    assert "interfaces are now lan='eth0'" in caplog.text.replace("Interfaces(", "")
    assert node.look().problems == ()


def test_a_switch_to_a_new_file_is_no_repair_and_a_broken_one_changes_nothing(
    node: Living, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node.stand_by()
    good = node.file.read_text()
    node.file.write_text(good.replace("priority: 90", "priority: none"))
    answer, told = node.apply(), node.told()
    assert f"{node.file}:" in told.file_errors[0]
    assert (answer.code, answer.before, answer.changes) == (2, "", ())
    assert answer.refusal == "\n".join(told.file_errors)
    assert "kept the former configuration, for the file is not to be used" in caplog.text
    assert node.run_dir.accepted.exists() is False, "what is broken is not kept"
    node.file.write_text(good.replace("203.0.113.99", "203.0.113.98"))
    answer, told = node.apply(), node.told()
    assert (answer.code, answer.refusal, answer.changes[0]) == (0, "", "~ table inet vgw")
    assert (told.file_errors, told.wan_vip, told.repairs) == ((), "203.0.113.98/24", 0)
    assert "203.0.113.98" in node.machine.table.read_text()
    assert node.run_dir.accepted.read_text() == node.file.read_text()
    assert f"took up {node.file}" in caplog.text


def test_a_file_that_the_firewall_has_no_words_for_is_not_taken_up(
    node: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.stand_by()
    rules = node.agent.guard.firewall
    monkeypatch.setattr(rules, "supported", lambda _: ("chain input: nobody can say this",))
    node.file.write_text(node.file.read_text().replace("203.0.113.99", "203.0.113.98"))
    answer, told = node.apply(), node.told()
    assert (answer.code, answer.refusal) == (16, "chain input: nobody can say this")
    assert told.file_errors == ("chain input: nobody can say this",)
    assert told.wan_vip == "203.0.113.99/24"


def peer_says(node: Living, role: str) -> None:
    said = replace(PEER, role=role, config=node.agent.pair.voice.terms.legacy_digest)
    node.node.socket.inbox.append(beat.pack(said))
    node.node.serve()


@pytest.mark.parametrize("runs", [True, False])
def test_a_floating_address_that_a_dead_keepalived_left_behind_goes_when_the_peer_is_master(
    node: Living, *, runs: bool
) -> None:
    node.stand_by()
    node.hold_vgw()
    with supervisord(node.run_dir, keepalived=11) as programs:
        programs.states["keepalived"] = "RUNNING" if runs else "BACKOFF"
        node.look()
        for _ in range(8):
            peer_says(node, "MASTER")
        assert node.agent.pair.contested
        told = node.look(passed=0.1)
    assert (told.role is Role.MASTER) == runs
    assert told.programs == {"keepalived": "RUNNING" if runs else "BACKOFF"}


def test_a_keepalived_that_is_deaf_reads_its_file_again_and_is_then_started_anew(
    node: Living,
) -> None:
    def looks(seconds: float) -> tuple[str, ...]:
        for _ in range(int(seconds)):
            node.node.heard(90)
            node.look()
        return node.told().problems

    with supervisord(node.run_dir, keepalived=11) as told:
        node.stand_by()
        node.sockets = 0
        assert looks(DEAF_PATIENCE - 1) == ()
        assert set(told.signals) == {("keepalived", "HUP")}
        (problem,) = looks(2)
        assert problem.startswith("keepalived")
        assert node.killed == []
        looks(STUBBORN - DEAF_PATIENCE + 1)
        assert {program.pid for program in node.killed} == {11}
        node.sockets = 1
        assert looks(1) == ()


def test_where_nobody_holds_the_vgw_a_keepalived_that_does_not_take_over_is_started_anew(
    node: Living,
) -> None:
    with supervisord(node.run_dir, keepalived=11):
        node.stand_by()
        for _ in range(8):
            node.look()
    assert "nobody holds the VGW" in node.told().problems[0]
    assert [program.pid for program in node.killed] == [11]


def test_a_keepalived_that_does_not_let_go_of_the_vgw_is_started_anew(node: Living) -> None:
    with supervisord(node.run_dir, keepalived=11):
        node.stand_by()
        node.hold_vgw()
        node.machine.kernel.remove_address("192.168.100.2/24")
        for _ in range(int(HOLDS_ON) + 3):
            node.node.told(replace(PEER, role="BACKUP"))
            node.look()
    assert (node.told().role, node.told().ready) == (Role.MASTER, False)
    assert [program.pid for program in node.killed] == [11]


def test_a_keepalived_of_a_master_that_is_ready_is_never_started_anew(node: Living) -> None:
    with supervisord(node.run_dir, keepalived=11):
        node.stand_by()
        node.hold_vgw()
        node.sockets = 0
        for _ in range(int(STUBBORN) * 3):
            node.look()
    assert node.killed == []


def test_keepalived_is_given_the_priority_that_the_file_asks_for_and_told_of_once_where_it_cannot(
    node: Living, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    refused = "keepalived runs as any process: its realtime priority needs CAP_SYS_NICE"
    with supervisord(node.run_dir, keepalived=11):
        node.look()
        assert node.preferred == [], "there is no VRRP process yet"
        node.run_dir.vrrp_pid.write_text("12\n")
        node.stand_by()
        assert set(node.preferred) == {(12, 20)}
        node.may_prefer = False
        for _ in range(3):
            node.look()
    assert caplog.messages.count(refused) == 1
