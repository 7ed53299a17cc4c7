"""What could lose flows is told in the order in which an operator should mend it."""

from dataclasses import replace

from appliance.pair.degraded import CANARY_PATIENCE, Sight, behind, why
from appliance.vrrp import Role
from tests.unit.test_beat import PEER

WELL = Sight(
    role=Role.BACKUP,
    peer=PEER,
    advertised=True,
    entries=1000,
    limit=262_144,
    late="",
    listened=True,
    same_file=True,
    generation=7,
    waited=0.3,
    settling=False,
    overrun=False,
)


def test_nothing_is_said_of_a_pair_that_works_or_of_a_node_alone() -> None:
    assert why(WELL) == ""
    assert why(replace(WELL, role=Role.MASTER)) == ""
    assert why(replace(WELL, peer=None, advertised=False)) == ""


def test_what_comes_first_is_said_first() -> None:
    full = replace(WELL, entries=250_000)
    assert "holds 250000 of 262144 entries" in why(replace(full, late="the replicas did not"))
    assert why(replace(WELL, late="the replicas did not")) == "the replicas did not"
    assert why(replace(WELL, late="the replicas did not", role=Role.MASTER)) == ""
    assert why(replace(WELL, peer=None)) == "the peer is silent on the sync link"
    assert why(replace(WELL, peer=None, listened=False)) == ""
    assert why(replace(WELL, same_file=False, generation=0)).endswith("by different files")
    assert why(replace(WELL, generation=0)) == "conntrackd does not run here"
    gone = replace(PEER, generation=0)
    assert why(replace(WELL, peer=gone)) == "conntrackd does not run on backup"
    slow = replace(WELL, role=Role.MASTER, overrun=True)
    assert why(slow).startswith("conntrackd was too slow for some flows: backup may lack them")
    stuck = replace(WELL, waited=CANARY_PATIENCE + 1)
    assert why(stuck) == "no flow from backup has arrived for 9 s"
    assert why(replace(stuck, role=Role.MASTER)) == "no flow to backup has arrived for 9 s"


def test_the_newest_flows_are_said_to_be_missing_while_canaries_are_on_their_way() -> None:
    assert behind(WELL) == ""
    late = replace(WELL, waited=3.2)
    assert behind(late) == (
        "this node lacks the flows of the last 3 s: it is still taking in others"
    )
    master = replace(late, role=Role.MASTER)
    assert behind(master).startswith("backup lacks the flows of the last 3 s")
    new = replace(WELL, role=Role.MASTER, settling=True)
    assert behind(new) == "backup may lack the flows that began since this node became MASTER"
    assert behind(replace(WELL, settling=True)) == "", "a standby tells by its canaries"
    for nobody in (
        replace(master, peer=None),
        replace(master, generation=0),
        replace(master, peer=replace(PEER, generation=0)),
        replace(master, same_file=False),
    ):
        assert behind(nobody) == "", "what degraded tells of"
