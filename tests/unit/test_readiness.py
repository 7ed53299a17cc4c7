"""A node is ready when it would lose nothing, and takes over again only when that has lasted."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.pair import readiness
from appliance.pair.beat import Beat
from appliance.pair.facts import Facts
from appliance.pair.readiness import Readiness, Verdict
from appliance.vrrp import Role

from .facts import FACTS, FACTS_OF_ANY_KIND
from .snapshots import PEER

ALONE = FACTS._replace(peer=None, advertised=False, entries=0)


def judge(
    state: Readiness, facts: Facts, now: float, *, fresh: bool = True
) -> tuple[Readiness, Verdict]:
    """The verdict where what the peer had when it was asked is here; that is of no account without a peer."""
    return readiness.judge(state, facts, now, fresh=fresh and facts.peer is not None)


def verdicts(facts: Facts, *times: float, fresh: bool = True) -> list[Verdict]:
    """The verdicts at these times, each with what the one before remembered."""
    state = Readiness(0.0)
    found = []
    for now in times:
        state, verdict = judge(state, facts, now, fresh=fresh)
        found.append(verdict)
    return found


def test_without_a_ruleset_no_node_is_ready() -> None:
    for facts in (FACTS, ALONE, FACTS._replace(plain=True), FACTS._replace(role=Role.MASTER)):
        verdict = verdicts(facts._replace(ruleset=False), 100.0)[0]
        assert verdict == Verdict(False, False, "no ruleset is in force")


def test_a_node_alone_is_ready_when_it_has_listened_for_a_while() -> None:
    assert [verdict.ready for verdict in verdicts(ALONE, 0.0, 1.4, 1.6)] == [False, False, True]


STARTING = FACTS._replace(peer=replace(PEER, role="FAULT", ready=False), advertised=False)


def test_a_peer_that_starts_too_is_not_waited_for() -> None:
    assert verdicts(STARTING, 0.1)[0] == Verdict(True, False, "all is well")


def test_who_is_outranked_by_a_peer_that_starts_too_lets_it_go_first_for_a_second() -> None:
    outranked = STARTING._replace(outranks=False)
    early, late = verdicts(outranked, 0.9, 1.1)
    assert early == Verdict(False, True, readiness.GOES_FIRST)
    assert late == Verdict(True, False, "all is well")
    assert verdicts(outranked._replace(never=True), 0.1)[0].ready, "then it would keep it"
    led = Readiness(0.0, caught_up=True)
    assert judge(led, outranked, 0.1)[1].ready, "it has been ready before"


def test_a_returning_node_waits_for_its_table_and_says_how_far_it_is() -> None:
    coming = FACTS._replace(entries=200)
    assert verdicts(coming, 1.0)[0] == Verdict(
        False, True, "catching up with the peer: 200 of the peer's 1000 entries are here"
    )
    old = verdicts(FACTS, 1.0, fresh=False)[0]
    assert not old.ready, "an old table is no proof"
    assert old.reason.endswith(
        "1000 of the peer's 1000 entries are here, and no new one has come yet"
    )
    assert verdicts(FACTS, 1.0)[0].ready


def test_a_node_tells_once_how_long_it_took_to_catch_up() -> None:
    few, all_of_them = FACTS._replace(entries=10), FACTS._replace(entries=998)
    told, state = [], Readiness(2.0)
    for now, facts in ((3.0, few), (6.5, all_of_them), (7.0, all_of_them)):
        former, (state, _) = state, judge(state, facts, now)
        told.append(readiness.learned(former, state, facts, now))
    assert told == ["", "caught up with backup after 4.5 s: 998 entries are here", ""]
    for facts, now in ((ALONE, 9.0), (few, 99.0)):
        state, _ = judge(Readiness(2.0), facts, now)
        assert state.caught_up
        assert not readiness.learned(Readiness(2.0), state, facts, now), "nothing was learned"


def test_the_wait_for_the_table_is_bounded_and_its_end_is_told() -> None:
    coming = FACTS._replace(entries=200)
    before, after = verdicts(
        coming, readiness.REPLICAS_PATIENCE - 1, readiness.REPLICAS_PATIENCE + 1
    )
    assert (before.ready, after.ready) == (False, True)
    assert after.degraded == (
        "the replicas did not catch up in 60 s: 200 of the peer's 1000 entries are here"
    )


def test_what_was_late_may_still_come() -> None:
    state, verdict = judge(Readiness(0.0), FACTS._replace(entries=200), 61.0)
    assert verdict.degraded
    _, verdict = judge(state, FACTS, 62.0)
    assert verdict == Verdict(True, True, "takes over again in 2 s")


def test_without_keepalived_nobody_can_take_over() -> None:
    assert verdicts(FACTS._replace(electable=False), 9.0)[0] == Verdict(
        False, True, "keepalived does not run here"
    )


def test_plain_is_always_ready_and_knows_whether_it_caught_up() -> None:
    state, verdict = judge(Readiness(0.0), FACTS._replace(plain=True), 1.0)
    assert verdict == Verdict(True, False, "the ruleset is in force")
    assert state.caught_up


def test_a_failback_waits_for_a_canary_of_after_its_time_had_come() -> None:
    state = readiness.Readiness(0.0, caught_up=True, well_since=1.0)

    def aside(now: float, up_to: float) -> str:
        verdict = readiness.judge(state, FACTS, now, fresh=True, up_to=up_to)[1]
        return verdict.reason if verdict.aside else ""

    due = 1.0 + FACTS.hold
    assert aside(due - 0.1, due - 0.1).startswith("takes over again in")
    assert aside(due, due - 0.1) == readiness.NEWEST
    assert aside(due + 1, due - 0.1) == readiness.NEWEST
    assert aside(due + 1, due + 0.1) == ""
    assert aside(due + readiness.REPLICAS_PATIENCE, due - 0.1) == "", "it gives up in the end"


def test_a_peer_that_advertises_but_is_silent_is_waited_for_too() -> None:
    silent = FACTS._replace(peer=None)
    before, after = verdicts(silent, 2.0, readiness.REPLICAS_PATIENCE + 1)
    assert not before.ready
    assert before.reason == "the peer advertises, and is silent on the sync link"
    assert after.ready
    assert after.degraded


def test_a_returning_node_stands_aside_until_all_has_been_well_for_the_hold_time() -> None:
    found = verdicts(FACTS, 1.0, 2.0, 3.9, 4.1)
    assert [verdict.ready for verdict in found] == [True] * 4
    assert [verdict.aside for verdict in found] == [True, True, True, False]
    assert found[0].reason == "takes over again in 3 s"


def test_a_failback_waits_for_what_was_missed_and_not_for_ever() -> None:
    state = Readiness(1.0, caught_up=True, well_since=1.0)
    for now, aside in ((5.0, True), (60.0, True), (65.0, False)):
        verdict = readiness.judge(state, FACTS, now, fresh=True, missed=True)[1]
        assert (verdict.ready, verdict.aside) == (True, aside)
    assert not readiness.judge(state, FACTS, 5.0, fresh=True, missed=False)[1].aside


def test_a_failback_waits_from_when_the_cable_is_back() -> None:
    cut = FACTS._replace(carries=False, role=Role.FAULT)
    state, verdict = judge(Readiness(0.0, caught_up=True, well_since=0.0), cut, 10.0)
    assert verdict == Verdict(False, True, "an interface of the gateway is down")
    state, verdict = judge(state, FACTS, 20.0)
    assert verdict == Verdict(True, True, "takes over again in 3 s")
    assert not judge(state, FACTS, 23.1)[1].aside


def test_a_node_whose_cable_is_back_waits_for_the_masters_adverts() -> None:
    back = FACTS._replace(role=Role.FAULT, deaf=0.0)
    words = "its cable is back; the MASTER's adverts have not come in yet"
    assert verdicts(back, 10.0)[0] == Verdict(False, True, words)
    assert verdicts(back._replace(deaf=3.1), 10.0)[0].ready, "not for ever"
    state = Readiness(0.0, caught_up=True)
    follows = replace(PEER, role="FAULT")
    assert judge(state, back._replace(peer=follows), 10.0)[1].ready, "nobody sends any"
    assert verdicts(back._replace(role=Role.MASTER), 10.0)[0].ready


def test_a_node_whose_cables_are_all_back_waits_for_a_word_of_its_peer() -> None:
    state = Readiness(0.0, caught_up=True)
    cut_off = FACTS._replace(role=Role.FAULT, peer=None, advertised=False, deaf=0.1)
    verdict = judge(state, cut_off, 10.0)[1]
    assert verdict == Verdict(False, True, readiness.UNSPOKEN)
    assert judge(state, cut_off._replace(deaf=readiness.DOUBT), 10.0)[1].ready, "there is none"
    assert judge(state, cut_off._replace(role=Role.MASTER), 10.0)[1].ready


def test_who_hears_a_master_that_is_silent_on_the_sync_link_leaves_it_the_vgw() -> None:
    state = Readiness(0.0, caught_up=True)
    silent = FACTS._replace(peer=None)
    verdict = judge(state, silent, 100.0)[1]
    assert (verdict.ready, verdict.aside) == (True, True)
    assert verdict.reason == readiness.SILENT_MASTER
    assert not judge(state, silent._replace(advertised=False), 100.0)[1].aside, "it died"
    assert not judge(state, silent._replace(outranks=False), 100.0)[1].aside, "it ranks below"


def test_a_node_whose_cable_is_out_may_lead_while_nobody_does() -> None:
    cut = FACTS._replace(carries=False, peer=replace(PEER, role="FAULT"))
    state = Readiness(0.0, caught_up=True)
    assert judge(state, cut, 10.0)[1].ready
    assert judge(state, cut._replace(role=Role.MASTER, peer=PEER), 10.0)[1].ready


LOST = "eth1 has lost this node's address 192.168.100.2/24"


@pytest.mark.parametrize("plain", [False, True])
def test_who_lost_an_address_of_its_own_lets_go_of_what_a_peer_can_take(*, plain: bool) -> None:
    # keepalived does not notice: as BACKUP it would hear nobody, and be a second MASTER.
    lost = FACTS._replace(unfit=LOST, plain=plain)
    master = lost._replace(role=Role.MASTER, peer=replace(PEER, role="BACKUP", ready=True))
    for facts in (lost, lost._replace(peer=None, advertised=False), master):
        assert verdicts(facts, 10.0) == [Verdict(False, True, LOST)]


@pytest.mark.parametrize("peer", [None, replace(PEER, role="FAULT", ready=False)])
def test_a_master_that_lost_an_address_leads_on_where_nobody_else_can(peer: Beat | None) -> None:
    alone = FACTS._replace(unfit=LOST, role=Role.MASTER, peer=peer)
    assert judge(Readiness(0.0, caught_up=True), alone, 10.0)[1].ready


def test_the_lower_priority_never_stands_aside_for_a_failback() -> None:
    assert not verdicts(FACTS._replace(outranks=False), 1.0)[0].aside


def test_standing_aside_ends_when_the_peer_does() -> None:
    state, verdict = judge(Readiness(0.0), FACTS, 1.0)
    assert verdict.aside
    _, verdict = judge(state, FACTS._replace(peer=None, advertised=False), 1.5)
    assert verdict == Verdict(True, False, "all is well")


def test_a_series_of_takeovers_doubles_the_hold_and_no_more_than_five_minutes() -> None:
    state, holds = Readiness(0.0), []
    for number in range(10):
        state = readiness.left_mastership(state, 10.0 * number)
        holds.append(readiness.hold(state, FACTS))
    assert holds[:5] == [3.0, 3.0, 6.0, 12.0, 24.0]
    assert max(holds) == readiness.LONGEST_HOLD
    calm = readiness.left_mastership(state, 10_000.0)
    assert readiness.hold(calm, FACTS) == 3.0


def test_a_dead_way_out_costs_the_readiness_only_where_the_peer_has_a_better_one() -> None:
    dead = FACTS._replace(quiet=0.9)
    assert verdicts(dead, 1.0)[0].reason == "the way out is dead here and works for the peer"
    both = dead._replace(peers_quiet=0.6)
    unknown = dead._replace(peers_quiet=None)
    assert verdicts(dead._replace(quiet=0.7), 1.0)[0].ready, "two lost samples are no proof"
    for facts in (both, unknown, dead._replace(peer=None, peers_quiet=None, advertised=False)):
        assert verdicts(facts, 5.0)[0].ready
    master = dead._replace(role=Role.MASTER, peer=replace(PEER, role="BACKUP"))
    assert not verdicts(master, 1.0)[0].ready
    unready = master._replace(peer=replace(PEER, role="FAULT", ready=False))
    assert verdicts(unready, 1.0)[0].ready, "the last one stays"


def test_a_switchover_stands_aside_for_as_long_as_the_peer_is_ready() -> None:
    asked = FACTS._replace(role=Role.MASTER, asked=True, peer=replace(PEER, role="BACKUP"))
    assert verdicts(asked, 1.0)[0] == Verdict(True, True, readiness.GIVEN)
    given = FACTS._replace(asked=True)
    assert verdicts(given, 1.0, 100.0)[1].aside, "it lasts until it is given back"
    assert not verdicts(given._replace(peer=replace(PEER, ready=False)), 1.0)[0].aside
    assert not verdicts(given._replace(peer=None, advertised=False), 5.0)[0].aside


def test_the_first_answer_after_an_outage_of_both_moves_nobody() -> None:
    both = FACTS._replace(role=Role.MASTER, peer=replace(PEER, role="BACKUP"), quiet=5.0)
    state, _ = judge(Readiness(0.0), both._replace(peers_quiet=5.0), 10.0)
    first = both._replace(quiet=5.2, peers_quiet=0.1)
    assert judge(state, first, 10.2)[1].ready, "its own answer may be on the way"
    assert not judge(state, first, 10.0 + readiness.RETURN)[1].ready, "it did not come"


def test_a_busy_peers_way_out_that_is_quiet_for_a_moment_gives_a_dead_one_nothing_back() -> None:
    state, found = Readiness(0.0, caught_up=True), []
    for number, peers_quiet in enumerate((0.2, 0.8, 0.9, 0.2, 0.3)):
        led = FACTS._replace(quiet=20.0 + number / 2, peers_quiet=peers_quiet)
        state, verdict = judge(state, led, 30.0 + number / 2)
        found.append(verdict.ready)
    assert not any(found), "the peer had an answer long after this node had its last"


def test_of_two_masters_the_one_whose_lan_is_silent_lets_go() -> None:
    master = FACTS._replace(role=Role.MASTER, parted=True)
    alone = master._replace(still=1.6, peers_still=0.1)
    assert verdicts(alone, 9.0)[0] == Verdict(
        False, True, "the peer is MASTER too, and only there is the LAN heard"
    )
    for facts in (
        alone._replace(parted=False),
        alone._replace(peers_still=1.4),
        alone._replace(still=0.9),
        alone._replace(still=None),
        alone._replace(peers_still=None),
    ):
        assert verdicts(facts, 9.0)[0].ready


def test_who_hears_no_adverts_of_a_master_comes_only_where_the_lan_is_heard() -> None:
    deaf = FACTS._replace(parted=True, still=0.2, peers_still=0.1)
    assert not verdicts(deaf, 9.0)[0].ready
    assert not verdicts(deaf._replace(still=3.0, peers_still=3.0), 9.0)[0].ready
    assert verdicts(deaf._replace(peers_still=1.2), 9.0)[0].ready


def test_who_never_fails_back_lets_go_by_not_being_ready() -> None:
    asked = FACTS._replace(
        never=True, role=Role.MASTER, asked=True, peer=replace(PEER, role="BACKUP")
    )
    assert not verdicts(asked, 1.0)[0].ready
    assert verdicts(asked._replace(role=Role.FAULT, peer=PEER), 1.0)[0].ready


def test_a_new_conntrackd_means_catching_up_again() -> None:
    state, _ = judge(Readiness(0.0), FACTS, 1.0)
    state = readiness.replication_restarted(state, 2.0)
    assert not judge(state, FACTS, 2.1, fresh=False)[1].ready


@given(st.lists(st.tuples(FACTS_OF_ANY_KIND, st.booleans(), st.floats(0, 30)), max_size=20))
def test_whatever_happens_no_ruleset_no_readiness_and_a_lone_node_becomes_ready(
    story: list[tuple[Facts, bool, float]],
) -> None:
    state, now = Readiness(0.0), 0.0
    for facts, fresh, passed in story:
        now += passed
        state, verdict = readiness.judge(state, facts, now, fresh=fresh)
        assert verdict.reason
        assert not (verdict.ready and not facts.ruleset)
    _, verdict = judge(state, ALONE, now + readiness.REPLICAS_PATIENCE + 1)
    assert verdict.ready
    assert not verdict.aside
