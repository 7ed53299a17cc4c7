"""What a MASTER owes its peer: canaries, what preparation asks for, and events that were lost."""

from dataclasses import replace
from typing import Any

from appliance.conntrack import table
from appliance.conntrack.orders import Order, Outcome, Queues
from appliance.pair.beat import Beat
from appliance.pair.canaries import CANARY_STEP
from appliance.pair.deeds import Deed, PlantCanary, RestartConntrackd
from appliance.pair.progress import how_far
from appliance.pair.replication_master import OVERRUN_INTERVAL
from appliance.pair.replication_state import (
    RETRY_INTERVAL,
    Account,
    Told,
)
from appliance.pair.steps import Settled
from tests.unit.replication_story import (
    ALL_ANEW,
    BACKUP,
    MASTER,
    STANDBY,
    Story,
    master,
    orders,
    sentences,
    standby,
)
from tests.unit.snapshots import PEER


def test_two_nodes_never_plant_the_same_canary() -> None:
    # The replica of one that the peer planted before it went would pass for one that has just come.
    ports, parities = set(), []
    for even in (True, False):
        story = master(even=even)
        planted = [deed for second in range(100) for deed in story.at(2.0 * second)]
        numbers = [deed.number for deed in planted if isinstance(deed, PlantCanary)]
        ports |= {table.canary(number).source_port for number in numbers}
        parities.append({number % CANARY_STEP for number in numbers})
    assert parities == [{0}, {1}]
    assert len(ports) == 200


def test_a_file_that_changes_the_parity_leaves_no_number_out_of_order() -> None:
    story, numbers = master(even=True), []
    for second, even in enumerate((True, True, False, False, True)):
        deeds = story.at(2.0 * second, even=even)
        numbers += [deed.number for deed in deeds if isinstance(deed, PlantCanary)]
    assert [number % CANARY_STEP for number in numbers] == [0, 0, 1, 1, 0]
    assert numbers == sorted(set(numbers))


def test_an_agent_whose_clock_is_behind_plants_nothing_that_its_peer_has_seen() -> None:
    seen = 2 * 1000 + 7201  # by the agent before, whose clock was an hour ahead
    story = Story(Settled(BACKUP, 7), role=MASTER, peer=replace(STANDBY, seen=seen))
    story.told(1.0)
    story.told(2.1)
    known = story.state
    assert min(known.canaries.planted) > seen
    progress = how_far(known, story.facts, 2.1, caught_up=True)
    assert progress.settling, "no canary of this agent has arrived"
    assert progress.waited > 1.0


def test_a_peer_whose_agent_starts_anew_has_not_lost_what_it_had_seen() -> None:
    story = master()
    for second in range(30):
        number = story.state.canaries.number
        deeds = story.at(float(second), peer=replace(STANDBY, seen=number))
    deeds = story.at(30.1, peer=replace(STANDBY, seen=0))
    progress = how_far(story.state, story.facts, 30.1, caught_up=True)
    assert progress.waited < 2.0
    assert not any(isinstance(deed, RestartConntrackd) for deed in deeds)


def test_a_number_from_outside_leaves_canaries_for_centuries() -> None:
    story = master(peer=replace(STANDBY, seen=2**34))
    deeds = [deed for second in range(3) for deed in story.at(2.0 * second)]
    numbers = [deed.number for deed in deeds if isinstance(deed, PlantCanary)]
    assert numbers == [2002, 2004, 2006]


def test_a_new_master_has_settled_once_a_canary_of_after_its_steps_was_seen() -> None:
    story = Story(Settled(BACKUP, 7), role=MASTER, peer=STANDBY)

    def settling(now: float, **changed: Any) -> bool:
        story.at(now, **changed)
        return how_far(story.state, story.facts, now, caught_up=True).settling

    assert settling(1.0)
    last = story.state.canaries.number
    told = replace(STANDBY, seen=last)
    assert settling(1.1, outcome=Outcome(Order.DISOWN), peer=told)
    deeds = story.at(1.2, outcome=Outcome(Order.OWN))
    assert PlantCanary(last + CANARY_STEP) in deeds, "the next is planted at once"
    assert settling(1.3), "the last one was planted before the steps were taken"
    assert not settling(1.4, peer=replace(STANDBY, seen=last + CANARY_STEP))


def test_events_that_were_lost_are_made_good_where_the_entries_are_ours() -> None:
    story = standby()

    def heed(dropped: int, now: float, **changed: Any) -> list[Order]:
        return story.told(now, queues=Queues(0, 0, dropped), **changed)

    assert heed(5000, 1.0) == [], "those of replicas are nobody's business"
    story.change(part=Told(Settled(MASTER, 7)))
    assert heed(6000, 2.0, role=MASTER, peer=STANDBY) == [], "it has just read its whole table"
    assert heed(6000, 3.0) == []
    assert heed(6001, 4.0) == ALL_ANEW
    assert heed(6002, 5.0) == [], "not again and again"
    assert story.state.account is Account.SHORT
    assert heed(6002, 4.0 + OVERRUN_INTERVAL) == ALL_ANEW
    assert heed(6002, 5.0 + 2 * OVERRUN_INTERVAL) == []
    assert story.told(99.0, queues=None) == [], "nobody has looked"


