"""What waits at a socket, within a bound: who sends without an end must not keep the agent from all else."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

# More than a socket's usual buffer holds; what comes meanwhile is there the next time.
MOST_AT_ONCE = 500

Packet = TypeVar("Packet")


def waiting(receive: Callable[[], Packet]) -> Iterator[Packet]:
    """What a socket that does not block gives, one packet after the other, until it raises OSError or that is enough."""
    with contextlib.suppress(OSError):
        for _ in range(MOST_AT_ONCE):
            yield receive()
