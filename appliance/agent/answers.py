"""Says where the VGW is, and asks the LAN each two seconds who has it; hears who says so, and contradicts a stranger."""

import math
from collections.abc import Callable, Collection, Mapping
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

    def fileno(self) -> int:
        """For select; -1 where nothing is heard."""

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
        self._asked = self._contradicted = self._announced = -math.inf
        # What was looked at last, and where the floating addresses live; None before the first look.
        self._sight: ClaimSight | None = None
        self._homes: tuple[tuple[str, Address], ...] = ()

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        number = self._door.fileno()
        return () if number < 0 else (number,)

    def announce(self, now: float, every: float | None) -> None:
        """Say again where the floating addresses are, if it is time; `every` is in seconds, None for never."""
        if every is None:
            # Who becomes MASTER is announced by keepalived.
            self._announced = now
        elif now - self._announced >= every:
            self._say(now)

    def _say(self, now: float) -> None:
        self._announced = now
        for interface, address in self._homes:
            self._door.announce(interface, address)

    def hear(self, now: float, *, leads: bool, peer_leads: Callable[[], bool]) -> None:
        """Hear what came between two looks, and as MASTER contradict at once whoever else claims the VGW.

        `peer_leads` is asked where somebody does: who has just taken over says so by VRRP first.
        """
        if self._sight is None:
            return
        watched = (self._sight.vgw, self._sight.home, self._sight.peers)
        claims = self._door.hear(self._sight.lan, watched, now)
        sight = self._sight._replace(claims=claims, leads=leads)
        early = now - self._contradicted < claimants.CONTRADICTION_SECONDS
        if early or not claimants.usurped(sight, self._contradicted) or peer_leads():
            return
        self._contradicted = now
        self._say(now)

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
        if self._sight is None:
            self._contradicted = now
        homes = virtual_macs.homes(config, what.interfaces, what.names)
        self._homes = ((homes.vgw, vgw), (homes.wan_vip, config.wan.address.ip))
        self._sight = sight
        self._state, self.problems, contradict = claimants.judge(self._state, sight, now)
        if contradict:
            self._door.announce(homes.vgw, vgw)
