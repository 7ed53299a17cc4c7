"""A hundred flows that speak often, half of them TCP and half UDP, and when each was answered."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from appliance import CommandFailed
from vgw_lab.instruments.flows import BIN_SECONDS
from vgw_lab.worlds.running import Lab

_MODES = ("client", "udp")
_FLOWS = 50  # of each mode
_BEFORE_SECONDS = 0.5


@dataclass
class Beat:
    """The flows that beat, and by bin of the monotonic clock how many of them were answered."""

    flows: int = 0
    answered: dict[int, int] = field(default_factory=dict)

    def since(self, moment: float, seconds: float) -> dict[float, int]:
        """The same by seconds since a moment, without holes, from a little before it to so much later."""
        if not self.flows:
            return {}
        first, last = (int((moment + at) / BIN_SECONDS) for at in (-_BEFORE_SECONDS, seconds))
        return {
            round(number * BIN_SECONDS - moment, 3): self.answered.get(number, 0)
            for number in range(first, last)
        }


@contextmanager
def beating(lab: Lab, wanted: bool) -> Iterator[Beat]:
    """Watch such flows for a while, where they are wanted; filled in at the end."""
    beat = Beat()
    if not wanted:
        yield beat
        return
    words = ["--pulse"]
    for mode in _MODES:
        words += ["--flows", mode, mode, str(_FLOWS), "0"]
    child = lab.node(lab.topology.machines[-1].name).instrument("flows", words)
    assert child.stdout is not None
    try:
        word, _, number = child.stdout.readline().partition(" ")
        if word != "flowing":
            raise CommandFailed("the pulse did not start; what its machine said stands above")
        beat.flows = int(number)
        yield beat
    finally:
        printed, _ = child.communicate()
    beat.answered = {int(number): count for number, count in json.loads(printed).items()}
