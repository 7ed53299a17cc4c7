"""A soak: rounds of faults in labs of its own; what breaks is told again until the least is found that still does."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from appliance import ApplianceError
from vgw_lab.measures.invariants import Violation
from vgw_lab.simulation.least import least
from vgw_lab.soak import grammar
from vgw_lab.soak.grammar import Fault
from vgw_lab.soak.round import live
from vgw_lab.worlds.running import Lab

Say = Callable[[str], None]
Make = Callable[[], Lab]


@dataclass(frozen=True)
class Broken:
    """Faults that break an invariant, and how."""

    faults: tuple[Fault, ...]
    violation: Violation


@dataclass
class Outcome:
    """What a soak came to: faults lived through, and what broke."""

    faults: int = 0
    broken: list[Broken] = field(default_factory=list)


class Bounded:
    """Runs faults in labs, until a moment: no round begins after it."""

    def __init__(self, make: Make, end: float, say: Say) -> None:
        self.make, self.end, self.say = make, end, say

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.end

    def soak(self, faults: Sequence[Fault]) -> Outcome:
        """Live through all of them; where something broke, the rest goes on in another lab."""
        outcome, left = Outcome(), grammar.rounds(faults)
        while left and not self.over:
            done = self._in_one_lab(left)
            outcome.faults += sum(map(len, left[: done.rounds]))
            outcome.broken += done.broken
            left = left[done.rounds :]
        return outcome

    def breaks(self, faults: Sequence[Fault], kind: str) -> Broken | None:
        """How these break an invariant of a kind, if they do, in a lab of their own."""
        if self.over:
            return None
        done = self._in_one_lab(grammar.rounds(faults))
        found = [one for one in done.broken if one.violation.kind == kind]
        return found[0] if found else None

    def shortest(self, broken: Broken, tries: int) -> Broken:
        """The least of its faults that still breaks the same."""
        tried = {broken.faults}

        def breaks(faults: tuple[Fault, ...]) -> Broken | None:
            if faults in tried:
                return None
            tried.add(faults)
            self.say(f"again, with {grammar.written(faults)}")
            return self.breaks(faults, broken.violation.kind)

        # What was seen in a lab that had lived through much is first told from the last round on.
        faults, found = least(broken.faults, broken, grammar.shorter, breaks, tries)
        return Broken(faults, found.violation)

    def _in_one_lab(self, parts: Sequence[grammar.Round]) -> "Stretch":
        stretch = Stretch()
        with running(self.make) as lab:
            for part in parts:
                if self.over:
                    break
                stretch.rounds += 1
                violations = self._round(lab, part)
                if violations:
                    faults = grammar.flat(parts[: stretch.rounds])
                    stretch.broken = [Broken(faults, one) for one in violations]
                    break
        return stretch

    def _round(self, lab: Lab, part: grammar.Round) -> list[Violation]:
        began = time.monotonic()
        self.say(f"— {grammar.written(part)}")

        def say(sentence: str) -> None:
            self.say(f"{time.monotonic() - began:8.3f} s  {sentence}")

        try:
            violations = live(lab, part, say)
        except ApplianceError as error:
            violations = [Violation("cannot go on", str(error))]
        for one in violations:
            self.say(f"BROKEN: {one.kind}: {one.sentence}")
        return violations


@dataclass
class Stretch:
    """What was lived through in one lab: how many rounds, and what broke in the last."""

    rounds: int = 0
    broken: list[Broken] = field(default_factory=list)


@contextlib.contextmanager
def running(make: Make) -> Iterator[Lab]:
    """A lab that is well; it is ended, whatever happens. Raises ApplianceError where it does not become so."""
    lab = make()
    try:
        lab.start(tied=True)
        lab.wait_healthy()
        yield lab
    finally:
        lab.end()


def first_of_each(broken: Sequence[Broken]) -> list[Broken]:
    """The first of each kind of violation."""
    first: dict[str, Broken] = {}
    for one in broken:
        first.setdefault(one.violation.kind, one)
    return list(first.values())
