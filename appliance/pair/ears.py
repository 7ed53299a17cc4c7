"""What the node hears: beats, adverts, answers, the connection table and conntrackd; and the facts of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.bulkhead import Bulkheads
from appliance.config.model import Failback
from appliance.conntrack.orders import Order, Outcome
from appliance.pair import beat, readiness
from appliance.pair.changed import changed
from appliance.pair.doors import ConntrackdDoor, Doors, Wires
from appliance.pair.facts import Facts
from appliance.pair.judgement import Memory
from appliance.pair.mac_frames import MacHeard
from appliance.pair.peer import Peer
from appliance.pair.terms import Terms
from appliance.vrrp import Role
from appliance.wires.adverts import Advert
from appliance.wires.uplink import SAMPLE_INTERVAL

# Seconds between a last beat and an advert from which on the peer has surely lived between the two.
SPOKE_LAST = 2 * beat.BEAT_INTERVAL


@dataclass(frozen=True)
class Own:
    """What the agent has seen of its own node. Times on the monotonic clock."""

    role: Role = Role.BACKUP
    # When it came to that role, and when its cables, or an address of its own, came back last.
    became: float = 0.0
    back: float = 0.0
    # LAN and WAN have their carriers.
    carries: bool = True
    # The name of the LAN interface; and which own addresses are gone, as a sentence.
    lan: str = ""
    lost: str = ""
    # Why packets from inside would not leave by the upstream router; empty where they would.
    stolen: str = ""
    ruleset: bool = False
    # keepalived runs.
    electable: bool = True
    # conntrackd's process id; 0 where it does not run.
    generation: int = 0
    # The longest packet that was sent to the peer in each of the last two tries, in bytes.
    wide: int = 0

    @property
    def unfit(self) -> str:
        """Why this node cannot serve although keepalived sees nothing amiss; empty where it can."""
        return self.lost or self.stolen

    def cabled(self, now: float, *, carries: bool, lan: str, lost: str) -> "Own":
        """With what was seen of the cables."""
        # Without its address it heard no more than without its cable.
        deaf = not self.carries or self.lost
        back = now if carries and not lost and deaf else self.back
        return changed(self, carries=carries, lan=lan, lost=lost, back=back)

    def in_role(self, role: Role, now: float) -> "Own":
        """With a new role."""
        return changed(self, role=role, became=now)


class Ears:
    """Everything that comes in, and what of it has to be kept to tell how long ago it was."""

    def __init__(
        self,
        terms: Terms,
        wires: Wires,
        doors: Doors,
        door: ConntrackdDoor,
        bulkheads: Bulkheads,
        now: float,
    ) -> None:
        self.terms, self.wires, self.began = terms, wires, now
        self.doors, self.conntrackd, self.bulkheads = doors, door, bulkheads
        self.peer = Peer(terms.peer)
        self.sampled = -math.inf
        # The peer's last advert, as far as it could be read.
        self.advert: Advert | None = None
        # How many entries the table has, and may have; 0 until it was read.
        self.entries = self.limit = 0
        # What went wrong since conntrackd started, as it told last.
        self.counters: Mapping[str, int] = {}

    def take_up(self, terms: Terms, wires: Wires) -> None:
        """Go by another file."""
        if terms.peer != self.peer.name:
            self.peer = Peer(terms.peer)
        self.terms, self.wires = terms, wires

    def may_be_there(self, now: float) -> bool:
        """Whether a peer whose beats do not come may be there all the same."""
        return not self._has_listened(now) or self._advertised(self._listen(now))

    def peer_leads(self, now: float) -> bool:
        """Whether the peer is MASTER by its beats, or by its adverts."""
        return self.peer.is_master or self._advertised(self._listen(now))

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        pings = self.wires.pings
        return (self.wires.beats.fileno(), *([pings.fileno()] if pings else []))

    def hear(self, now: float) -> bool:
        """Take in beats, ask the way out and take in its answers; whether a beat came."""
        heard = False
        nothing: Sequence[bytes] = ()
        for datagram in self.bulkheads.ask("the peer's beats", self.wires.beats.receive, nothing):
            with self.bulkheads.step("a beat"):
                heard = self.peer.take(datagram, now) or heard
        self.peer.fell_silent(now)
        if pings := self.wires.pings:
            with self.bulkheads.step("the answers from the way out"):
                pings.receive(now)
            if now >= self.next_sample():
                self.sampled = now
                with self.bulkheads.step("the question to the way out"):
                    pings.sample(now)
        return heard

    def next_sample(self) -> float:
        """When the way out is to be asked again."""
        return self.sampled + SAMPLE_INTERVAL

    def facts(
        self, own: Own, memory: Memory, now: float, *, asked: bool, looking: bool, leisure: bool
    ) -> Facts:
        """What is known now.

        `asked`: a switchover's note is there. `looking`: what costs is to be looked at too: conntrackd's queues, as much as all
        else together, and the table's limit. What cannot be looked at is what it was, or not known.
        """
        terms, peer, wires = self.terms, self.peer, self.wires
        ask = self.bulkheads.ask
        passed = self._listen(now)
        last = now - passed if self.advert else wires.opened
        caught_up = memory.readiness.caught_up
        self._count(again=looking)
        outcome = self._outcome(memory, now) if leisure else None
        port = terms.sync_port
        return Facts(
            plain=terms.failback is Failback.PLAIN,
            never=terms.failback is Failback.NEVER,
            outranks=terms.outranks,
            hold=terms.hold,
            even=terms.even,
            role=own.role,
            carries=own.carries,
            unfit=own.unfit,
            ruleset=own.ruleset,
            electable=own.electable,
            asked=asked,
            listened=self._has_listened(now),
            quiet=ask("the way out", lambda: _quiet(wires, now), None),
            still=ask("the LAN's traffic", lambda: self.doors.lan.still(own.lan, now), None),
            deaf=None if last >= own.back else now - own.back,
            advertised=self._advertised(passed),
            spoke_last=last - peer.heard > SPOKE_LAST,
            missed=not self.advert or passed > 1.5 * terms.advert_interval,
            outranked=bool(self.advert and self.advert.priority > terms.priority),
            silence=max(self.advert.silence, passed) if self.advert else 0.0,
            patience=terms.patience,
            macs=ask("the virtual MACs' frames", lambda: _frames(wires, now), ())
            if wires.macs
            else (),
            parted=peer.parted(own.role, own.became, last, terms.patience),
            peer=peer.beat,
            peers_roles=peer.roles,
            peers_quiet=peer.quiet(now),
            peers_still=peer.still(now),
            wide=own.wide,
            hears=peer.widest.told,
            same_file=peer.goes_by(terms.digest, terms.legacy_digest),
            entries=self.entries,
            limit=self.limit,
            arrived=self._arrived(own, memory),
            generation=own.generation,
            queues=ask("conntrackd's queues", lambda: self.conntrackd.queues(port), None)
            if looking or not caught_up
            else None,
            outcome=outcome,
            leisure=leisure,
        )

    def _has_listened(self, now: float) -> bool:
        return now - self.began > readiness.GRACE

    def _advertised(self, passed: float) -> bool:
        """Whether the peer leads by its adverts, the last of which came so many seconds ago."""
        recent = 4 * self.terms.advert_interval + 1
        return bool(self.advert and self.advert.priority and passed < recent)

    def _listen(self, now: float) -> float:
        """Take note of the peer's last advert; how long ago it came."""
        self.advert = self.bulkheads.ask("VRRP's adverts", self.wires.adverts.read, self.advert)
        return max(0.0, now - self.advert.at) if self.advert else math.inf

    def _count(self, *, again: bool) -> None:
        """Take note of the table's size, and of its limit where that is not known or is to be read again."""
        with self.bulkheads.step("the connection table's size"):
            self.entries = self.doors.table.count()
            if again or not self.limit:
                self.limit = self.doors.table.limit()

    def _outcome(self, memory: Memory, now: float) -> Outcome | None:
        """How the order under way ended; one of which nobody can tell has failed."""
        with self.bulkheads.step("conntrackd's answer"):
            outcome = self.conntrackd.outcome(now)
            if outcome and outcome.order is Order.COUNT:
                self.counters = outcome.counters or self.counters
            return outcome
        order = memory.replication.queue.under_way
        return Outcome(order, f"nobody can tell how `{order}` ended") if order else None

    def _arrived(self, own: Own, memory: Memory) -> frozenset[int]:
        """Those of the peer's canaries that are in the table, of all that are awaited."""
        canaries = memory.replication.canaries
        awaited = canaries.looked_for(self.peer.beat, own.role)
        planted = self.doors.table.planted
        return self.bulkheads.ask(
            "the look for canaries",
            lambda: frozenset(filter(planted, awaited)),
            canaries.staying,  # nobody can tell, so nothing has changed
        )


def _quiet(wires: Wires, now: float) -> float | None:
    return wires.pings.quiet(now) if wires.pings else None


def _frames(wires: Wires, now: float) -> tuple[MacHeard, ...]:
    return tuple(MacHeard(one.interface, one.mac, one.read(now)) for one in wires.macs)
