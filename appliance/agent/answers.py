"""Asks the LAN who has the VGW, each two seconds; hears who says so, and contradicts a stranger."""

import math
from collections.abc import Collection, Mapping
from typing import Protocol

from appliance.addresses import Address
from appliance.agent import claimants
from appliance.agent.claimants import Claimants, ClaimSight
from appliance.drivers.routes import Link
from appliance.filters.crossings import Subject
from appliance.planning import virtual_macs
from appliance.wires.claims import Claim


class ClaimsDoor(Protocol):
    """What is said by ARP on an interface, which may be gone (`wires.claims`)."""

    def ask(self, interface: str, addresses: Collection[Address]) -> None:
        """Ask who has these addresses."""

    def hear(
        self, interface: str, addresses: Collection[Address], now: float
    ) -> Mapping[Claim, float]:
        """When each claim of one of them came last."""

    def announce(self, interface: str, address: Address) -> None:
        """Claim one for this node."""


class Answers:
    """Who answers for the VGW, as a machine behind hears it, and what is wrong with that."""

    def __init__(self, door: ClaimsDoor) -> None:
        self.problems: tuple[str, ...] = ()
        self._door = door
        self._state = Claimants()
        self._asked = -math.inf

    def forget(self) -> None:
        """Of what is not heard nothing is known."""
        self.problems = ()

    def look(
        self,
        what: Subject,
        links: Mapping[str, Link],
        now: float,
        *,
        leads: bool,
        peer_leads: bool,
    ) -> None:
        """Hear and judge, and ask where it is time."""
        config, lan = what.config, what.interfaces.lan
        vgw, peer = config.vgw.address.ip, config.peer_of(what.node)
        own, peers = config.nodes[what.node].lan.ip, config.nodes[peer].lan.ip
        watched = (vgw, own, peers)
        claims = self._door.hear(lan, watched, now)
        if now - self._asked >= claimants.ASK_SECONDS:
            self._asked = now
            self._door.ask(lan, watched)
        sight = ClaimSight(
            claims=claims,
            own=frozenset(link.mac for link in links.values()),
            virtual=virtual_macs.macs(config)[0],
            vgw=vgw,
            home=own,
            peers=peers,
            peer=peer,
            lan=lan,
            leads=leads,
            peer_leads=peer_leads,
        )
        self._state, self.problems, contradict = claimants.judge(self._state, sight, now)
        if contradict:
            self._door.announce(virtual_macs.homes(config, what.interfaces, what.names).vgw, vgw)
