"""A keepalived that takes no part in the election is told of, and mended, and no other one is."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.pair import election
from appliance.pair.election import Condition, Election, ElectionSight, Judgement, KeepalivedOrder
from appliance.vrrp import Role
from tests.unit.snapshots import PEER

PROMISE = 0.4
STANDBY = ElectionSight(
    role=Role.BACKUP,
    dismissed=False,
    usable=True,
    interfaces={"eth0": 2, "eth1": 3},
    lan="eth1",
    process=70,
    sockets=2,
    peer=PEER,
    advert=(1000.0, 100),
    promise=PROMISE,
)
ALONE = replace(STANDBY, peer=None)
ANEW = replace(STANDBY, interfaces={"eth0": 2, "eth1": 9}, sockets=0)


def watch(
    sight: ElectionSight, seconds: float, *, since: float = 0.0, state: Election | None = None
) -> list[tuple[float, Judgement]]:
    """What is judged of a sight that stays as it is, twice a second; of a MASTER that is heard with an advert each time."""
    found, state = [], state or Election()
    heard = sight.peer is not None and sight.peer.role == Role.MASTER and sight.advert
    for step in range(int(seconds * 2) + 1):
        now = since + step / 2
        judged = election.judge(state, replace(sight, advert=(now, 100)) if heard else sight, now)
        state = judged.state
        found.append((now, judged))
    return found


def orders(judged: list[tuple[float, Judgement]]) -> list[tuple[float, KeepalivedOrder]]:
    return [(now, one.order) for now, one in judged if one.order]


def conditions(judged: list[tuple[float, Judgement]]) -> set[Condition]:
    return {one.condition for _, one in judged}


def test_nothing_is_done_to_a_pair_that_works() -> None:
    for sight in (STANDBY, replace(STANDBY, role=Role.MASTER, peer=replace(PEER, role="BACKUP"))):
        judged = watch(sight, 60)
        assert conditions(judged) == {Condition.WELL}
        assert orders(judged) == []
        assert not any(one.why for _, one in judged)


def test_an_interface_made_anew_has_keepalived_read_its_file_again_once() -> None:
    state = election.judge(Election(), STANDBY, 0.0).state
    heard = replace(ANEW, sockets=2)
    first = election.judge(state, heard, 1.0)
    assert first.order is KeepalivedOrder.RELOAD
    assert first.why == (
        "eth1 was made anew, and keepalived does not know the new one: it reads its file again"
    )
    assert orders(watch(heard, 60, since=1.5, state=first.state)) == []


def test_it_waits_until_the_interface_can_be_used() -> None:
    state = election.judge(Election(), STANDBY, 0.0).state
    gone = replace(STANDBY, interfaces={"eth0": 2}, usable=False, role=Role.FAULT, sockets=0)
    bare = replace(ANEW, usable=False)
    for now, sight in ((1.0, gone), (4.0, bare), (4.5, bare)):
        judged = election.judge(state, sight, now)
        assert judged.order is None
        state = judged.state
    assert election.judge(state, ANEW, 5.0).order is KeepalivedOrder.RELOAD


def test_several_at_once_are_one_reload() -> None:
    virtual = {"eth0": 2, "eth1": 3, "vgw-lan": 5}
    state = election.judge(Election(), replace(STANDBY, interfaces=virtual), 0.0).state
    anew = replace(STANDBY, interfaces={"eth0": 2, "eth1": 9, "vgw-lan": 10})
    judged = election.judge(state, anew, 1.0)
    assert judged.why.startswith("eth1 and vgw-lan were made anew, and keepalived does not know")
    assert election.judge(judged.state, anew, 2.0).order is None


def test_a_keepalived_that_was_started_since_knows_them() -> None:
    state = election.judge(Election(), STANDBY, 0.0).state
    state = election.judge(state, replace(STANDBY, process=0, interfaces={"eth0": 2}), 1.0).state
    started = replace(STANDBY, process=71, interfaces={"eth0": 2, "eth1": 9})
    assert orders(watch(started, 10, since=2.0, state=state)) == []


def test_who_took_nothing_up_is_told_again_and_then_started_anew() -> None:
    state = election.judge(Election(), STANDBY, 0.0).state
    judged = watch(ANEW, 45, since=1.0, state=state)
    given_ = orders(judged)
    restarts = [now for now, order in given_ if order is KeepalivedOrder.RESTART]
    reloads = [now for now, order in given_ if order is KeepalivedOrder.RELOAD]
    assert reloads[0] == 1.0
    assert all(later - former >= election.AGAIN for former, later in itertools.pairwise(reloads))
    assert len([now for now in reloads if now < restarts[0]]) >= 2
    assert restarts[0] <= 15
    assert restarts[1] - restarts[0] >= election.KEEPALIVED_RESTART_INTERVAL
    deaf = [one for _, one in judged if one.condition is Condition.DEAF]
    assert {one.problem for one in deaf} == {
        "keepalived has no VRRP socket on eth1: this node neither hears its peer nor takes over"
    }
    mended = election.judge(judged[-1][1].state, replace(ANEW, sockets=2), 47.0)
    assert (mended.condition, mended.order, mended.problem) == (Condition.WELL, None, "")


def test_a_reload_that_is_quick_is_no_problem_of_the_nodes() -> None:
    state = election.judge(Election(), STANDBY, 0.0).state
    judged = watch(ANEW, 2, since=1.0, state=state)
    assert conditions(judged) == {Condition.WELL}


@pytest.mark.parametrize(
    "sight",
    [
        replace(ANEW, usable=False),
        replace(ANEW, process=0),
        replace(ANEW, sockets=None),
    ],
)
def test_what_cannot_be_told_is_not_judged(sight: ElectionSight) -> None:
    assert conditions(watch(sight, 60)) == {Condition.WELL}
    assert orders(watch(sight, 60)) == []


def test_a_master_is_never_started_anew() -> None:
    judged = watch(replace(ANEW, role=Role.MASTER), 60)
    assert KeepalivedOrder.RESTART not in {order for _, order in orders(judged)}


@pytest.mark.parametrize("peer", [None, replace(PEER, role="FAULT"), replace(PEER, role="BACKUP")])
def test_a_vgw_that_nobody_holds_is_told_and_keepalived_started_anew(peer: object) -> None:
    sight = replace(STANDBY, peer=peer)  # type: ignore[arg-type]
    judged = watch(sight, 45)
    vacant = [now for now, one in judged if one.condition is Condition.VACANT]
    # Its last advert may have come until the first look, and there is a look each half second.
    assert PROMISE + election.OVERDUE < vacant[0] <= PROMISE + election.OVERDUE + 1.0
    assert [one.problem for now, one in judged if now in vacant] == [
        "nobody holds the VGW: this node is ready and hears no MASTER, and keepalived does not take over"
    ] * len(vacant)
    restarts = orders(judged)
    assert PROMISE + election.MARGIN < restarts[0][0] <= PROMISE + election.MARGIN + 1.0
    assert [order for _, order in restarts] == [KeepalivedOrder.RESTART] * 2
    assert restarts[1][0] - restarts[0][0] >= election.KEEPALIVED_RESTART_INTERVAL
    sentences = [one.why for _, one in judged if one.order]
    assert sentences[0] == "nobody holds the VGW for 4 s: keepalived is started anew"


def test_it_stays_told_while_keepalived_starts_anew() -> None:
    state = watch(ALONE, 10)[-1][1].state
    judged = watch(replace(ALONE, process=71), 2, since=10.5, state=state)
    assert conditions(judged) == {Condition.VACANT}
    taken = election.judge(judged[-1][1].state, replace(ALONE, role=Role.MASTER), 13.0)
    assert taken.condition is Condition.WELL


@pytest.mark.parametrize(
    "sight",
    [
        replace(ALONE, role=Role.MASTER),
        replace(ALONE, role=Role.FAULT),  # not ready, or a cable is out: told as FAULT
        replace(ALONE, process=0),  # told as that
        replace(STANDBY, advert=None),  # MASTER by its word, and no advert has ever come in
    ],
)
def test_no_false_alarm(sight: ElectionSight) -> None:
    assert conditions(watch(sight, 60)) == {Condition.WELL}
    assert orders(watch(sight, 60)) == []


def test_a_peer_that_is_silent_and_advertises_holds_it() -> None:
    state = Election()
    for step in range(120):
        judged = election.judge(state, replace(ALONE, advert=(1000.0 + step, 100)), float(step))
        state = judged.state
        assert (judged.condition, judged.order) == (Condition.WELL, None)


def test_a_clock_that_was_set_back_does_not_hide_it() -> None:
    state = election.judge(Election(), ALONE, 0.0).state
    back = replace(ALONE, advert=(1000.0 - 3600, 100))
    assert conditions(watch(back, 10, since=1.0, state=state)) == {
        Condition.WELL,
        Condition.VACANT,
    }


def test_a_farewell_is_no_sign_of_a_master() -> None:
    state = election.judge(Election(), ALONE, 0.0).state
    found = []
    for step in range(1, 10):
        judged = election.judge(state, replace(ALONE, advert=(1000.0 + step, 0)), float(step))
        state = judged.state
        found.append(judged.condition)
    assert found[-1] is Condition.VACANT


def led_until_ten() -> Election:
    """A standby that has heard its MASTER for ten seconds, as often as it looked."""
    state = Election()
    for step in range(21):
        sight = replace(STANDBY, advert=(step / 2, 100))
        state = election.judge(state, sight, step / 2).state
    return state


LAST = replace(ALONE, advert=(10.0, 100))


def test_a_master_that_dies_is_missed_from_its_last_advert_on() -> None:
    state = led_until_ten()
    beaten = replace(LAST, peer=PEER)
    for step in (10.5, 11.0):
        state = election.judge(state, beaten, step).state
    judged = watch(LAST, 3, since=11.5, state=state)
    vacant = [now for now, one in judged if one.condition is Condition.VACANT]
    assert vacant[0] == 11.5, "it was silent for 1.5 s, by its last advert"


def test_a_master_that_is_heard_by_the_sync_link_alone_holds_nothing_here() -> None:
    state, judged = led_until_ten(), []
    for step in range(21, 30):
        judged.append(election.judge(state, replace(LAST, peer=PEER), step / 2))
        state = judged[-1].state
    assert [one.condition for one in judged[:2]] == [Condition.WELL] * 2
    assert {one.problem for one in judged[2:]} == {
        "nobody holds the VGW on this node's eth1: the peer says over the sync link that it does, but its adverts do not come, and "
        "keepalived does not take over"
    }
    assert KeepalivedOrder.RESTART in {one.order for one in judged}
    heard = election.judge(state, replace(STANDBY, advert=(15.0, 100)), 15.0)
    assert heard.condition is Condition.WELL


def test_a_takeover_as_promised_is_no_alarm() -> None:
    judged = watch(LAST, PROMISE + election.OVERDUE - 0.5, since=10.5, state=led_until_ten())
    assert conditions(judged) == {Condition.WELL}
    master = replace(ALONE, role=Role.MASTER)
    assert conditions(watch(master, 20, since=14.0, state=judged[-1][1].state)) == {Condition.WELL}


def test_an_agent_that_was_frozen_counts_from_when_it_goes_on() -> None:
    state = watch(ALONE, 1)[-1][1].state
    assert election.judge(state, ALONE, 60.0).condition is Condition.WELL


def test_a_keepalived_that_has_just_started_has_its_time() -> None:
    state = watch(ALONE, 1)[-1][1].state
    judged = watch(replace(ALONE, process=71), 1, since=1.5, state=state)
    assert conditions(judged) == {Condition.WELL}


@given(
    st.lists(
        st.builds(
            ElectionSight,
            role=st.sampled_from(Role),
            usable=st.booleans(),
            interfaces=st.dictionaries(st.sampled_from(["eth0", "eth1"]), st.integers(1, 3)),
            lan=st.just("eth1"),
            process=st.integers(0, 2),
            sockets=st.none() | st.integers(0, 2),
            peer=st.none() | st.just(PEER) | st.just(replace(PEER, role="BACKUP")),
            advert=st.none() | st.tuples(st.floats(0, 9), st.integers(0, 1)),
            promise=st.just(PROMISE),
        ),
        max_size=60,
    )
)
def test_restarts_are_never_closer_than_their_interval_and_each_order_has_its_sentence(
    sights: list[ElectionSight],
) -> None:
    state, restarts = Election(), []
    for now, sight in enumerate(sights):
        judged = election.judge(state, sight, float(now))
        state = judged.state
        assert bool(judged.order) == bool(judged.why)
        assert bool(judged.problem) == (judged.condition is not Condition.WELL)
        if judged.order is KeepalivedOrder.RESTART:
            assert sight.role is not Role.MASTER
            assert sight.process
            restarts.append(now)
    assert all(
        later - former >= election.KEEPALIVED_RESTART_INTERVAL
        for former, later in itertools.pairwise(restarts)
    )


HANGS = replace(STANDBY, role=Role.MASTER, dismissed=True)


def test_one_that_is_master_still_after_it_was_told_to_let_go_is_started_anew() -> None:
    judged = watch(HANGS, 40, since=100.0)
    (first, second) = orders(judged)
    assert first == (100.0 + election.HOLDS_ON + 0.5, KeepalivedOrder.RESTART)
    assert second[0] - first[0] == election.KEEPALIVED_RESTART_INTERVAL
    (why, _) = [one.why for _, one in judged if one.why]
    assert why == (
        "keepalived holds the VGW still, 2 s after it was told to let go: it is started anew"
    )


@pytest.mark.parametrize(
    "sight",
    [replace(HANGS, dismissed=False), replace(HANGS, process=0)],
    ids=["was not told", "does not run"],
)
def test_one_that_was_not_told_to_is_not(sight: ElectionSight) -> None:
    assert orders(watch(sight, 40)) == []


def test_who_stood_still_or_has_just_begun_is_given_the_time_to_let_go() -> None:
    state = election.judge(Election(), HANGS, 0.0).state
    woken = election.judge(state, HANGS, 20.0)
    assert woken.order is None
    assert election.judge(woken.state, replace(HANGS, process=71), 22.5).order is None
