"""A history as a person reads it, and the line that tells it again."""

from vgw_lab.simulation.histories import History, Violation, tell

PROGRAM = "python -m vgw_lab.simulation"


def written(history: History) -> str:
    """What happened, what each node believed, and which invariant broke."""
    lines = [f"A pair of kind {history.kind}, seed {history.seed}:"]
    violation = tell(history, lambda now, sentence: lines.append(f"{now:8.3f} s  {sentence}"))
    return "\n".join([*lines, ending(violation), f"Again: {replay(history)}"])


def ending(violation: Violation | None) -> str:
    """How it ends."""
    if violation is None:
        return "Every invariant holds."
    return f"BROKEN after {violation.at:.3f} s: {violation.invariant}: {violation.sentence}"


def replay(history: History) -> str:
    """The line that tells this history again."""
    whole = History.of(history.seed)
    if history == whole:
        return f"{PROGRAM} --replay {history.seed}"
    faults = ";".join(
        f"{fault.at:g},{fault.kind},{fault.node},{fault.seconds:g}" for fault in history.faults
    )
    return f"{PROGRAM} --replay {history.seed} --pair {history.kind} --faults '{faults}'"
