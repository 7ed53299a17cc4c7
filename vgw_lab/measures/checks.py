"""What a drill checks besides its figures: what the nodes tell, and when."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.status.node_status import PairStatus
from vgw_lab import WATCH_SECONDS
from vgw_lab.worlds.running import Lab
from vgw_lab.worlds.world import wait_until

_EVERY_SECONDS = 0.1


@dataclass
class Findings:
    """What checks came to: what was broken, a sentence each, and when what was so, in seconds.

    `watch` is for how many seconds a drill looks on that waits for what comes late.
    """

    watch: float = WATCH_SECONDS
    broken: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def within(self, seconds: float, what: str, condition: Callable[[], object]) -> None:
        """Note after how many seconds something came true, or that it did not in time."""
        began = time.monotonic()
        if wait_until(lambda: bool(condition()), seconds, every=_EVERY_SECONDS):
            self.figures[what] = round(time.monotonic() - began, 1)
        else:
            self.broken.append(f"not within {seconds:g} s: {what}")

    def require(self, holds: object, sentence: str) -> None:
        """Note a sentence as broken unless it holds."""
        if not holds:
            self.broken.append(sentence)


def tells(lab: Lab, node: str, what: Callable[[PairStatus], object]) -> bool:
    """Whether this is so of the pair, by what a node tells of it; no while it tells nothing."""
    told = lab.status(node)
    return told is not None and bool(what(told.pair))


def degraded(lab: Lab, node: str) -> bool:
    """Whether a node tells that a takeover could lose flows."""
    return tells(lab, node, lambda pair: pair.degraded)


def replicating(lab: Lab) -> bool:
    """Whether both nodes tell of all the other's flows, and the standby could follow at once."""
    told = [lab.status(spec.name) for spec in lab.topology.gateways]
    return all(one and one.ready and not one.pair.degraded for one in told)


def roles(lab: Lab) -> tuple[str, ...]:
    """The gateways' roles in their own words, the one of higher priority first."""
    return tuple(lab.role(spec.name) for spec in lab.topology.gateways)
