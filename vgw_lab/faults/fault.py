"""What a fault is: data. How it is injected and put right, what it may cost, and what must be told."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Literal

from vgw_lab.measures.checks import Findings
from vgw_lab.worlds.running import HEALTHY_SECONDS, Lab

Order = Callable[[Lab, str], None]
Check = Callable[[Lab, str, Findings], None]
Scene = Callable[[Lab, str], AbstractContextManager[None]]


def nothing(lab: Lab, node: str) -> None:
    """The node mends itself."""


def unchecked(lab: Lab, node: str, found: Findings) -> None:
    """There is no more to check than what holds for every fault."""


def possible(lab: Lab) -> str | None:
    """Any lab can have it."""
    return None


@contextmanager
def quiet(lab: Lab, node: str) -> Iterator[None]:
    """Nothing else goes on meanwhile."""
    yield


@dataclass(frozen=True)
class Fault:
    """One way to fail, injected into the MASTER. Times in seconds.

    `rows`: what it shows of the failure matrix. `announced`: the node can still say that it leaves.
    `moves`: the standby has to take over, must not, or (None) may do either. `unplugs`: all of the
    node's ports go down with it. `cuts`: no traffic can pass while it lasts, whoever is MASTER.
    `gap`: the longest that the probe may meet, if not what the profile promises; `back`: the same once
    the fault is put right. `turns`: how often the VGW may change hands in all. `flows`: it shows
    nothing without flows, so at least so much of the usual ones is kept open. `scene`: what goes on
    around it, from before the fault until all is well again. `during` and `after` check what only
    this fault is about. `lacks`: why a lab cannot have it. `known`: what it is known to break, by the
    kind of violation, each with the reason.
    """

    name: str
    what: str
    kind: Literal["silent", "announced"]
    inject: Order
    mend: Order
    rows: tuple[int, ...] = ()
    moves: bool | None = True
    unplugs: bool = False
    cuts: bool = False
    gap: float | None = None
    back: float | None = None
    turns: int = 2
    flows: float = 0.0
    scene: Scene = quiet
    during: Check = unchecked
    after: Check = unchecked
    lacks: Callable[[Lab], str | None] = possible
    known: Mapping[str, str] = field(default_factory=dict)
    healthy: float = HEALTHY_SECONDS
