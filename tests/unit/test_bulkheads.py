"""No error of what is outside ends the agent, whichever call it comes from: it is told, and the service goes on."""

import errno
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import CommandFailed, converge
from appliance.agent.doors import AgentDoors
from appliance.agent.guard import HELPLESS_SECONDS
from appliance.agent.sources import Heard
from appliance.bulkhead import FORGOTTEN, Bulkheads
from appliance.drivers import links, routes
from appliance.pair.election import HOLDS_ON
from appliance.planning.wanted import Names
from appliance.processes import notes
from appliance.vrrp import Role

from .agent_stand_in import Deed, Living
from .sabotage import ERRORS, Saboteur, by_door, into, lay_hands_on_all
from .snapshots import PEER
from .supervisord_stand_in import supervisord

DOORS = by_door()
OWN = Names().own_table
# Without these nobody can tell what the node is, or put its routes.
NEEDED = frozenset(
    {
        "drivers.routes.apply",
        "drivers.routes.links",
        "rtnetlink.put_route",
        "netlink_door.answers",
        "netlink_door.change",
        "rtnetlink.addresses",
        "rtnetlink.links",
    }
)
# From one call to the next; a change of role meanwhile, the last look at it, the fault's end, and the look after it.
SLOT, CHANGE, LOOK, END, AFTER = 3.0, 0.3, 1.5, 1.6, 2.9


class Sabotaged(Living):
    """A node on which one call after the other fails for a while, and the role changes meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self.saboteur = Saboteur()
        super().__init__(monkeypatch, directory)
        lay_hands_on_all(monkeypatch, self.saboteur)
        self.failures: list[str] = []
        self.mark = 0

    def doors(self) -> AgentDoors:
        """Those of a node, with a saboteur behind them."""
        found: AgentDoors = into(super().doors(), AgentDoors, "doors", self.saboteur)
        return found

    def slot(
        self, number: int, call: str, log: pytest.LogCaptureFixture
    ) -> tuple[tuple[float, Deed], ...]:
        """One call's failure, from its begin until it is over."""
        begin, leads = 1 + number * SLOT, number % 2 == 0
        role, source = ("MASTER", "203.0.113.99") if leads else ("BACKUP", "203.0.113.2")

        def fail() -> None:
            self.node.beats()
            log.clear()
            self.saboteur.call, self.saboteur.active, self.saboteur.hits = call, True, 0
            self.saboteur.error = ERRORS[number % len(ERRORS)]

        def change() -> Heard:
            heard = self.hold_vgw() if leads else self.lose_vgw()
            self.story.hang_up()
            return heard

        def judge(when: str) -> None:
            if self.sources_of(OWN) != [source]:
                self.failures.append(f"{when} of {call}: its own way out is not that of a {role}")

        def look_on() -> None:
            if call not in NEEDED:
                self.saboteur.active = False
                judge("in spite")
                self.saboteur.active = True

        def mend() -> None:
            self.saboteur.active = False

        def look_back() -> None:
            judge("after the end")
            if role not in [beat.role for beat in self.node.beats()]:
                self.failures.append(f"in spite of {call}: the peer was not told of {role}")
            told = [one for one in log.records if one.levelno >= logging.WARNING]
            if self.saboteur.hits and not told:
                self.failures.append(f"{call}: nobody was told")

        deeds = ((0.0, fail), (CHANGE, change), (LOOK, look_on), (END, mend), (AFTER, look_back))
        return tuple((begin + at, deed) for at, deed in deeds)


