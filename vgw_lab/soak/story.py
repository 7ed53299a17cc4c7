"""A soak as a person reads it: what broke, the least that does it again, and the line that does."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from vgw_lab.soak import grammar
from vgw_lab.soak.kinds import KINDS
from vgw_lab.soak.soak import Broken, Outcome
from vgw_lab.worlds.running import Lab


def written(lab: Lab, broken: Broken) -> str:
    """The faults in their order, how it ends, and the line that tells it again."""
    names = [spec.name for spec in lab.topology.gateways]
    lines = []
    for one in grammar.rounds(broken.faults):
        for fault in one:
            kind = KINDS[fault.kind]
            lasts = f", for {fault.seconds:g} s" if kind.end else ""
            begins = "then" if fault.beside is None else f"  {fault.beside:g} s later"
            lines.append(f"{begins:>14}  {kind.sentence.format(node=names[fault.node])}{lasts}")
    violation = broken.violation
    lines += [f"BROKEN: {violation.kind}: {violation.sentence}", f"Again: {replay(lab, broken)}"]
    return "\n".join(lines)


def replay(lab: Lab, broken: Broken) -> str:
    """The line that has the same faults again."""
    engine = f" --engine {lab.engine}"
    profile = f" --profile {lab.topology.vgw.profile}"
    words = shlex.quote(grammar.written(broken.faults))
    return f"vgw lab{engine} soak{profile} --replay {words}"


def summary(outcome: Outcome, seed: int | None, seconds: float) -> Iterator[str]:
    """How often what broke, and what all of it was."""
    for kind, times in Counter(one.violation.kind for one in outcome.broken).most_common():
        yield f"{times} times: {kind}"
    said = "" if seed is None else f", seed {seed}"
    yield f"{outcome.faults} faults in {seconds:.0f} s{said}: {len(outcome.broken)} violations"


def kinds(faults: Sequence[grammar.Fault]) -> str:
    """How many of each kind."""
    return ", ".join(f"{n} {kind}" for kind, n in Counter(one.kind for one in faults).most_common())
