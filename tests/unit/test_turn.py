"""What both nodes must say alike is changed on both together, and the peer leads first by the new words."""

from dataclasses import replace

import pytest

from appliance.config import alike
from appliance.pair import turn
from appliance.pair.beat import BEAT_SILENCE, Beat
from appliance.vrrp import Role

from .node_doors import config
from .snapshots import PEER

CLASSIC = {
    "profile: standard": "profile: classic",
}
ALIKE = {
    "the router id": ({"virtual_router_id: 51": "virtual_router_id: 52"}, 1),
    "the VGW": ({"192.168.100.99": "192.168.100.98"}, 1),
    "version, transport, password and interval": (CLASSIC, 4),
    "an address on the LAN": ({"192.168.100.3": "192.168.100.4"}, 1),
    "an address on the sync link": ({"10.99.0.3": "10.99.0.4"}, 1),
}
OWN = {
    "a name": {"  backup:": "  other:"},
    "a priority": {"priority: 90": "priority: 80"},
    "the interval of version 3": {"profile: standard": "profile: fast"},
    "virtual MACs": {"profile: standard": "profile: hot"},
    "an address outside": {"203.0.113.3": "203.0.113.4"},
    "the WAN VIP": {"203.0.113.99": "203.0.113.98"},
}


@pytest.mark.parametrize("what", ALIKE)
def test_a_word_without_which_one_does_not_hear_the_other_is_named(what: str) -> None:
    changed, number = ALIKE[what]
    found = alike.differing(config(), config(**changed))
    assert len(found) == number, found
    assert alike.differing(config(**changed), config(**changed)) == ()


@pytest.mark.parametrize("what", OWN)
def test_what_a_node_may_say_alone_is_not(what: str) -> None:
    assert alike.differing(config(), config(**OWN[what])) == ()


def test_both_values_are_told_but_no_password() -> None:
    former, new = (
        config("03-classic"),
        config("03-classic", **{"profile: classic": "profile: classic, auth_pass: other"}),
    )
    assert alike.differing(former, new) == ("vgw.auth_pass",)
    other = alike.differing(config(), config(**ALIKE["the router id"][0]))
    assert other == ("vgw.virtual_router_id 51 -> 52",)


STANDBY = replace(PEER, role="BACKUP")


def waits(
    role: Role,
    peer: Beat | None,
    *,
    has_it: bool = True,
    knows: bool = True,
    waited: float = 0.0,
) -> str:
    return turn.waits_for(role, peer, has_it=has_it, knows=knows, waited=waited, promise=0.4)


@pytest.mark.parametrize("role", Role)
def test_a_sync_link_that_is_cut_parts_nobody_and_who_had_the_file_is_not_waited_for(
    role: Role,
) -> None:
    assert waits(role, None, has_it=False).startswith("until the peer is heard on the sync link")
    assert waits(role, None) == "", "it goes by new addresses on that link, or is dead"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("peer", [PEER, STANDBY])
def test_nobody_goes_by_it_before_the_other_has_it(role: Role, peer: Beat) -> None:
    assert waits(role, peer, has_it=False) == "until backup has the file too: `vgw apply` there"


@pytest.mark.parametrize("role", Role)
def test_nobody_goes_by_it_before_the_other_knows_for_by_the_new_words_it_may_hear_nothing(
    role: Role,
) -> None:
    why = "until backup has heard that this node has it"
    assert waits(role, PEER, knows=False) == waits(role, PEER, knows=False, waited=1.4) == why
    assert waits(role, PEER, knows=False, waited=BEAT_SILENCE) == "", "it is of another version"
    assert waits(role, None, knows=False) == "", "it has gone on, or is dead"


@pytest.mark.parametrize("role", [Role.BACKUP, Role.FAULT])
def test_the_standby_is_first(role: Role) -> None:
    assert waits(role, PEER) == waits(role, STANDBY) == ""


def test_the_master_follows_once_its_peer_leads_cannot_or_takes_too_long() -> None:
    assert waits(Role.MASTER, STANDBY) == "until the peer leads by it"
    assert waits(Role.MASTER, PEER) == ""
    assert waits(Role.MASTER, replace(STANDBY, ready=False)) == ""
    late = 0.4 + turn.LEAD_MARGIN
    assert waits(Role.MASTER, STANDBY, waited=late - 0.1)
    assert waits(Role.MASTER, STANDBY, waited=late) == ""


@pytest.mark.parametrize("first", [Role.MASTER, Role.BACKUP])
def test_whichever_node_has_the_file_first_one_of_them_is_always_due(first: Role) -> None:
    """Both have it, and neither goes by it yet: the standby does, and then the MASTER."""
    has = {first}
    assert waits(first, STANDBY if first is Role.MASTER else PEER, has_it=len(has) == 2)
    assert not waits(Role.BACKUP, PEER)
    assert waits(Role.MASTER, STANDBY)
    assert not waits(Role.MASTER, PEER), "the standby leads by the new words"