@pytest.mark.no_cover  # the steps' own tests reach their lines; a node's life runs twice as fast so
@pytest.mark.parametrize("door", DOORS)
def test_whatever_call_fails_the_agent_lives_tells_it_and_the_service_goes_on(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node = Sabotaged(monkeypatch, tmp_path)
    with supervisord(node.run_dir, keepalived=11, conntrackd=7) as programs:
        node.stand_by()
        slots = [
            deed
            for number, call in enumerate(DOORS[door])
            for deed in node.slot(number, call, caplog)
        ]
        end = 1 + len(DOORS[door]) * SLOT
        node.live(*slots, (end, node.hold_vgw), (end + FORGOTTEN, lambda: None))
        assert not programs.ending
    assert node.failures == []
    assert node.told().problems == (), "it is over"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Living:
    return Living(monkeypatch, tmp_path)


def fails(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_problem_is_told_once_with_one_traceback_and_once_when_it_is_over(
    log: pytest.LogCaptureFixture,
) -> None:
    bulkheads, problem = Bulkheads(lambda: 0.0), ""
    for _ in range(2):
        for _ in range(3):
            with bulkheads.step("the look at the moon"):
                raise KeyError("moon")
        problem = "; ".join(bulkheads.problems)
        assert problem.startswith("the look at the moon failed: KeyError: 'moon' (at ")
        with bulkheads.step("the look at the moon"):
            pass
        assert not bulkheads.problems
    lines = [one.getMessage() for one in log.records]
    assert (lines.count(problem), lines.count(f"over: {problem}")) == (2, 2)
    assert log.text.count("Traceback") == 1
    assert bulkheads.stopped == 6


def test_a_step_that_is_not_taken_again_is_no_problem_for_ever(
    log: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    bulkheads = Bulkheads(lambda: now[0])
    assert bulkheads.ask("a question", lambda: int("x"), 7) == 7
    now[0] += FORGOTTEN - 0.1
    before = bulkheads.problems
    now[0] += 0.2
    assert (len(before), bulkheads.problems) == (1, ())
    assert "over: a question failed" in log.text


def test_an_error_that_was_foreseen_says_its_own_sentence_and_an_errno_its_file() -> None:
    bulkheads = Bulkheads(lambda: 0.0)
    with bulkheads.step("the first"):
        raise CommandFailed("nft: exit code 1")
    with bulkheads.step("the second"):
        raise OSError(errno.ENOSPC, "No space left on device", "/run/vgw/x")
    first, second = bulkheads.problems
    assert first == "nft: exit code 1"
    assert second.startswith("the second failed: /run/vgw/x: No space left on device (at ")


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_what_asks_the_process_to_end_is_no_error(end: type[BaseException]) -> None:
    with pytest.raises(end), Bulkheads(lambda: 0.0).step("a step"):
        raise end


def test_one_stage_that_fails_keeps_no_other_from_its_work(
    node: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "diff", fails)
    report = converge.converge(node.agent.plan(), node.run_dir)
    assert [str(one).partition(" failed")[0] for one in report.problems] == [
        "the look at the links",
        "the look at the links that go",
    ]
    assert node.machine.table.exists() and node.machine.forwards()


def test_without_rules_in_force_there_is_no_forwarding_whatever_fails(
    node: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.stand_by()
    monkeypatch.setattr(node.agent.guard.firewall.__class__, "diff", fails)
    node.machine.table.unlink()
    assert not node.look().ready
    assert not node.machine.forwards()


def test_a_look_that_cannot_read_the_role_changes_none_and_the_node_ends_in_the_end(
    node: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    with supervisord(node.run_dir, keepalived=11) as programs:
        node.stand_by()
        node.hold_vgw()
        node.look()
        monkeypatch.setattr(routes, "links", fails)
        for _ in range(int(HELPLESS_SECONDS)):
            assert node.look().role is Role.MASTER
        assert not programs.ending
        node.look()
        node.look()
        assert programs.ending
    assert programs.reason.startswith("nobody could tell for 10 s whether")


def test_a_keepalived_that_cannot_be_told_to_let_go_is_not_started_anew(
    node: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    with supervisord(node.run_dir, keepalived=11):
        node.stand_by()
        node.hold_vgw()
        node.look()
        monkeypatch.setattr(notes, "set_ready", fails)
        node.machine.kernel.remove_address("192.168.100.2/24")
        for _ in range(int(HOLDS_ON) + 3):
            node.node.told(replace(PEER, role="BACKUP"))
            node.look()
    assert node.agent.pair.mute
    assert node.killed == []


def test_a_master_that_should_let_go_and_cannot_say_so_ends_the_node(
    node: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    with supervisord(node.run_dir, keepalived=11) as programs:
        node.stand_by()
        node.hold_vgw()
        node.look()
        monkeypatch.setattr(notes, "set_ready", fails)
        for _ in range(30):
            node.look()
        assert not programs.ending, "as long as it may be MASTER there is nothing to say"
        programs.states["keepalived"] = "STOPPED"
        for _ in range(int(HELPLESS_SECONDS) + 1):
            node.look()
        assert not programs.ending
        node.look()
        node.look()
        assert programs.ending
    assert programs.reason.startswith("this MASTER should let go for 10 s, and")
