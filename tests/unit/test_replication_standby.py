"""What a standby fetches: replicas go only when new ones are known to arrive, and canaries tell whether they do."""

from dataclasses import replace

import pytest

from appliance.conntrack.orders import Order, Outcome, Queues
from appliance.pair import degraded, replication_state
from appliance.pair.canaries import REPEATED
from appliance.pair.progress import BACKLOG, how_far
from appliance.pair.replication_standby import REQUEST_INTERVAL
from appliance.pair.replication_state import Replicas, missed
from appliance.pair.resync import ALONE, REQUEST_SPARE, SORTINGS
from appliance.pair.steps import Settled
from tests.unit.facts import FACTS, QUIET
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


def test_what_a_peer_lost_track_of_goes_when_new_replicas_arrive() -> None:
    story = standby()
    assert story.told(1.0) == []
    anew = replace(PEER, generation=PEER.generation + 1)
    assert story.told(2.0, peer=anew) == [], "nothing has come from it yet"
    assert story.state.replicas is Replicas.OUTDATED
    assert missed(story.state), "what began while none ran was told by nobody"
    deeds = story.at(3.0, peer=replace(anew, canary=9), arrived=frozenset({9}))
    assert orders(deeds) == [Order.DISOWN]
    assert sentences(deeds) == ["the peer's conntrackd runs anew: all replicas are fetched afresh"]
    assert story.state.began == 3.0, "what is here counts no longer"
    assert not story.state.fetch.open, "what is told first would be dropped with the rest"
    assert orders(story.at(3.1, outcome=Outcome(Order.DISOWN))) == [Order.FLUSH]
    assert not story.state.fetch.open
    assert story.told(3.2, outcome=Outcome(Order.FLUSH)) == []
    assert story.state.fetch.open, "now it asks"
    assert story.told(4.0) == [], "one at a time"


def test_a_canary_that_a_later_one_has_overtaken_tells_of_what_was_lost() -> None:
    story = standby()
    story.at(20.0, peer=replace(PEER, canary=9))
    story.at(21.0, peer=replace(PEER, canary=11), arrived=frozenset({11}))
    assert not missed(story.state), "what got lost on its way is repeated"
    story.at(20.0 + REPEATED, peer=replace(PEER, canary=11))
    assert missed(story.state)
    assert story.state.fetch.open, "it asks for all"


def test_of_what_was_lost_before_all_was_fetched_nothing_lacks_afterwards() -> None:
    story = standby()
    story.change(gap=True)
    story.at(20.0, peer=replace(PEER, canary=9))
    story.told(20.1, peer=replace(PEER, canary=9, prepared=story.state.fetch.open))
    story.comes(13, 20.2 + REQUEST_SPARE)
    assert not missed(story.state)
    story.at(23.0)
    assert not missed(story.state), "the lost canary is older than the request"


def test_what_is_lost_while_all_is_fetched_is_fetched_again() -> None:
    story = standby()
    story.change(gap=True)
    story.at(20.0)
    story.told(20.1, peer=replace(PEER, prepared=story.state.fetch.open))
    story.at(21.0, peer=replace(PEER, canary=9))
    story.comes(13, 23.0)
    assert missed(story.state), "a canary of after the request never came"


def test_a_canary_that_comes_a_moment_after_a_later_one_tells_of_nothing() -> None:
    story = standby()
    story.at(20.0, peer=replace(PEER, canary=9))
    story.at(21.0, peer=replace(PEER, canary=11), arrived=frozenset({11}))
    story.at(21.1, arrived=frozenset({9, 11}))
    assert story.state.canaries.seen == 11
    story.at(25.0, peer=replace(PEER, canary=11))
    assert not missed(story.state)


def test_what_was_asked_of_a_peer_that_was_not_heard_yet_is_asked_again() -> None:
    story = Story(None, role=BACKUP, peer=None, advertised=False)
    assert story.told(1.0) == [Order.DISOWN]
    assert story.told(1.1 + ALONE) == [Order.REQUEST], "nobody prepares an answer"
    story.told(20.0, peer=PEER)
    assert missed(story.state), "it was asked for in vain"
    assert story.state.fetch.open


def test_who_was_cut_off_from_the_peer_asks_once_for_what_it_missed() -> None:
    story = standby()
    story.at(20.0)
    assert not story.state.fetch.open
    story.at(28.0, peer=None)
    story.at(30.0, peer=PEER)
    assert story.state.fetch.open
    asked = replace(PEER, prepared=story.state.fetch.open)
    assert story.told(31.0, peer=asked) == [Order.REQUEST]
    assert story.told(60.0) == []
    assert not story.state.fetch.open


