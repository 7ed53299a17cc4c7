"""A history: what happens to a pair in a simulated minute, by one integer; and how it is told."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random

from vgw_lab.simulation import pairs
from vgw_lab.simulation.faults import JUMPS, KINDS, LIES, Fault, inject
from vgw_lab.simulation.invariants import Invariants
from vgw_lab.simulation.world import World

MINUTE = 60.0
FIRST, LAST, OVER = (
    7.0,
    44.0,
    48.0,
)  # seconds: no fault before the pair has settled, and time to mend after them
MOST = 5  # faults in one history
LENGTHS = (0.3, 0.8, 1.5, 3.0, 6.0, 12.0, 20.0)

SAME = 0.5  # seconds by which the same may be believed earlier or later: one beat more is said

Listener = Callable[[float, str], None]


@dataclass(frozen=True)
class History:
    """A kind of pair, the integer that chance comes from, and what happens."""

    kind: str
    seed: int
    faults: tuple[Fault, ...]

    @classmethod
    def of(cls, seed: int) -> "History":
        """The history of this integer."""
        chance = Random(f"history {seed}")
        kind = chance.choices(tuple(pairs.KINDS), weights=(6, 2, 1, 2, 2))[0]
        faults = [_fault(chance) for _ in range(chance.randint(1, MOST))]
        return cls(kind, seed, tuple(sorted(faults, key=lambda fault: fault.at)))


@dataclass(frozen=True)
class Violation:
    """Which invariant broke, when, and how."""

    invariant: str
    at: float
    sentence: str


def _fault(chance: Random) -> Fault:
    kind = chance.choice(tuple(KINDS))
    at = round(chance.uniform(FIRST, LAST), 2)
    seconds = min(chance.choice(LENGTHS), round(OVER - at, 2)) if KINDS[kind].end else 0.0
    return Fault(at, kind, chance.randrange(2), seconds)


def tell(history: History, *listeners: Listener) -> Violation | None:
    """Live through it, and stop at the first invariant that breaks."""
    violation, trail = _live(history, listeners)
    kinds = {fault.kind for fault in history.faults}
    # Whoever forges a beat makes it of what was said, and that may be another number.
    if violation or not kinds & JUMPS or kinds & LIES:
        return violation
    _, other = _live(history, (), clocks_jump=False)
    return _difference(trail, other)


Trail = list[tuple[float, str, str]]


def _live(
    history: History, listeners: Sequence[Listener], *, clocks_jump: bool = True
) -> tuple[Violation | None, Trail]:
    world = World(history.kind, history.seed, clocks_jump=clocks_jump)
    world.listeners += listeners
    for fault in history.faults:
        inject(world, fault)
    world.begin()
    watcher = _Watcher(
        world, keeps=bool(listeners) or any(one.kind in JUMPS for one in history.faults)
    )
    try:
        with _silent():
            world.timeline.run(MINUTE, watcher.look)
        watcher.end()
    except _Broken as broken:
        return broken.violation, watcher.trail
    except Exception as error:  # noqa: BLE001 - whatever it is, it would have ended an agent
        sentence = f"{type(error).__name__}: {error} ({_place(error)})"
        return Violation("no exception", world.timeline.now, sentence), watcher.trail
    return None, watcher.trail


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return (
        f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        if trace
        else "?"
    )


class _Broken(Exception):
    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.sentence)
        self.violation = violation


class _Watcher:
    """Looks at the world after each step: do the invariants hold, and what does each node believe?"""

    def __init__(self, world: World, *, keeps: bool) -> None:
        self.world, self.keeps = world, keeps
        self.invariants = Invariants(world)
        self.believed = ["", ""]
        self.trail: Trail = []

    def look(self) -> None:
        """After a step."""
        if self.keeps:
            self._note()
        if broken := self.invariants.broken():
            raise _Broken(Violation(broken[0], self.world.timeline.now, broken[1]))

    def end(self) -> None:
        """All is mended for long: just one node holds the VGW, and the other stands by or says why not."""
        if problem := self.invariants.unsettled():
            raise _Broken(Violation("settled in the end", self.world.timeline.now, problem))

    def _note(self) -> None:
        for node in self.world.nodes:
            belief = node.belief()
            if belief != self.believed[node.index]:
                self.believed[node.index] = belief
                self.trail.append((self.world.timeline.now, node.name, belief))
                self.world.tell(f"{node.name} believes: {belief}")


def _difference(trail: Trail, other: Trail) -> Violation | None:
    """Where the same history went another way because a clock on the wall was set."""
    for name in pairs.NAMES:
        ours, theirs = (_beliefs(each, name) for each in (trail, other))
        for with_jump, without in zip(ours, theirs, strict=False):
            if with_jump[1] != without[1] or abs(with_jump[0] - without[0]) > SAME:
                sentence = (
                    f"with the clock set, {name} believes at {with_jump[0]:.2f} s: {with_jump[1]}; "
                    f"without, at {without[0]:.2f} s: {without[1]}"
                )
                return Violation("a clock decides", with_jump[0], sentence)
        if len(ours) != len(theirs):
            return Violation(
                "a clock decides", MINUTE, f"with the clock set, {name} believes more or less"
            )
    return None


def _beliefs(trail: Trail, name: str) -> list[tuple[float, str]]:
    """What a node came to believe, and when, without numbers: a moment later there are other flows."""
    found: list[tuple[float, str]] = []
    for at, who, belief in trail:
        words = re.sub(r"\d+", "some", belief)
        if who == name and (not found or found[-1][1] != words):
            found.append((at, words))
    return found


def shortened(history: History, faults: Sequence[Fault]) -> History:
    """The same with other faults."""
    return replace(history, faults=tuple(sorted(faults, key=lambda fault: fault.at)))


@contextmanager
def _silent() -> Iterator[None]:
    """What a simulated agent logs is in no log."""
    log, level = logging.getLogger("vgw"), logging.getLogger("vgw").level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
