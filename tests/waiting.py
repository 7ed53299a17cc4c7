"""Waiting for what must come true. A deadline here bounds a hang; a bound on time is a test's own to judge."""

import time
from collections.abc import Callable

# Past all that a busy machine takes.
PATIENCE = 60.0
LOOK_SECONDS = 0.05


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether a condition came true before the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def waited(
    condition: Callable[[], object],
    seconds: float = PATIENCE,
    *,
    every: float = LOOK_SECONDS,
    told: Callable[[], object] = str,
) -> float:
    """How many seconds it took until a condition was true; fails at the deadline, with what `told` returns."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not so after {seconds:g} s: {told()}"
        time.sleep(every)
    return time.monotonic() - began
