"""Who answers ARP for the VGW: a stranger is told and contradicted, a peer is not, and nobody is told too."""

from dataclasses import dataclass, field

import pytest

from appliance.addresses import Address
from appliance.agent import claimants
from appliance.agent.claimants import Answered, Claimants, ClaimSight
from appliance.wires.claims import Claim

VGW, OWN, PEERS = (Address(f"192.168.100.{number}") for number in (99, 2, 3))
MINE, OTHERS, VIRTUAL, STRANGER = (
    "02:00:00:00:00:02",
    "02:00:00:00:00:03",
    "00:00:5e:00:01:33",
    "02:66:66:66:66:66",
)
LAST = 40


@dataclass
class Lan:
    """A node's LAN, looked at each second, and what was claimed there."""

    leads: bool = False
    peer_leads: bool = True
    claims: dict[Claim, float] = field(default_factory=dict)
    state: Claimants = field(default_factory=Claimants)
    now: float = 100.0

    def claim(self, address: Address, mac: str) -> None:
        """Have it said, to be heard by the next look."""
        self.claims[Claim(address, mac)] = self.now + 1

    def look(self) -> Answered:
        self.now += 1
        sight = ClaimSight(
            claims=dict(self.claims),
            own=frozenset({MINE}),
            virtual=VIRTUAL,
            vgw=VGW,
            home=OWN,
            peers=PEERS,
            peer="backup",
            lan="eth1",
            leads=self.leads,
            peer_leads=self.peer_leads,
        )
        found = claimants.judge(self.state, sight, self.now)
        self.state = found.state
        return found

    def live(self, seconds: int, *said: tuple[Address, str]) -> list[tuple[str, ...]]:
        """What was told at each look; before each all of this is said once more."""
        told = []
        for _ in range(seconds):
            for address, mac in said:
                self.claim(address, mac)
            told.append(self.look().problems)
        return told


USUAL = ((VGW, OTHERS), (PEERS, OTHERS))


def test_a_peer_that_leads_and_answers_is_as_it_should_be() -> None:
    assert set(Lan().live(LAST, *USUAL)) == {()}


def test_a_virtual_mac_is_everybodys() -> None:
    assert set(Lan().live(LAST, (VGW, VIRTUAL), (PEERS, OTHERS))) == {()}


@pytest.mark.parametrize("leads", [True, False])
def test_a_stranger_is_told_after_three_seconds_and_for_ten_after_its_last_word(
    leads: bool,
) -> None:
    lan = Lan(leads=leads, peer_leads=not leads)
    usual = ((PEERS, OTHERS),) if leads else USUAL
    lan.live(10, *usual)
    told = lan.live(1, *usual, (VGW, STRANGER)) + lan.live(14, *usual)
    assert [bool(problems) for problems in told] == [False] * 3 + [True] * 7 + [False] * 5
    (sentence,) = told[5]
    assert sentence.startswith(
        f"{STRANGER} answers on eth1 for the VGW 192.168.100.99, and is neither node"
    )


def test_a_peer_with_a_new_mac_is_a_stranger_to_nobody() -> None:
    lan = Lan()
    lan.live(10, *USUAL)
    assert lan.live(2, (VGW, STRANGER)) == [(), ()]
    assert set(lan.live(LAST, (VGW, STRANGER), (PEERS, STRANGER))) == {()}


def test_who_is_alone_knows_a_stranger_once_its_peer_would_have_answered() -> None:
    lan = Lan(leads=True, peer_leads=False)
    told = lan.live(10, (VGW, STRANGER))
    assert [bool(problems) for problems in told] == [False] * 7 + [True] * 3


def test_many_strangers_are_one_sentence() -> None:
    lan = Lan()
    lan.live(10, *USUAL)
    crowd = [(VGW, f"02:66:66:66:66:{number:02x}") for number in range(60)]
    (sentence,) = lan.live(5, *USUAL, *crowd)[-1]
    assert sentence.startswith("02:66:66:66:66:00 (and 59 more) answers on eth1 for the VGW")


def test_two_that_answer_for_the_peer_are_told_and_one_with_a_new_mac_is_not() -> None:
    lan = Lan()
    lan.live(10, *USUAL)
    told = lan.live(4, *USUAL, (PEERS, STRANGER))
    assert told[-1][0].startswith(f"{OTHERS} and {STRANGER} both answer on eth1 for 192.168.100.3")
    moved = Lan()
    moved.live(10, *USUAL)
    moved.look()
    assert set(moved.live(LAST, (VGW, STRANGER), (PEERS, STRANGER))) == {()}


def test_whoever_has_this_nodes_own_address_is_told_even_where_it_is_the_peer() -> None:
    lan = Lan()
    told = lan.live(10, *USUAL, (OWN, OTHERS))
    assert "192.168.100.2, this node's own address" in told[-1][0]


def test_a_master_contradicts_each_word_of_a_stranger_and_nobody_else_does() -> None:
    for leads in (True, False):
        lan = Lan(leads=leads, peer_leads=not leads)
        lan.live(10, *USUAL[1:])
        lan.claim(VGW, STRANGER)
        assert [lan.look().contradict for _ in range(3)] == [leads, False, False]
        lan.claim(VGW, STRANGER)
        assert lan.look().contradict == leads


def test_a_master_that_does_not_know_its_peer_yet_contradicts_nobody() -> None:
    lan = Lan(leads=True, peer_leads=False)
    lan.claim(VGW, STRANGER)
    assert not lan.look().contradict


def test_a_vgw_for_which_nobody_answers_is_told_where_its_peer_leads_and_answers() -> None:
    lan = Lan()
    lan.live(10, *USUAL)
    told = lan.live(10, (PEERS, OTHERS))
    assert [bool(problems) for problems in told] == [False] * 6 + [True] * 4
    assert told[-1][0].startswith(
        "nobody answers ARP for the VGW 192.168.100.99 on eth1, though backup says"
    )
    assert lan.live(1, *USUAL) == [()]


@pytest.mark.parametrize(
    ("lan", "said"),
    [
        (Lan(peer_leads=False), ((PEERS, OTHERS),)),
        (Lan(leads=True), ((PEERS, OTHERS),)),
        (Lan(), ()),
    ],
    ids=["nobody leads", "this node leads", "the peer answers nothing"],
)
def test_else_nobody_can_tell(lan: Lan, said: tuple[tuple[Address, str], ...]) -> None:
    assert set(lan.live(LAST, *said)) == {()}


def test_who_did_not_look_for_a_while_gives_the_time_to_answer_anew() -> None:
    lan = Lan()
    lan.live(10, *USUAL)
    lan.now += 30
    told = lan.live(10, (PEERS, OTHERS))
    assert [bool(problems) for problems in told] == [False] * 7 + [True] * 3


def test_a_new_leader_is_given_the_time_to_answer() -> None:
    lan = Lan(peer_leads=False)
    lan.live(20, (PEERS, OTHERS))
    lan.peer_leads = True
    told = lan.live(10, (PEERS, OTHERS))
    assert [bool(problems) for problems in told] == [False] * 7 + [True] * 3
