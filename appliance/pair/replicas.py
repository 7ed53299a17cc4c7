"""Do flows arrive on the peer? Canaries, conntrackd's counters, and the steps that it has to be told."""

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from appliance import CommandFailed, system
from appliance.conntrack import conntrackd, table
from appliance.conntrack.conntrackd import Conntrackd, Queues
from appliance.conntrack.orders import Order
from appliance.pair import steps
from appliance.pair.beat import Beat
from appliance.pair.resync import Preparation, Request
from appliance.pair.steps import Settled
from appliance.processes import programs
from appliance.run_dir import RunDir
from appliance.vrrp import Role

UNSETTLED = "-"
# A canary's number tells who planted it: those of one node are even, those of the other odd.
CANARY_STEP = 2
CANARY_INTERVAL = 1.0  # seconds between two canaries of the MASTER
RESTART_INTERVAL = 60.0  # seconds between two attempts to mend it
REQUEST_INTERVAL = 10.0  # seconds between two requests for all entries
# Seconds from a request to the first canary that was surely planted after the peer had heard of it.
REQUEST_SPARE = 1.0
OVERRUN_INTERVAL = 30.0  # seconds between two announcements of everything after events were lost
COUNT_INTERVAL = 5.0  # seconds between two looks at conntrackd's counters

log = logging.getLogger("vgw")


@dataclass
class Timers:
    """When each thing was last done, in monotonic seconds; 0 for never."""

    beat: float = 0.0
    sample: float = 0.0
    canary: float = 0.0
    request: float = 0.0
    restart: float = 0.0
    count: float = 0.0
    overrun: float = -OVERRUN_INTERVAL

    def due(self, name: str, interval: float, now: float) -> bool:
        """Whether it is time to do it again, and if so notes that it is done now."""
        if now - getattr(self, name) < interval:
            return False
        setattr(self, name, now)
        return True


Then = Callable[[], None]


class Queue:
    """Orders that wait for their turn, and what each does when it is carried out."""

    def __init__(self, door: Conntrackd) -> None:
        self.door = door
        self.waiting: deque[tuple[Order, Then | None]] = deque()
        self.counters: Mapping[str, int] = {}

    @property
    def busy(self) -> bool:
        """Whether there is an order that has not been carried out."""
        return bool(self.waiting)

    def give(self, order: Order, then: Then | None = None) -> None:
        """Add an order; `then` is called when it has been carried out."""
        self.waiting.append((order, then))

    def drop(self) -> None:
        """Forget the orders that wait; one that is being carried out goes on."""
        while len(self.waiting) > (1 if self.door.busy else 0):
            self.waiting.pop()

    def advance(self, now: float) -> None:
        """Take up how an order ended, and give the next one.

        Raises CommandFailed where it was refused or brought no answer; all others are dropped then.
        """
        if outcome := self.door.outcome(now):
            if outcome.problem:
                self.waiting.clear()
                raise CommandFailed(outcome.problem)
            self.counters = outcome.counters or self.counters
            _, then = self.waiting.popleft()
            if then:
                then()
        if self.waiting and not self.door.busy:
            self.door.give(self.waiting[0][0], now)


