"""A standby that lost what it had: its kernel forgot, or somebody emptied its table. It says so, and fetches all."""

from dataclasses import replace

import pytest

from appliance.conntrack.orders import Order, Outcome
from appliance.pair import judgement
from appliance.pair.beat import Beat
from appliance.pair.canaries import STAYS
from appliance.pair.replication_standby import SHORT_PATIENCE
from appliance.pair.replication_state import Replicas, missed
from appliance.pair.steps import Settled
from tests.unit.replication_story import (
    BACKUP,
    FAULT,
    MASTER,
    STANDBY,
    master,
    standby,
)
from tests.unit.snapshots import PEER


def test_a_kernel_that_loses_its_replicas_again_asks_again() -> None:
    story = standby()
    few, peer = {"entries": 100}, replace(PEER, entries=1000)
    for begin in (20.0, 60.0):
        story.at(begin, peer=peer, **few)
        assert not missed(story.state), "the two tables were counted at different moments"
        story.at(begin + SHORT_PATIENCE, peer=peer, **few)
        assert story.state.fetch.open
        prepared = replace(peer, prepared=story.state.fetch.open)
        assert story.told(begin + 2.0, peer=prepared, **few) == [Order.REQUEST]
        story.at(begin + 2.5, peer=prepared, outcome=Outcome(Order.REQUEST))
        number = int(begin)
        planted = replace(peer, canary=number)
        for moment in (5.0, 6.0, 7.0):
            story.at(begin + moment, peer=planted, arrived=frozenset({number}), entries=1000)


def test_where_entries_are_few_by_the_file_it_does_not_ask_again_and_again() -> None:
    story = standby()
    few, peer = {"entries": 100}, replace(PEER, entries=1000)
    story.at(20.0, peer=peer, **few)
    story.at(22.0, peer=peer, **few)
    prepared = replace(peer, prepared=story.state.fetch.open)
    assert story.told(23.0, peer=prepared, **few) == [Order.REQUEST]
    story.at(23.5, peer=prepared, outcome=Outcome(Order.REQUEST), **few)
    for moment in range(40, 300, 5):
        assert Order.REQUEST not in story.told(float(moment), peer=peer, **few)
        assert not story.state.gap


def test_what_was_lost_in_a_former_role_is_asked_for_in_the_new_one() -> None:
    story = standby()
    few, peer = {"entries": 100}, replace(PEER, entries=1000)
    story.at(20.0, peer=peer, **few)
    story.at(22.0, peer=peer, **few)
    assert story.state.clocks.shortage == 22.0
    story.at(23.0, role=MASTER, peer=replace(peer, role="BACKUP"), **few)
    story.at(26.0, role=BACKUP, peer=peer, **few)
    story.at(27.0, role=BACKUP, peer=peer, **few)
    assert story.state.clocks.shortage < 22.0


def test_a_table_that_somebody_empties_is_fetched_at_once_however_few_entries_it_had() -> None:
    story = standby()
    story.comes(11, 20.0)
    story.at(21.0)
    assert not missed(story.state)
    story.emptied = True
    story.at(21.2)
    assert missed(story.state), "a canary that had arrived is gone"
    story.emptied = False
    story.at(32.0)
    assert story.state.fetch.open
    prepared = replace(PEER, prepared=story.state.fetch.open)
    assert story.told(32.1, peer=prepared) == [Order.DROP_MOVED, Order.REQUEST], "no order is left"


def test_a_canary_that_left_in_its_time_is_no_emptied_table() -> None:
    story = standby()
    story.comes(11, 20.0)
    story.emptied = True
    story.at(20.0 + STAYS)
    assert not missed(story.state)


def test_what_an_order_of_ours_takes_away_is_fetched_anyhow() -> None:
    story = standby()
    story.comes(11, 20.0)
    story.change(fetch=story.state.fetch.preparing(20.5, 0))
    story.emptied = True
    story.at(21.0)
    assert not story.state.gap


@pytest.mark.parametrize(
    ("settled", "lacks"), [(None, False), (Settled(BACKUP, 7), True), (Settled(MASTER, 7), False)]
)
def test_an_agent_that_starts_on_a_standby_fetches_what_nobody_looked_for_meanwhile(
    settled: Settled | None, lacks: bool
) -> None:
    memory = judgement.begin(settled, ready=True, even=True, seconds=1000, now=0.0)
    assert missed(memory.replication) is lacks


def test_who_let_go_while_no_peer_was_heard_fetches_all_afresh_from_one_that_leads_since() -> None:
    story = master(peer=None)
    story.at(10.0)
    assert story.told(11.0, role=FAULT) == [Order.DISOWN]
    # It begins with a table of its own, in which the same ports are other flows'.
    story.told(14.0, role=BACKUP, peer=replace(PEER, canary=0))
    assert story.state.replicas is Replicas.OUTDATED
    story.comes(21, 15.0)
    assert story.told(15.1, outcome=Outcome(Order.DISOWN)) == [Order.FLUSH]
    assert story.state.fetch.open


@pytest.mark.parametrize("peer", [None, STANDBY, replace(STANDBY, replicas=False)])
def test_a_peer_that_was_heard_then_is_no_reason_to_nor_one_that_did_not_lead(
    peer: Beat | None,
) -> None:
    story = master(peer=peer)
    story.at(10.0)
    story.told(11.0, role=FAULT)
    if peer is None:  # this node leads again before anybody else
        story.told(12.0, role=MASTER, peer=None)
        story.told(13.0, role=MASTER, peer=replace(STANDBY, replicas=True))
    told = story.told(14.0, role=BACKUP, peer=replace(PEER, canary=0))
    story.comes(21, 15.0)
    assert Order.FLUSH not in [*told, *story.told(15.1)]