def test_a_standby_whose_kernel_lost_its_replicas_asks_for_them_and_says_so() -> None:
    story = standby()
    told = [story.at(float(second), entries=5) for second in range(20, 25)]
    assert not any(map(orders, told))
    assert story.state.fetch.open, "canaries come all the same, and entries do not"
    progress = how_far(story.state, story.facts, 24.0, caught_up=True)
    assert progress.missed
    assert "yet to fetch" in degraded.behind(story.facts, progress._replace(waited=0.0))
    story.told(24.5, peer=replace(PEER, prepared=story.state.fetch.open))
    story.comes(11, 24.6 + REQUEST_SPARE)
    assert not missed(story.state), "a canary of after the request is here"
    for second in range(30, 60):
        story.at(float(second))
    assert not missed(story.state), "what is few by the file is not asked for all the time"


def test_what_a_standby_missed_is_missing_until_a_later_canary_comes() -> None:
    story = standby()
    story.at(28.0, peer=None)
    story.at(30.0, peer=PEER)
    assert missed(story.state)
    story.told(31.0, peer=replace(PEER, prepared=story.state.fetch.open))
    assert missed(story.state), "it was asked for, no more"
    story.comes(11, 31.1 + REQUEST_SPARE)
    assert not missed(story.state)


def test_who_meets_a_master_whose_conntrackd_does_not_run_misses_its_flows() -> None:
    story = standby()
    story.change(peers_generation=0)
    story.at(20.0, peer=replace(PEER, generation=0))
    assert missed(story.state), "the next process is the first that this node knows of"
    story.at(31.0, peer=replace(PEER, generation=12))
    assert story.state.fetch.open


def test_what_a_silent_peer_told_nobody_is_fetched_from_whoever_leads_next() -> None:
    story = standby()
    story.at(28.0, peer=None)
    assert story.state.gap
    story.at(30.0, peer=STANDBY)
    assert story.state.gap, "it may have led meanwhile, and may lead again"
    story.at(30.2, peer=PEER)
    story.told(31.0 + REQUEST_INTERVAL)
    assert story.state.fetch.open


def test_a_master_that_finds_a_standby_after_a_silence_has_missed_nothing() -> None:
    story = standby(role=MASTER)
    story.at(28.0, peer=None)
    assert story.state.gap
    story.at(30.0, peer=STANDBY)
    assert not story.state.gap


def test_what_was_awaited_of_a_master_that_let_go_for_a_moment_is_fetched() -> None:
    for late, lacks in ((1.0, False), (REPEATED, True)):
        story = standby()
        story.at(20.0, peer=replace(PEER, canary=11))
        story.at(20.0 + late, peer=STANDBY)
        assert story.state.gap is lacks
        story.at(20.1 + late, peer=replace(PEER, canary=13))
        assert missed(story.state) is lacks


def test_who_led_alone_and_lets_go_to_one_that_led_too_has_missed_its_flows() -> None:
    story = Story(Settled(MASTER, 7), role=MASTER, peer=None)
    story.at(28.0)
    story.at(30.0, peer=PEER)
    story.told(31.0, role=BACKUP)
    assert missed(story.state)
    story.told(31.0 + REQUEST_INTERVAL)
    assert story.state.fetch.open


def test_only_a_canary_planted_after_the_request_shows_that_what_it_brought_is_here() -> None:
    story = Story(None, caught_up=False)
    assert story.told(10.0) == [Order.DISOWN]
    assert story.comes(11, 11.0) is Replicas.UNPROVED, "the peer has not heard of the request"
    asked = replace(PEER, prepared=story.state.fetch.open)
    assert orders(story.at(12.0, peer=asked)) == [Order.DROP_MOVED]
    assert orders(story.at(12.0, outcome=dropping(0))) == [Order.REQUEST]
    story.at(12.0, outcome=Outcome(Order.REQUEST))
    early, late = 12.0 + REQUEST_SPARE / 2, 12.0 + REQUEST_SPARE
    assert story.comes(13, early) is Replicas.UNPROVED, (
        "it was planted before the bulk update, perhaps"
    )
    assert story.comes(15, late) is Replicas.PROVED


def dropping(number: int) -> Outcome:
    return Outcome(Order.DROP_MOVED, dropped=number)


def test_what_came_with_a_moved_port_before_all_was_prepared_is_dropped_and_prepared_again() -> (
    None
):
    story = Story(None, caught_up=False)
    story.told(10.0)
    for _ in range(SORTINGS):
        asked = story.state.fetch.open
        assert orders(story.at(11.0, peer=replace(PEER, prepared=asked))) == [Order.DROP_MOVED]
        assert not story.state.fetch.open
        assert orders(story.at(11.5, outcome=dropping(2))) == []
        assert story.state.fetch.open == asked + 1, "a request of its own"
    prepared = replace(PEER, prepared=story.state.fetch.open)
    assert story.told(12.0, peer=prepared) == [Order.REQUEST], "not for ever"


def test_a_false_takeover_that_is_over_before_conntrackd_was_told_drops_no_replica() -> None:
    story = standby()
    story.at(20.0, role=MASTER)
    assert story.state.queue.under_way is Order.DISOWN, "it is being told its part as MASTER"
    story.at(20.1, role=BACKUP)
    assert story.told(20.2, outcome=Outcome(Order.DISOWN)) == [Order.DISOWN]
    prepared = replace(PEER, prepared=story.state.fetch.open)
    assert story.told(20.5, peer=prepared) == [Order.REQUEST], (
        "what is here came in order, one by one; without it the next takeover breaks flows"
    )