@dataclass
class Replicas:
    """What is known of the replication, in either direction.

    `generation` is conntrackd's process id, 0 where none runs. `planted` and `awaited`: a canary's
    number, and when it was planted here or announced by the peer. Numbers begin at the time of day,
    so that an agent that starts anew repeats none; they are `even` on one node and odd on the other,
    which knows the entries too. `asked` is when the peer was last asked for all entries, infinite until
    it is. `fresh`: a canary has arrived since conntrackd started that was planted after the peer was
    asked, so what it then sent is here too. `barrier`: the first canary after this node's steps.
    `dropped`: how many events had found no room.
    `overdue`: what the peer lost track of is still to be dropped. `missed`: the peer was silent for a
    while, in which conntrackd, whose link may have been down, told of nothing.
    """

    run_dir: RunDir
    even: bool = True
    generation: int = 0
    settled: Settled | None = None
    planted: dict[int, float] = field(default_factory=dict)
    awaited: dict[int, float] = field(default_factory=dict)
    number: int = 0
    seen: int = 0
    asked: float = 0.0
    barrier: int = 0
    dropped: int = 0
    fresh: bool = False
    lag_ms: float | None = None
    peers_generation: int = 0
    overdue: bool = False
    missed: bool = False
    owning: bool = False
    overrun: bool = False
    timers: Timers = field(default_factory=Timers)
    meant: Role | None = None

    def __post_init__(self) -> None:
        """Have a door to conntrackd, and numbers of its own."""
        self.orders = Queue(Conntrackd(self.run_dir))
        self.number = CANARY_STEP * int(system.wall()) + (not self.even)
        self.request, self.preparation = Request(int(system.wall())), Preparation()

    def forget(self) -> None:
        """Drop the canaries that are on their way."""
        self.planted.clear()
        self.awaited.clear()

    def expect(self, beat: Beat, role: Role, now: float) -> None:
        """Note the canary that the peer says it has planted."""
        if beat.role != Role.MASTER or role is Role.MASTER:
            self.awaited.clear()
        elif beat.canary > self.seen:
            self.awaited.setdefault(beat.canary, now)

    def plant(self, now: float) -> None:
        """Plant the next canary, when it is time. Raises ApplianceError."""
        if not self.timers.due("canary", CANARY_INTERVAL, now):
            return
        self.number += CANARY_STEP
        table.plant(self.number)
        self.planted[self.number] = now
        for old in [number for number in self.planted if number <= self.number - 30 * CANARY_STEP]:
            del self.planted[old]

    def look_out(self, now: float) -> None:
        """See which of the peer's canaries have arrived. Raises ApplianceError."""
        for number, since in sorted(self.awaited.items()):
            if table.planted(number):
                self.seen = number
                self.fresh = self.fresh or since >= self.asked + REQUEST_SPARE
                self.lag_ms = round((now - since) * 1000, 1)
                for older in [old for old in self.awaited if old <= number]:
                    del self.awaited[older]

    def follow(self, role: Role, peer: Beat | None, now: float) -> None:
        """Give the next order, and plant a canary or look out for the peer's. Raises ApplianceError."""
        self.orders.advance(now)
        if role is Role.MASTER:
            if self.preparation.begin(peer):
                self.orders.give(Order.TOUCH_KEPT_PORTS, self._prepared)
            self.plant(now)
        else:
            if self.request.due(peer, now):
                self.request.since = None
                self.orders.give(Order.REQUEST, self._requested)
            self.look_out(now)

    def _prepared(self) -> None:
        """Have the next canary, which is planted at once, show that all has arrived."""
        self.preparation.barrier, self.timers.canary = self.number + CANARY_STEP, 0.0

    def _requested(self) -> None:
        self.asked = system.monotonic()
        if self.meant:
            self._settled(self.meant)

    def waiting(self, seen: int | None, now: float) -> float:
        """Seconds for which the oldest canary is on its way: ours, where `seen` is the peer's last."""
        if seen is None:
            return now - min(self.awaited.values(), default=now)
        due = [then for number, then in self.planted.items() if number > seen]
        return now - min(due, default=now)

    def mend(self, waited: float, now: float) -> None:
        """Start conntrackd anew, for nothing has passed it for so many seconds; not too often."""
        if self.timers.due("restart", RESTART_INTERVAL, now):
            log.warning("replication is stuck for %.0f s: conntrackd is started anew", waited)
            programs.signal(self.run_dir, "conntrackd", "KILL")

    def changed(self, generation: int) -> bool:
        """Take note of conntrackd's process; True where it is another one, so that nothing holds."""
        if generation == self.generation:
            return False
        if self.generation and generation:
            log.warning("conntrackd runs anew, as process %d", generation)
        # What was awaited still is: a start that mends nothing must not look like a cure.
        self.generation, self.fresh = generation, False
        if generation:
            conntrackd.calm(generation)
        return True

    def settle(self, role: Role, now: float) -> None:
        """Have the steps taken that are due for this role; nobody waits for them."""
        # A request that waits is part of the steps of any role but the MASTER's.
        busy = self.orders.busy or self.request.since is not None
        if busy and self.meant and (self.meant is Role.MASTER) is (role is Role.MASTER):
            return
        due = steps.steps(self.settled, role, self.generation)
        if not due:
            return
        self.orders.drop()
        self.preparation = Preparation()
        self._note(None)
        self.meant, self.request.since, self.timers.request = role, None, now
        self.asked = math.inf if Order.REQUEST in due else 0.0
        *others, last = due
        for step in others:
            self.orders.give(step)
        if last is Order.REQUEST:
            self.request.ask(now)
        else:
            self.orders.give(last, lambda: self._settled(role))

    def _settled(self, role: Role) -> None:
        """Have the next canary, which is planted at once, show that what was ordered is done."""
        self._note(role)
        self.barrier, self.timers.canary = self.number + CANARY_STEP, 0.0

    def _note(self, role: Role | None) -> None:
        """Keep for the next agent what conntrackd was told: that it is being told, then that it was."""
        self.meant = None
        self.settled = Settled(role, self.generation)
        system.replace(self.run_dir.settled, f"{role or UNSETTLED} {self.generation}\n")

    def _request(self, now: float) -> None:
        """Ask the peer for all entries, once it has prepared that."""
        self.asked, self.timers.request, self.missed = math.inf, now, False
        self.request.ask(now)

    def settling(self, seen: int) -> bool:
        """Whether the peer, which saw this canary last, may lack what a MASTER's conntrackd told late."""
        return not self.settled or self.settled.role is not Role.MASTER or seen < self.barrier

    def heed(self, queues: Queues, role: Role, now: float) -> None:
        """Tell the peer of everything anew where events were lost of entries that are this node's."""
        lost, self.dropped = queues.dropped - self.dropped, queues.dropped
        owned, settled = self.owning, self.settled
        self.owning = role is Role.MASTER and settled is not None and settled.role is role
        # What was lost before it came to own its table, it has found there since.
        self.overrun = self.owning and (self.overrun or (owned and lost > 0))
        if not self.overrun or self.orders.busy:
            return
        if self.timers.due("overrun", OVERRUN_INTERVAL, now):
            log.warning("conntrackd was too slow for some flows: the peer is told of all anew")
            for order in (Order.OWN, Order.TOUCH_KEPT_PORTS, Order.ANNOUNCE):
                self.orders.give(order)
            self.overrun = False

    def imminent(self, now: float) -> bool:
        """Whether a canary was announced just now and is looked out for."""
        return bool(self.awaited) and now - max(self.awaited.values()) < CANARY_INTERVAL / 2

    def renew(self, peer: Beat, now: float, *, caught_up: bool, busy: bool = False) -> bool:
        """Ask again for entries that do not come, and drop those that the peer lost track of.

        `busy`: conntrackd is still taking in what came. True where all are dropped.
        """
        if self.orders.busy or self.request.since is not None:
            return False
        if self.peers_generation not in (0, peer.generation):
            # While it did not run, nobody told of the flows that ended.
            self.overdue, self.fresh = True, False
        self.peers_generation = peer.generation
        # Old replicas are better than none: they go only when new ones are known to arrive.
        if anew := self.overdue and self.fresh:
            log.warning("the peer's conntrackd runs anew: all replicas are fetched afresh")
            self.orders.give(Order.DISOWN)
            # What the peer tells first would be dropped with the rest.
            self.orders.give(Order.FLUSH, lambda: self._request(system.monotonic()))
            self.asked = math.inf
            self.overdue, self.fresh = False, False
        elif busy:
            self.timers.request = now  # one bulk update behind another takes twice as long
        elif (self.missed or not caught_up) and self.timers.due("request", REQUEST_INTERVAL, now):
            self._request(now)
        return anew

    def count(self, now: float) -> None:
        """Ask for conntrackd's counters, when it is time."""
        if (
            self.generation
            and not self.orders.busy
            and self.timers.due("count", COUNT_INTERVAL, now)
        ):
            self.orders.give(Order.COUNT)


def remembered(run_dir: RunDir, *, even: bool) -> Replicas:
    """What an earlier agent had settled with conntrackd; nothing where there was none."""
    words = (system.read(run_dir.settled) or "").split()
    if len(words) != 2:
        return Replicas(run_dir, even)
    role = None if words[0] == UNSETTLED else Role(words[0])
    return Replicas(run_dir, even, int(words[1]), Settled(role, int(words[1])))
