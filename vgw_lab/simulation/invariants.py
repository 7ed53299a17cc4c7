"""What must be so at every moment of every history, whatever happened."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance.pair.replication_state import Account
from vgw_lab.simulation.node import Node
from vgw_lab.simulation.truths import (
    NEWEST,
    could_serve,
    hear_each_other,
    hears_of,
    is_plain,
    lacks,
    leading,
    names_it,
    promise,
    tells_of_lack,
    would_serve,
)
from vgw_lab.simulation.world import World

TWO = 3.0  # seconds for which two nodes may hold the VGW while they hear each other
SILENT_OUTAGE = 3.0  # seconds without service that nobody names
HEARING_AGAIN = 12.0  # and where keepalived was deaf: it reads its file again, or is started anew
NOTICED = 4.0  # seconds in which a MASTER that cannot serve has let go
ALONE = 6.0  # seconds after which a node whose peer is dead is ready
HEARD = 0.5  # seconds in which a node that can hear again has heard an advert or a beat
TOLD = 6.0  # seconds after which replicas that lack are told of
FLAPS, FLAP_SECONDS = 6, 4.0  # a node's tracked files change at most so often in so many seconds
ANSWERS = 3  # or so often for each time at which a fault began or ended meanwhile
UNFORESEEN = "a fault of VGW"  # what a bulkhead says of an error that nobody foresaw
LOOK_AGAIN = 0.5  # seconds between two looks while nothing happens


@dataclass
class Since:
    """For how long something has been so."""

    began: float | None = None

    def seconds(self, so: bool, now: float) -> float:
        """Seconds; 0 where it is not."""
        if not so:
            self.began = None
            return 0.0
        self.began = now if self.began is None else self.began
        return now - self.began


@dataclass
class Invariants:
    """All of them, with what has to be remembered to tell for how long."""

    world: World
    two: Since = field(default_factory=Since)
    nobody: tuple[Since, Since] = field(default_factory=lambda: (Since(), Since()))
    silent: Since = field(default_factory=Since)
    lacking: Since = field(default_factory=Since)
    audible: tuple[Since, Since] = field(default_factory=lambda: (Since(), Since()))
    unserved: tuple[Since, Since] = field(default_factory=lambda: (Since(), Since()))
    unready: tuple[Since, Since] = field(default_factory=lambda: (Since(), Since()))
    flaps: tuple[deque[float], deque[float]] = field(default_factory=lambda: (deque(), deque()))
    changes: list[int] = field(default_factory=lambda: [0, 0])
    ready: list[bool] = field(default_factory=lambda: [False, False])
    seen: tuple[int, float] = (-1, 0.0)

    def broken(self) -> tuple[str, str] | None:
        """The first invariant that does not hold now, and how; None where all do."""
        world, now = self.world, self.world.timeline.now
        if world.wrong:
            return world.wrong[0]
        version, looked = self.seen
        if version == world.version and now < looked + LOOK_AGAIN:
            return None
        self.seen = (world.version, now)
        return next(self._all(now), None)

    def _all(self, now: float) -> Iterator[tuple[str, str]]:
        yield from self._two_holders(now)
        yield from self._nobody(now)
        served = any(map(self.world.serves, self.world.nodes))
        yield from self._silent_outage(now, served=served)
        yield from self._replicas(now)
        for node in self.world.nodes:
            yield from self._unserved(node, now, served=served)
            yield from self._alone(node, now)
            yield from self._flapping(node, now)
            yield from self._sane(node)

    def _two_holders(self, now: float) -> Iterator[tuple[str, str]]:
        nodes = self.world.nodes
        both = all(node.answers and node.kernel.ruleset for node in nodes)
        seconds = self.two.seconds(both and hear_each_other(self.world), now)
        if seconds > TWO:
            yield "two holders", f"both nodes have held the VGW for {seconds:.1f} s"

    def _nobody(self, now: float) -> Iterator[tuple[str, str]]:
        nodes = self.world.nodes
        held = any(node.holds for node in nodes)
        for node in nodes:
            able = not held and could_serve(node) and node.files.ready
            seconds = self.nobody[node.index].seconds(able, now)
            if seconds > promise(self.world.kind) + (
                HEARING_AGAIN if node.keepalived.deaf else 0.0
            ):
                yield (
                    "nobody holds",
                    (
                        f"nobody holds the VGW, though {node.name} could for {seconds:.1f} s and is ready"
                    ),
                )

    def _unserved(self, node: Node, now: float, *, served: bool) -> Iterator[tuple[str, str]]:
        """Nobody serves, and a node that is ready and has all it needs would, were it let."""
        world = self.world
        seconds = self.unserved[node.index].seconds(not served and would_serve(world, node), now)
        if seconds > promise(world.kind) + NOTICED and not is_plain(world.kind):
            yield (
                "nobody serves",
                f"nobody serves, though {node.name} could for {seconds:.1f} s and is ready",
            )

    def _alone(self, node: Node, now: float) -> Iterator[tuple[str, str]]:
        """A node that is whole becomes ready where its peer is dead."""
        whole = could_serve(node) and self.world.networks.answers[node.index]
        so = whole and not node.peer.powered and not node.files.ready
        seconds = self.unready[node.index].seconds(so, now)
        if seconds > ALONE:
            yield (
                "alone and not ready",
                f"{node.name} is whole and alone, and not ready for {seconds:.1f} s",
            )

    def _silent_outage(self, now: float, *, served: bool) -> Iterator[tuple[str, str]]:
        """I9: whenever machines get no answer while the internet answers, a node says so and why."""
        world, networks = self.world, self.world.networks
        out = not served and any(
            node.powered and networks.answers[node.index] and networks.machines[node.index]
            for node in world.nodes
        )
        silent = out and not any(names_it(node) for node in world.nodes if node.powered)
        seconds = self.silent.seconds(silent, now)
        if seconds > max(SILENT_OUTAGE, promise(world.kind)):
            yield (
                "silent outage",
                f"no machine has had an answer for {seconds:.1f} s, and no node says why",
            )

    def _replicas(self, now: float) -> Iterator[tuple[str, str]]:
        world = self.world
        audible = [
            since.seconds(hears_of(world, node), now) > HEARD
            for since, node in zip(self.audible, world.nodes, strict=True)
        ]
        master, standby = leading(world)
        if master is None or standby is None or is_plain(world.kind):
            self.lacking.seconds(False, now)
            self.ready = [node.files.ready for node in world.nodes]
            return
        was, self.ready = self.ready, [node.files.ready for node in world.nodes]
        emptied = now - world.times.emptied[standby.index] < NEWEST + TOLD
        lack = lacks(master, standby, now, emptied=emptied)
        untold = bool(lack) and not tells_of_lack(master, standby)
        seconds = self.lacking.seconds(untold, now)
        became = self.ready[standby.index] and not was[standby.index]
        if untold and not emptied and became and audible[standby.index]:
            yield (
                "ready without replicas",
                (
                    f"{standby.name} became ready, and {sum(flow.weight for flow in lack)} entries lack"
                ),
            )
        if seconds > TOLD:
            yield (
                "lack untold",
                (
                    f"{standby.name} lacks {sum(flow.weight for flow in lack)} of {master.kernel.table.weight} "
                    f"entries for {seconds:.1f} s, and nobody says so"
                ),
            )

    def _flapping(self, node: Node, now: float) -> Iterator[tuple[str, str]]:
        index, times = node.index, self.flaps[node.index]
        if node.files.changes != self.changes[index]:
            times.extend([now] * (node.files.changes - self.changes[index]))
            self.changes[index] = node.files.changes
        while times and now - times[0] > FLAP_SECONDS:
            times.popleft()
        faults = sum(now - then <= FLAP_SECONDS for then in self.world.times.disturbed)
        if len(times) > max(FLAPS, ANSWERS * faults):
            yield (
                "flapping",
                f"{node.name}'s tracked files changed {len(times)} times in {FLAP_SECONDS:g} s",
            )

    def unsettled(self) -> str:
        """What is not yet as it should be, long after all faults are over; empty where all is."""
        nodes = self.world.nodes
        holders = [node.name for node in nodes if node.holds]
        if len(holders) != 1:
            return f"{' and '.join(holders) or 'nobody'} holds the VGW"
        for node in nodes:
            if not node.powered:
                return f"{node.name} has ended itself"
        master, standby = leading(self.world)
        if not (master and standby):
            return "the agents do not know who is MASTER"
        memory = master.life.agent.pair.memory if master.life.agent else None
        # It announces everything at most each 30 s, and says so until then.
        if memory and memory.degraded and memory.replication.account is not Account.SHORT:
            return f"the MASTER says: {memory.degraded}"
        if not standby.files.ready and standby.life.agent:
            return f"{standby.name} is not ready: {standby.life.agent.pair.memory.verdict.reason}"
        return ""

    def _sane(self, node: Node) -> Iterator[tuple[str, str]]:
        """No age that a node believes in is below zero."""
        if not node.life.agent:
            return
        pair = node.life.agent.pair
        for problem in pair.bulkheads.problems:
            if UNFORESEEN in problem:
                yield "no exception", f"{node.name}: {problem}"
        memory, peer, now = pair.memory, pair.ears.peer, node.clock.monotonic()
        ages = (
            ("waited", memory.waited),
            ("lag_ms", memory.replication.canaries.lag_ms),
            ("peer's quiet", peer.quiet(now)),
            ("peer's still", peer.still(now)),
        )
        for name, age in ages:
            if age and age < 0:
                yield "negative age", f"{node.name} believes in {name} of {age:.3f}"