def test_what_a_master_could_not_prepare_for_want_of_a_sync_link_is_sorted_once_it_can() -> None:
    story = Story(None, caught_up=False, peer=None, advertised=True)
    story.told(10.0)
    assert story.told(10.1 + ALONE) == [Order.REQUEST], "nobody waits for ever"
    story.told(16.0, peer=PEER)
    assert story.state.fetch.open
    prepared = replace(PEER, prepared=story.state.fetch.open)
    assert story.told(16.5, peer=prepared) == [Order.DROP_MOVED, Order.REQUEST]
    assert story.told(17.0) == [], "once"
    assert not story.state.fetch.open


def test_who_asked_while_it_was_cut_off_sorts_once_a_master_is_heard() -> None:
    story = Story(None, caught_up=False, peer=None, advertised=False)
    story.told(10.0)
    assert story.told(10.1 + ALONE) == [Order.REQUEST]
    story.told(30.0, peer=PEER)
    prepared = replace(PEER, prepared=story.state.fetch.open)
    assert story.told(30.5, peer=prepared) == [Order.DROP_MOVED, Order.REQUEST]


def test_who_follows_one_that_led_before_by_another_conntrackd_has_old_replicas() -> None:
    story = standby()
    story.at(20.0)
    story.at(21.0, peer=None)
    story.at(23.0, peer=replace(STANDBY, generation=12))
    story.at(24.0, peer=replace(PEER, generation=12))
    assert story.state.replicas is Replicas.OUTDATED, "nobody led meanwhile"


def test_who_stood_still_as_a_standby_fetches_what_came_meanwhile() -> None:
    story = standby()
    story.at(20.0)
    story.state = replication_state.stood_still(story.state)
    assert missed(story.state)
    story.at(30.0)
    assert story.state.fetch.open
    led = master()
    led.at(20.0)
    assert not replication_state.stood_still(led.state).gap


def test_a_table_that_cannot_be_sorted_is_asked_for_as_it_is() -> None:
    story = Story(None, caught_up=False)
    story.told(10.0)
    story.at(11.0, peer=replace(PEER, prepared=story.state.fetch.open))
    refused = Outcome(Order.DROP_MOVED, "CAP_NET_ADMIN is missing")
    assert story.told(11.5, outcome=refused) == [Order.REQUEST]


def test_whatever_a_standbys_role_it_waits_for_one_answer() -> None:
    story = Story(None, caught_up=False)
    assert story.told(10.0) == [Order.DISOWN]
    asked = story.state.fetch
    assert story.told(10.5, role=FAULT) == []
    assert story.state.fetch == asked


def test_replicas_are_here_once_conntrackd_has_nothing_to_take_in() -> None:
    story = standby()
    story.comes(11, 1.0)
    for queues, caught_up, fresh in (
        (QUIET, False, True),
        (Queues(BACKLOG + 1, 0, 0), False, False),
        (Queues(0, BACKLOG + 1, 0), False, False),
        (None, False, False),
        (Queues(0, BACKLOG + 1, 0), True, True),
    ):
        facts = FACTS._replace(queues=queues)
        progress = how_far(story.state, facts, 1.0, caught_up=caught_up)
        assert progress.fresh is fresh


def test_nothing_is_asked_for_again_while_it_is_still_taken_in() -> None:
    story = standby(caught_up=False)
    later = 2 * REQUEST_INTERVAL
    story.at(later, queues=Queues(0, BACKLOG + 1, 0))
    story.at(later + REQUEST_INTERVAL / 2, queues=QUIET)
    assert not story.state.fetch.open
    story.at(later + REQUEST_INTERVAL)
    assert story.state.fetch.open


@pytest.mark.parametrize("failing", [Order.DISOWN, Order.FLUSH])
def test_replicas_that_could_not_be_dropped_are_outdated_still(failing: Order) -> None:
    story = standby()
    anew = replace(PEER, generation=99)
    story.at(1.0, peer=anew)
    story.at(2.0, peer=replace(anew, canary=9), arrived=frozenset({9}))
    while story.state.queue.under_way is not failing:
        story.at(2.1, outcome=Outcome(Order.DISOWN))
    story.at(2.2, outcome=Outcome(failing, "no socket"))
    assert story.state.replicas is Replicas.OUTDATED
    story.caught_up = False
    story.at(2.2 + REQUEST_INTERVAL)
    assert story.state.fetch.open, "and all is asked for again"


def test_a_request_that_was_refused_is_made_again() -> None:
    story = standby()
    story.at(1.0, peer=None)
    story.at(30.0, peer=PEER)
    story.at(31.0, peer=replace(PEER, prepared=story.state.fetch.open))
    story.at(31.1, outcome=Outcome(Order.REQUEST, "no socket"))
    assert not story.state.fetch.open
    story.at(31.0 + REQUEST_INTERVAL)
    assert story.state.fetch.open
