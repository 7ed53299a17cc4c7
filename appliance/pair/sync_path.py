"""How long a packet the sync link carries: each node tells the other the longest that came. Pure.

conntrackd fills packets up to its interface's MTU. Where what lies between the nodes carries less, new flows still arrive one by
one, and what brings many at once stops for ever.
"""

import math
from dataclasses import dataclass

STRETCH = 5.0  # seconds between two tries with long packets
WINDOW = 6.0  # seconds; in each at least one try should come


@dataclass(frozen=True)
class Tries:
    """When the last try with long packets was, and the longest of the last two, in bytes."""

    at: float = -math.inf
    longest: tuple[int, int] = (0, 0)

    def due(self, now: float) -> bool:
        """Whether the next may be made."""
        return now - self.at >= STRETCH

    def after(self, now: float, longest: int) -> "Tries":
        """With one more."""
        return Tries(now, (self.longest[1], longest))

    @property
    def wide(self) -> int:
        """What surely went out; 0 where nobody can say, as of an interface that has just changed."""
        return min(self.longest)


@dataclass
class Widest:
    """The longest packet that came in this window and in the one before; in bytes, headers included."""

    began: float | None = None
    here: int = 0
    before: int = 0
    windows: int = 0

    def take(self, length: int, now: float) -> None:
        """Take note of one that came."""
        if self.began is None or now - self.began >= 2 * WINDOW:
            self.began, self.here, self.before, self.windows = now, 0, 0, 0
        elif now - self.began >= WINDOW:
            self.began, self.before, self.here = now, self.here, 0
            self.windows += 1
        self.here = max(self.here, length)

    @property
    def told(self) -> int:
        """The longest; 0 while nobody can say, for no two windows have passed."""
        return max(self.here, self.before) if self.windows >= 2 else 0


def narrow(wide: int, hears: int, peer: str) -> str:
    """What is wrong with the sync link in a sentence; empty where nothing is, or nobody can say.

    `wide` is the longest packet that was sent, `hears` the longest that arrived, in bytes.
    """
    if not 0 < hears < wide:
        return ""
    return (
        f"the sync link carries packets of {hears} bytes to {peer}, and not those of {wide} that its interface "
        f"sends: what brings many flows at once stops on the way; `ip link set dev INTERFACE mtu {hears}` on both nodes, "
        "or mend what lies between them"
    )
