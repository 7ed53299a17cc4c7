"""Of two MASTERs at a time: when a takeover was false, what was late, and when nothing is told."""

from dataclasses import replace

import pytest

from appliance.pair import contest, judgement
from appliance.pair.contest import Contest
from appliance.pair.deeds import Record
from appliance.pair.facts import Facts
from appliance.vrrp import Role
from appliance.wires.adverts import RECENT, Advert

from .facts import FACTS
from .snapshots import PEER

LED = FACTS._replace(role=Role.BACKUP, peer=replace(PEER, role="MASTER"), outranked=True)
TOOK_OVER = LED._replace(role=Role.MASTER, silence=0.392, patience=0.365)
STARVED_HERE = TOOK_OVER._replace(silence=0.11)
HEARD_AGAIN = TOOK_OVER._replace(role=Role.BACKUP, silence=0.1, advertised=True)
LEADS = LED._replace(role=Role.MASTER, peer=replace(PEER, role="BACKUP"), outranked=False)
JOINED = LEADS._replace(peer=replace(PEER, role="MASTER"))


def told(*moments: Facts, before: Role = Role.BACKUP) -> list[str]:
    """What is told at these moments, half a second apart."""
    state: Contest | None = None
    sentences = []
    for number, facts in enumerate(moments):
        state, sentence = contest.follow(state, before, facts, number / 2)
        before = facts.role
        sentences += [sentence] if sentence else []
    return sentences


def test_a_takeover_that_the_next_adverts_end_was_false_and_names_the_silence() -> None:
    (sentence,) = told(LED, TOOK_OVER, TOOK_OVER, HEARD_AGAIN, HEARD_AGAIN)
    assert sentence.startswith("the takeover was false: ")
    assert "MASTER beside it for 1.0 s" in sentence
    assert "none of its adverts had come in for 392 ms" in sentence


def test_where_the_adverts_came_in_time_keepalived_here_was_late() -> None:
    (sentence,) = told(LED, STARVED_HERE, HEARD_AGAIN)
    assert (
        "its adverts had come in each 110 ms at most: keepalived here was not let run" in sentence
    )


def test_an_advert_that_is_late_as_this_node_lets_go_hides_no_false_takeover() -> None:
    (sentence,) = told(LED, TOOK_OVER, HEARD_AGAIN._replace(missed=True))
    assert sentence.startswith("the takeover was false: ")


def test_the_master_that_lived_tells_it_too() -> None:
    (sentence,) = told(LEADS, JOINED, LEADS, LEADS, before=Role.MASTER)
    assert "took over beside this MASTER, which lives, and let go again after 0.5 s" in sentence


def test_a_takeover_that_was_over_when_its_beats_were_read_is_told_too() -> None:
    both = LEADS._replace(peers_roles=("MASTER", "BACKUP"))
    (sentence,) = told(LEADS, both, LEADS, before=Role.MASTER)
    assert "took over beside this MASTER, which lives, and let go again after 0.0 s" in sentence


def test_a_preempted_peer_that_took_over_again_in_one_moment_is_told_of() -> None:
    again = JOINED._replace(peers_roles=("BACKUP", "MASTER"))
    (sentence,) = told(LED, JOINED._replace(outranked=False), again, LEADS)
    assert "took over beside this MASTER" in sentence


@pytest.mark.parametrize(
    "moments",
    [
        (LED, TOOK_OVER, TOOK_OVER._replace(peer=None)),
        (LED, TOOK_OVER, TOOK_OVER._replace(peer=replace(PEER, role="BACKUP"))),
        (LED, TOOK_OVER, HEARD_AGAIN._replace(missed=True, advertised=False)),
        (LED, TOOK_OVER, TOOK_OVER._replace(role=Role.FAULT)),
        (LED, TOOK_OVER._replace(outranked=False), HEARD_AGAIN),
        (LEADS, JOINED, JOINED._replace(role=Role.BACKUP)),
        (LEADS, JOINED, JOINED._replace(peer=replace(PEER, role="FAULT"))),
    ],
    ids=["it died", "it let go", "unheard", "in FAULT", "a preempt", "preempted", "not ready"],
)
def test_what_is_no_false_takeover_is_not_told(moments: tuple[Facts, ...]) -> None:
    assert told(*moments) == []


def test_two_that_stay_are_a_problem_of_both_nodes() -> None:
    for before in (Role.BACKUP, Role.MASTER):
        state, _ = contest.follow(None, before, TOOK_OVER, 10.0)
        assert state is not None
        assert state.problem("master", 12.9) == ""
        assert "this node and master have both held the VGW" in state.problem("master", 13.1)
        state, _ = contest.follow(state, Role.MASTER, HEARD_AGAIN._replace(missed=True), 15.0)
        assert state is None


def lasting(facts: Facts, before: Role) -> str:
    """What is said of two MASTERs after four seconds in which this is so."""
    state, _ = contest.follow(None, before, facts, 10.0)
    state, _ = contest.follow(state, Role.MASTER, facts, 14.0)
    assert state is not None
    return state.problem("backup", 14.0)


def test_where_no_advert_comes_in_the_lan_or_the_peers_keepalived_is_to_blame() -> None:
    sentence = lasting(JOINED._replace(missed=True), Role.MASTER)
    assert (
        "none of backup's adverts comes in: the LAN is parted between them or drops VRRP"
        in sentence
    )
    assert "or keepalived hangs on backup" in sentence


def test_where_they_come_in_and_this_node_outranks_its_own_do_not_arrive_there() -> None:
    sentence = lasting(JOINED._replace(missed=False), Role.MASTER)
    assert (
        "backup's adverts come in, and it does not hear this node's: keepalived here hangs"
        in sentence
    )
    assert "parted" not in sentence


def test_where_they_come_in_and_outrank_this_node_its_keepalived_hangs() -> None:
    sentence = lasting(JOINED._replace(missed=False, outranked=True), Role.MASTER)
    assert "backup's adverts come in with a higher priority, and keepalived here hangs" in sentence


def test_the_cause_of_two_that_stay_is_the_one_of_now() -> None:
    state, _ = contest.follow(None, Role.MASTER, JOINED._replace(missed=True), 10.0)
    state, _ = contest.follow(state, Role.MASTER, JOINED._replace(missed=False), 14.0)
    assert state is not None
    assert "adverts come in" in state.problem("backup", 14.0)


def test_a_false_takeover_is_an_event_and_is_counted() -> None:
    memory = judgement.begin(None, ready=True, even=True, seconds=1, now=0.0)
    events = []
    for number, facts in enumerate((LED, TOOK_OVER, HEARD_AGAIN)):
        memory, deeds = judgement.follow(memory, facts, 10.0 + number / 10)
        events += [deed for deed in deeds if isinstance(deed, Record)]
    kinds = [(event.kind, event.was, event.now) for event in events]
    assert ("false takeover", "two MASTERs", "one MASTER") in kinds
    assert memory.false_takeovers == 1


def test_an_advert_tells_the_longest_silence_of_late() -> None:
    advert = Advert(100.0, 90)
    for at in (100.1, 100.5, 100.6, 100.8):
        advert = advert.next(at, 90)
    assert advert.silence == pytest.approx(0.4)
    later = advert.next(100.9, 0)
    assert later.priority == 0
    assert later.silence == pytest.approx(0.4)
    for step in range(1, 3 + int(RECENT) * 10):
        later = later.next(100.9 + step / 10, 90)
    assert later.silence == pytest.approx(0.1), "what was long ago counts no longer"
