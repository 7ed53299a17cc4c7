"""What the node says and does: beats, keepalived's files, events, ARP on the LAN, orders to conntrackd."""

import logging
import math
import re
from functools import cache

from appliance.bulkhead import Bulkheads
from appliance.conntrack.orders import Outcome
from appliance.pair import beat
from appliance.pair.beat import Beat
from appliance.pair.deeds import (
    CallMaster,
    CalmConntrackd,
    Deed,
    Inform,
    KeepPeersPlace,
    PlantCanary,
    Record,
    Remember,
    RestartConntrackd,
    Tell,
    TellKeepalived,
    WithdrawNote,
)
from appliance.pair.doors import ConntrackdDoor, Doors, FilesDoor, Wires
from appliance.pair.terms import Terms
from appliance.status.events import Event

CALL = 0.1  # seconds between two calls to a MASTER that is not heard
KEEP = 1.0  # seconds between two looks of a MASTER at where its peer is

log = logging.getLogger("vgw")


class Voice:
    """Carries out what was judged, and says what is so."""

    def __init__(
        self,
        terms: Terms,
        wires: Wires,
        doors: Doors,
        door: ConntrackdDoor,
        files: FilesDoor,
        bulkheads: Bulkheads,
    ) -> None:
        self.files, self.bulkheads = files, bulkheads
        self.table, self.conntrackd, self.wall = doors.table, door, doors.wall
        self.take_up(terms, wires)
        # When a beat was sent, the MASTER called, and the peer's place kept, on the monotonic clock.
        self.said = self.called = self.kept = -math.inf
        # Whether keepalived could not be told what was judged.
        self.untold = False
        # The order that could not even be given, until that was heard as its outcome.
        self.ungiven: Outcome | None = None

    def take_up(self, terms: Terms, wires: Wires) -> None:
        """Go by this file from now on."""
        self.terms, self.wires = terms, wires
        self.conntrackd.take_up(terms.floating[0])

    def say(self, words: Beat, now: float) -> None:
        """Send one beat."""
        self.said = now
        self.wires.beats.send(beat.pack(words))

    def stretch(self, words: Beat) -> int:
        """Send it in packets of several lengths; the longest in bytes, 0 where there is no way."""
        return self.wires.beats.stretch(beat.pack(words))

    def next_beat(self) -> float:
        """When the next is to be sent."""
        return self.said + beat.BEAT_INTERVAL

    def claim(self) -> None:
        """Have the bridges point the virtual MACs at this node at once, by one gratuitous ARP for each.

        The peer has announced a lost cable; the bridge behind its other one would go on forwarding to it until
        VRRP times out.
        """
        for one, address in zip(self.wires.macs, self.terms.floating, strict=False):
            self.wires.voice.announce(one.interface, address)

    def carry_out(self, deeds: tuple[Deed, ...], lan: str, now: float) -> None:
        """Do all of it, in this order; `lan` is the LAN interface. What fails is told, and the rest is done."""
        for deed in deeds:
            done = False
            with self.bulkheads.step(_words(type(deed).__name__)):
                self._do(deed, lan, now)
                done = True
            if isinstance(deed, TellKeepalived):
                self.untold = not done
            if isinstance(deed, Tell) and not done:
                self.ungiven = Outcome(deed.order, f"`{deed.order}` could not be given")

    def _do(self, deed: Deed, lan: str, now: float) -> None:
        match deed:
            case TellKeepalived(ready, aside):
                self.files.tell_keepalived(ready=ready, aside=aside)
            case WithdrawNote():
                self.files.withdraw_note()
            case PlantCanary(number):
                self.table.plant(number)
            case Inform(sentence, grave):
                log.log(logging.WARNING if grave else logging.INFO, "%s", sentence)
            case Record(was, became, sentence, flows, kind):
                words = (kind, was, became, "found by looking", sentence)
                self.files.record(Event(self.wall(), self.terms.node, *words, flows=flows))
            case CallMaster():
                if now - self.called >= CALL:
                    self.called = now
                    self.wires.voice.announce(lan, self.terms.home)
            case KeepPeersPlace():
                if now - self.kept >= KEEP:
                    self.kept = now
                    self.wires.voice.keep(lan)
            case _:
                self._tell_conntrackd(deed, now)

    def _tell_conntrackd(
        self, deed: Tell | Remember | CalmConntrackd | RestartConntrackd, now: float
    ) -> None:
        match deed:
            case Tell(order):
                self.conntrackd.give(order, now)
            case Remember(settled):
                self.files.remember(settled)
            case CalmConntrackd(process):
                self.conntrackd.calm(process)
            case RestartConntrackd():
                self.conntrackd.restart()


@cache
def _words(kind: str) -> str:
    """What a kind of deed is, as a noun: `PlantCanary` is "plant canary"."""
    return re.sub("(?<!^)([A-Z])", r" \1", kind).lower()
