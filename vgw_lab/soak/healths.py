"""What `vgw health` says on both nodes, looked at all the while, as a line of words over time."""

import contextlib
import threading
import time
from collections.abc import Iterator

from appliance.status import status_file
from appliance.status.health import sickness
from vgw_lab.soak.silence import Word
from vgw_lab.worlds.running import Lab

_EVERY_SECONDS = 0.2


def said(lab: Lab, node: str) -> str | None:
    """What `vgw health` would say is wrong; empty where nothing is, None where the node cannot be asked or only starts.

    The judgement is the command's own; the command itself, twice a second, would be a load of its own.
    """
    told = lab.status(node)
    return None if told is None else sickness(told, status_file.moment()) or ""


class Healths:
    """Who asks both nodes, by a thread of its own; `words` are the changes of what they say."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.words: list[Word] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def begin(self) -> None:
        """Ask once, and then again and again."""
        self.look()
        self._thread.start()

    def end(self) -> None:
        """Ask no more."""
        self._over.set()
        self._thread.join()

    def look(self) -> None:
        """Ask both, and note what is new."""
        for spec in self.lab.topology.gateways:
            word = Word(time.monotonic(), spec.name, said(self.lab, spec.name))
            former = [one.said for one in self.words if one.node == spec.name][-1:]
            if former != [word.said]:
                self.words.append(word)

    def _look_on(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            self.look()


@contextlib.contextmanager
def asking(lab: Lab) -> Iterator[Healths]:
    """Ask while the block runs."""
    healths = Healths(lab)
    healths.begin()
    try:
        yield healths
    finally:
        healths.end()
