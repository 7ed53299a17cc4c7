"""What conntrackd is told in each part, what comes of it, and what is waited for."""

from dataclasses import replace
from typing import Any

import pytest

from appliance.conntrack.orders import Order, Outcome
from appliance.pair import replication, replication_state
from appliance.pair.deeds import (
    CalmConntrackd,
    Inform,
    Remember,
    RestartConntrackd,
    Tell,
)
from appliance.pair.degraded import CANARY_PATIENCE
from appliance.pair.facts import Facts
from appliance.pair.progress import how_far
from appliance.pair.replication import (
    CONNTRACKD_RESTART_INTERVAL,
    COUNT_INTERVAL,
)
from appliance.pair.replication_state import (
    RETRY_INTERVAL,
    BeingTold,
    Queue,
    Replication,
    Told,
    Untold,
)
from appliance.pair.resync import Fetch, FetchStage, Preparation
from appliance.pair.steps import Settled
from appliance.vrrp import Role
from tests.unit.facts import FACTS
from tests.unit.replication_story import (
    BACKUP,
    FAULT,
    MASTER,
    STANDBY,
    Story,
    master,
    orders,
    sentences,
    standby,
)
from tests.unit.snapshots import PEER


def test_the_oldest_canary_on_its_way_tells_how_long_nothing_has_arrived() -> None:
    story = standby()

    def waited(now: float, **changed: Any) -> float:
        story.at(now, **changed)
        progress = how_far(story.state, story.facts, now, caught_up=True)
        return progress.waited

    for second in range(3):
        waited(float(second), peer=replace(PEER, canary=10 + second))
    assert waited(9.0) == 9.0
    waited(9.0, generation=8)
    assert waited(9.0, peer=replace(PEER, canary=13)) == 9.0
    assert waited(10.0) == 10.0, "a conntrackd that is started anew has cured nothing"
    assert waited(11.0, peer=replace(PEER, role="BACKUP")) == 0.0, "nobody plants any"


def test_nothing_is_waited_for_where_nothing_can_pass() -> None:
    story = standby()
    story.at(0.0, peer=replace(PEER, canary=10))
    nothing: tuple[dict[str, Any], ...] = (
        {"peer": None},
        {"same_file": False},
        {"generation": 0},
        {"peer": replace(PEER, generation=0)},
    )
    for changed in nothing:
        facts = story.facts._replace(**changed)
        assert how_far(story.state, facts, 9.0, caught_up=True).waited == 0.0


def test_a_conntrackd_that_got_the_number_of_the_former_one_is_told_its_part() -> None:
    story = standby()
    assert story.told(1.0) == []
    assert story.told(2.0, generation=0) == []
    assert story.told(3.0, generation=7) == [Order.DISOWN]
    assert story.state.fetch.open, "it has no replicas"


def test_an_agent_that_starts_anew_knows_what_was_settled() -> None:
    story = Story(None, role=MASTER, peer=STANDBY)
    deeds = story.at(1.0)
    # That it is being told is known before the first order is given.
    assert deeds[-2:] == (Remember(Settled(None, 7)), Tell(Order.DISOWN))
    assert orders(story.at(1.1, outcome=Outcome(Order.DISOWN))) == [Order.OWN]
    ended = story.at(1.2, outcome=Outcome(Order.OWN))
    assert Remember(Settled(MASTER, 7)) in ended
    again = Story(Settled(MASTER, 7), role=MASTER, peer=STANDBY)
    assert again.told(2.0) == []
    assert Story(Settled(None, 7), role=MASTER).told(2.0) == [Order.DISOWN, Order.OWN]


def test_a_new_process_is_told_its_part_from_the_beginning() -> None:
    story = master()
    story.at(1.0)
    deeds = story.at(2.0, generation=8)
    assert deeds[0] == Inform("conntrackd runs anew, as process 8")
    assert deeds[1] == CalmConntrackd(8)
    assert orders(deeds) == [Order.DISOWN]
    assert story.state.began == 2.0
    # It dies again before it was told all: what the former one was told does not count.
    deeds = story.at(3.0, generation=9)
    assert orders(deeds) == [], "the order to the former one has yet to end"
    assert story.told(3.1, outcome=Outcome(Order.DISOWN, "no socket")) == [Order.DISOWN, Order.OWN]
    assert story.state.part == Told(Settled(MASTER, 9), story.state.canaries.number)
    assert orders(story.at(4.0, generation=0)) == []
    assert story.told(99.0) == [], "there is nobody to be told anything"


def test_an_order_that_is_refused_is_followed_by_another_attempt_after_a_while() -> None:
    story = Story(None, role=MASTER, peer=STANDBY)
    story.at(1.0)
    assert orders(story.at(1.1, outcome=Outcome(Order.DISOWN, "no socket"))) == []
    assert story.state.part == Untold()
    assert story.told(1.05 + RETRY_INTERVAL) == []
    assert story.told(1.1 + RETRY_INTERVAL) == [Order.DISOWN, Order.OWN]


