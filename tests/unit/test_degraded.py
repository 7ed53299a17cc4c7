"""What could lose flows is told in the order in which an operator should mend it."""

from dataclasses import replace
from typing import Any

from appliance.pair import degraded
from appliance.pair.degraded import CANARY_PATIENCE
from appliance.pair.facts import Facts
from appliance.pair.progress import Progress
from appliance.vrrp import Role

from .facts import FACTS, PROGRESS
from .snapshots import PEER

MASTER = Role.MASTER


def known(changed: dict[str, Any]) -> tuple[Facts, Progress]:
    """A standby that has its replicas, but for what is changed."""
    names = Progress._fields
    progress = {name: value for name, value in changed.items() if name in names}
    facts = {name: value for name, value in changed.items() if name not in names}
    return FACTS._replace(**facts), PROGRESS._replace(**progress)


def why(late: str = "", **changed: Any) -> str:
    """Why a takeover could lose flows, where all else is well."""
    return degraded.why(*known(changed), late)


def behind(**changed: Any) -> str:
    """Which flows a crash of the MASTER would lose, where all else is well."""
    return degraded.behind(*known(changed))


def test_nothing_is_said_of_a_pair_that_works_or_of_a_node_alone() -> None:
    assert why() == ""
    assert why(role=MASTER) == ""
    assert why(peer=None, advertised=False) == ""


def test_what_comes_first_is_said_first() -> None:
    late = "the replicas did not"
    assert "holds 250000 of 262144 entries" in why(late, entries=250_000)
    assert why(late) == late
    assert why(late, role=MASTER) == ""
    assert why(peer=None) == "the peer is silent on the sync link"
    assert why(peer=None, listened=False) == ""
    assert why(peer=None, spoke_last=False) == "", (
        "its power was cut, and all it said ended at once"
    )
    assert why(same_file=False, generation=0).endswith("by different files")
    assert why(generation=0) == "conntrackd does not run here"
    assert why(peer=replace(PEER, generation=0)) == "conntrackd does not run on backup"
    slow = why(role=MASTER, overrun=True)
    assert slow.startswith("conntrackd was too slow for some flows: backup may lack them")
    stuck = CANARY_PATIENCE + 1
    assert why(waited=stuck) == "no flow from backup has arrived for 9 s"
    assert why(waited=stuck, role=MASTER) == "no flow to backup has arrived for 9 s"


def test_the_newest_flows_are_said_to_be_missing_while_canaries_are_on_their_way() -> None:
    assert behind() == ""
    late = "this node lacks the flows of the last 3 s: it is still taking in others"
    assert behind(waited=3.2) == late
    master = behind(role=MASTER, waited=3.2)
    assert master.startswith("backup lacks the flows of the last 3 s")
    new = "backup may lack the flows that began since this node became MASTER"
    assert behind(role=MASTER, settling=True) == new
    assert behind(settling=True) == "", "a standby tells by its canaries"
    nobody: tuple[dict[str, Any], ...] = (
        {"peer": None},
        {"generation": 0},
        {"peer": replace(PEER, generation=0)},
        {"same_file": False},
    )
    for changed in nobody:
        assert behind(role=MASTER, waited=3.2, **changed) == "", "what degraded tells of"
