"""What happens to a pair in a lab, by one integer: faults one after the other, and now and then two at a time."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from appliance import ApplianceError
from vgw_lab.simulation.least import fewer

LENGTHS = (0.3, 1.0, 3.0, 6.0, 12.0)
TOGETHER = 0.25  # the share of faults that come while the one before is still on
WITHIN = 3.0  # seconds after the one before


@dataclass(frozen=True)
class Fault:
    """One thing that happens: what, to which gateway, and for how many seconds.

    `beside`: it comes so many seconds after the one before began; None where the pair is at rest first.
    """

    kind: str
    node: int
    seconds: float
    beside: float | None = None

    def __str__(self) -> str:
        words = [self.kind, str(self.node), f"{self.seconds:g}"]
        return ",".join([*words, f"{self.beside:g}"] if self.beside is not None else words)


Round = tuple[Fault, ...]


def faults(seed: int, number: int, kinds: Sequence[str]) -> tuple[Fault, ...]:
    """So many faults of these kinds. The integer stands for others once there are other kinds."""
    chance = Random(f"soak {seed}")
    return tuple(itertools.islice(_endless(chance, kinds), number))


def _endless(chance: Random, kinds: Sequence[str]) -> Iterator[Fault]:
    alone = False
    while True:
        together = alone and chance.random() < 2 * TOGETHER
        beside = round(chance.uniform(0.0, WITHIN), 1) if together else None
        yield Fault(chance.choice(kinds), chance.randrange(2), chance.choice(LENGTHS), beside)
        alone = not together


def rounds(faults: Sequence[Fault]) -> list[Round]:
    """Those that come together, together; what begins alone is alone."""
    found: list[list[Fault]] = []
    for fault in faults:
        if found and fault.beside is not None:
            found[-1].append(fault)
        else:
            found.append([replace(fault, beside=None)])
    return [tuple(one) for one in found]


def flat(rounds: Sequence[Round]) -> tuple[Fault, ...]:
    """All their faults, in their order."""
    return tuple(fault for one in rounds for fault in one)


def shorter(faults: Sequence[Fault]) -> Iterator[tuple[Fault, ...]]:
    """What to try instead, the greatest step first: the last round alone, fewer rounds, fewer at a time, shorter ones."""
    parts = rounds(faults)
    if len(parts) > 1:
        yield parts[-1]
    for some in fewer(parts):
        if some:
            yield flat(some)
    for index, part in enumerate(parts):
        for fewer_at_once in fewer(part) if len(part) > 1 else ():
            yield flat([*parts[:index], *rounds(fewer_at_once), *parts[index + 1 :]])
    for index, fault in enumerate(faults):
        for seconds in LENGTHS:
            if seconds < fault.seconds:
                yield (*faults[:index], replace(fault, seconds=seconds), *faults[index + 1 :])


def written(faults: Sequence[Fault]) -> str:
    """These faults as `read` takes them."""
    return ";".join(map(str, faults))


def read(text: str, kinds: Sequence[str]) -> tuple[Fault, ...]:
    """Faults as a person wrote them: KIND,NODE,SECONDS[,BESIDE];…  Raises ApplianceError naming what is wrong."""
    return tuple(_fault(part.strip(), kinds) for part in text.split(";") if part.strip())


def _fault(text: str, kinds: Sequence[str]) -> Fault:
    kind, *rest = text.split(",")
    if kind not in kinds:
        raise ApplianceError(f"--replay: '{kind}' is no fault here; there are {', '.join(kinds)}")
    try:
        node, seconds, *beside = map(float, rest)
        if node not in (0, 1) or seconds < 0 or len(beside) > 1:
            raise ValueError
    except ValueError:
        raise ApplianceError(
            f"--replay: '{text}' is no fault; write KIND,NODE,SECONDS or KIND,NODE,SECONDS,BESIDE, NODE being 0 or 1"
        ) from None
    return Fault(kind, int(node), seconds, *beside)