def test_counters_are_asked_for_now_and_then_and_their_failure_hinders_nothing() -> None:
    story = standby()
    story.change(clocks=replace(story.state.clocks, count=0.0))
    assert story.told(COUNT_INTERVAL) == [Order.COUNT]
    assert story.told(2 * COUNT_INTERVAL - 0.1) == []
    assert orders(story.at(2 * COUNT_INTERVAL)) == [Order.COUNT]
    story.change(fetch=Fetch(3).preparing(10.0))
    story.at(10.1, outcome=Outcome(Order.COUNT, "no socket"))
    assert story.state.fetch.open


@pytest.mark.parametrize(
    ("role", "patience"), [(MASTER, 2 * CANARY_PATIENCE), (BACKUP, 3 * CANARY_PATIENCE)]
)
def test_a_conntrackd_that_nothing_passes_is_started_anew_the_masters_first(
    role: Role, patience: float
) -> None:
    story = master() if role is MASTER else standby()
    peer = replace(story.facts.peer or PEER, canary=9)
    story.at(0.0, peer=peer)
    assert RestartConntrackd() not in story.at(patience)
    deeds = story.at(patience + 0.1)
    assert deeds[-1] == RestartConntrackd()
    assert sentences(deeds)[-1].startswith(f"replication is stuck for {patience:.0f} s")
    assert RestartConntrackd() not in story.at(patience + CONNTRACKD_RESTART_INTERVAL)
    assert RestartConntrackd() in story.at(patience + 0.2 + CONNTRACKD_RESTART_INTERVAL)


def test_canaries_of_before_a_change_of_role_are_forgotten() -> None:
    story = standby()
    story.at(1.0, peer=replace(PEER, canary=9))
    story.at(2.0, role=FAULT)
    assert story.state.canaries.awaited == {9: 1.0}, "a standby in FAULT has replicas too"
    story.at(3.0, role=MASTER, peer=STANDBY)
    assert story.state.canaries.awaited == {}
    assert story.state.canaries.planted
    story.at(4.0, role=BACKUP)
    assert story.state.canaries.planted == {}


STATES: dict[str, Replication] = {}
PARTS: dict[str, Untold | BeingTold | Told] = {
    "untold": Untold(),
    "being told as MASTER": BeingTold(MASTER, Order.OWN),
    "being told as BACKUP": BeingTold(BACKUP, Order.REQUEST),
    "told as MASTER": Told(Settled(MASTER, 7)),
    "told as BACKUP": Told(Settled(BACKUP, 7)),
}
for name, part in PARTS.items():
    for stage in FetchStage:
        role = MASTER if "MASTER" in name else BACKUP
        busy = Queue((Order.FLUSH,), Order.DISOWN) if stage is FetchStage.FLUSHING else Queue()
        STATES[f"{name}, {stage}"] = replace(
            replication_state.begin(None, 1000, 0.0, even=True),
            role=role,
            generation=7,
            part=part,
            fetch=Fetch(3).at(stage, 0.5),
            queue=busy,
            preparation=Preparation(4),
        )


@pytest.mark.parametrize("name", STATES)
def test_whatever_was_under_way_a_new_role_is_not_kept_waiting_and_its_orders_come_first(
    name: str,
) -> None:
    before = STATES[name]
    role = BACKUP if before.role is MASTER else MASTER
    facts = FACTS._replace(role=role, leisure=False)
    state, deeds = replication.decide(before, facts, 1.0, caught_up=True)
    assert deeds == (), "routes, rules and the peer come first"
    assert state.queue.waiting == ()
    facts = facts._replace(leisure=True, outcome=outcome_of(state))
    state, deeds = replication.decide(state, facts, 1.0, caught_up=True)
    given = orders(deeds)
    kept = isinstance(before.part, Told) and before.part.settled.role is role
    assert given[:1] == [] if kept else [Order.DISOWN]


def outcome_of(state: Replication) -> Outcome | None:
    """That the order under way has ended, if there is one."""
    return Outcome(state.queue.under_way) if state.queue.under_way else None


def test_facts_of_a_moment_without_leisure_are_noted_and_nothing_is_done() -> None:
    story = standby(leisure=False)
    assert story.at(1.0, peer=replace(PEER, canary=9), arrived=frozenset({9})) == ()
    assert story.state.canaries.seen == 9
    assert story.at(2.0, role=MASTER, generation=8) == ()
    assert story.state.generation == 7
    assert isinstance(story.facts, Facts)


def test_a_standby_that_has_held_the_vgw_for_a_moment_owns_nothing_afterwards() -> None:
    story = standby()
    assert story.told(10.0) == []
    # It becomes MASTER and lets go again before there is leisure to tell conntrackd of either.
    story.at(11.0, role=MASTER, leisure=False)
    assert story.told(11.1, role=BACKUP, leisure=True)[0] is Order.DISOWN


@pytest.mark.parametrize("part", ["told", "being told"])
def test_so_does_one_whose_agent_hears_of_it_afterwards(part: str) -> None:
    story = standby() if part == "told" else Story(None, role=BACKUP)
    story.at(10.0)
    story.state = replication.held(story.state, 10.5)
    assert Order.DISOWN in story.told(11.1)
    assert Order.DISOWN not in story.told(12.0)
    leading = master()
    leading.state = replication.held(leading.state, 10.5)
    assert leading.told(11.0) == [], "one that leads was told so, and owns what began here"