def test_a_master_prepares_before_its_peer_asks_for_everything() -> None:
    ours, theirs = master(), Story(None, caught_up=False, even=False, generation=8)
    assert theirs.told(1.0) == [Order.DISOWN]
    ours.at(1.0)
    asking = replace(STANDBY, asks=theirs.state.fetch.open, seen=ours.state.canaries.number)
    deeds = ours.at(2.0, peer=asking)
    assert orders(deeds) == [Order.TOUCH_KEPT_PORTS]
    last = ours.state.canaries.number
    deeds = ours.at(2.1, outcome=Outcome(Order.TOUCH_KEPT_PORTS))
    assert PlantCanary(last + CANARY_STEP) in deeds, "the next is planted at once"
    assert ours.told(3.0) == [], "once is enough"
    arrived = ours.state.preparation.arrived
    assert not arrived(asking), "the canary that comes after it has not arrived"
    done = replace(PEER, prepared=arrived(replace(asking, seen=last + CANARY_STEP)))
    assert theirs.told(3.0, peer=PEER) == []
    assert theirs.told(3.1, peer=done) == [Order.DROP_MOVED, Order.REQUEST]
    assert theirs.state.part == Told(Settled(BACKUP, 8), theirs.state.canaries.number + 1)


def test_a_preparation_that_is_refused_is_made_again() -> None:
    story = master(peer=replace(STANDBY, asks=5))
    assert Order.TOUCH_KEPT_PORTS in orders(story.at(20.0))
    refused = Outcome(Order.TOUCH_KEPT_PORTS, "conntrackd refused")
    assert orders(story.at(20.1, outcome=refused)) == []
    assert orders(story.at(20.5)) == [], "not all the time"
    assert orders(story.at(20.1 + RETRY_INTERVAL)) == [Order.TOUCH_KEPT_PORTS]


def test_of_two_masters_neither_waits_for_the_other_to_see_a_canary() -> None:
    story = master(peer=replace(STANDBY, role="MASTER"))
    told = [story.at(float(second)) for second in range(20, 60)]
    assert not any(isinstance(deed, RestartConntrackd) for deeds in told for deed in deeds)
    story.at(59.5, peer=STANDBY)
    progress = how_far(story.state, story.facts, 59.5, caught_up=True)
    assert progress.waited < 1.0, "of one that it could not see nobody waits afterwards either"


def test_a_peer_that_comes_is_not_waited_for_with_what_it_cannot_have_seen() -> None:
    story = master(peer=None)
    story.at(1.0)
    assert story.state.canaries.planted
    story.at(1.5, peer=STANDBY)
    assert story.state.canaries.planted == {}


def emptied_at(now: float, peer: Beat | None) -> Story:
    """A MASTER whose table somebody empties while its peer is heard like this."""
    story = master(peer=peer, queues=Queues(0, 0, 0))
    for moment in (now - 3.0, now - 2.0, now - 1.0):
        story.told(moment, peer=peer and replace(peer, seen=story.state.canaries.number))
    story.emptied = True
    story.told(now)
    story.emptied = False
    return story


def restarts(deeds: tuple[Deed, ...]) -> bool:
    return RestartConntrackd() in deeds


def test_a_table_that_is_emptied_while_the_peer_hears_nothing_of_it_is_told_by_another_conntrackd() -> (
    None
):
    story = emptied_at(10.0, None)
    assert story.state.account is Account.VOID
    assert not restarts(story.at(12.0)), "nobody is there to be told"
    deeds = story.at(13.0, peer=STANDBY)
    assert restarts(deeds)
    assert sentences(deeds) == [
        "this node's table was emptied while its peer heard nothing of it: conntrackd is started anew"
    ]
    assert not restarts(story.at(14.0)), "once"


def test_a_table_that_is_emptied_while_the_peer_hears_of_it_needs_nothing() -> None:
    story = emptied_at(10.0, STANDBY)
    assert story.state.account is Account.COMPLETE
    assert not restarts(story.at(12.0))


def test_what_is_not_this_nodes_is_nobodys_loss() -> None:
    story = emptied_at(10.0, None)
    story.told(11.0, role=BACKUP)
    assert not restarts(story.at(13.0, peer=PEER))


def test_a_canary_that_could_not_be_planted_is_no_emptied_table() -> None:
    story = master(peer=None, queues=Queues(0, 0, 0))
    story.emptied = True
    for moment in range(8, 20):
        story.told(float(moment))
    assert story.state.account is Account.COMPLETE
