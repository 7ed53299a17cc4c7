"""The door to the end of flows: begun once the rules are in force, and asked from time to time whether it is over."""

import json
import sys
from typing import NamedTuple

from appliance import ApplianceError, system
from appliance.conntrack import end_flows
from appliance.conntrack.passing import Lack, Passing

END_SECONDS = 30.0  # for the whole of a large table


class Ended(NamedTuple):
    """How many flows ended, by why; or the problem for which nobody can tell."""

    flows: dict[str, int]
    problem: str = ""

    @property
    def sentence(self) -> str:
        """What to tell of it; empty where no flow was concerned."""
        if self.problem:
            return f"flows that the file no longer allows may go on: {self.problem}"
        if not (total := sum(self.flows.values())):
            return ""
        kinds = ", ".join(f"{number} {why}" for why, number in self.flows.items() if number)
        flows = "flow" if total == 1 else "flows"
        return f"{total} {flows} ended that the file no longer allows: {kinds}"


class FlowEnd:
    """One process that ends flows; nobody waits for it."""

    def __init__(self) -> None:
        self._child: system.Child | None = None
        self._since = 0.0

    def begin(self, former: Passing, now: Passing, at: float) -> None:
        """Begin. Raises ApplianceError where that cannot be."""
        argv = [sys.executable, "-m", end_flows.__name__]
        self._child, self._since = system.child(argv, end_flows.words(former, now)), at

    def is_over(self, at: float) -> bool:
        """Whether there is an outcome to take."""
        return self._child is not None and (self._child.ended() or at - self._since > END_SECONDS)

    def outcome(self, at: float) -> Ended | None:
        """What came of it; None as long as that is not known, or where none was begun."""
        if self._child is None or not self.is_over(at):
            return None
        child, self._child = self._child, None
        if not child.ended():
            child.end()
            return Ended({}, f"the connection table was not read within {END_SECONDS:.0f} s")
        result = child.result()
        if result.returncode:
            return Ended({}, result.output or f"exit code {result.returncode}")
        return _read(result.stdout)


def _read(said: str) -> Ended:
    try:
        counts = json.loads(said)
        return Ended({str(why): int(counts.get(why, 0)) for why in Lack})
    except (ValueError, AttributeError) as error:
        raise ApplianceError(f"what ends flows said {said[:80]!r}: {error}") from None
