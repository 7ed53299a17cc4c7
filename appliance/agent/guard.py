"""What the agent watches: the ruleset, what others do, who answers for the VGW, and whether it can do its own part."""

from appliance.agent.answers import Answers
from appliance.agent.others import Others
from appliance.agent.room import Room
from appliance.bulkhead import Bulkheads
from appliance.drivers.firewall import Firewall
from appliance.planning.ruleset import Count

NO_RULES_SECONDS = 10.0  # without a ruleset in force the node is then brought down
# A guard that cannot see its machine, or not have a MASTER let go, brings the node down after so many seconds.
HELPLESS_SECONDS = 10.0
# Between two readings of the counters: one starts a program, which costs 4 ms of processor.
COUNT_SECONDS = 10.0


class Guard:
    """Watches the ruleset that a firewall holds, those of others, who has the VGW, and whether the agent can do its part.

    Times are monotonic, in seconds.
    """

    def __init__(self, firewall: Firewall, bulkheads: Bulkheads, answers: Answers) -> None:
        self.firewall, self.bulkheads, self.answers = firewall, bulkheads, answers
        self.others = Others(firewall, bulkheads)
        self.counts: tuple[Count, ...] = ()
        self.room = Room()
        self._missing_since: float | None = None
        self._blind_since: float | None = None
        self._mute_since: float | None = None
        self._counted: float | None = None

    def protects(self, now: float, *, seen: bool = False) -> bool:
        """Whether the ruleset is in force; where the kernel does not tell, it counts as gone.

        `seen`: a look has just found it as planned. To ask again would start a program.
        """
        protected = seen or self.bulkheads.ask(
            "the look for our ruleset", self.firewall.in_force, False
        )
        self._missing_since = _since(self._missing_since, now, lasts=not protected)
        return protected

    def note(self, now: float, *, blind: bool, mute: bool) -> None:
        """Take note of the agent's part.

        `blind`: the kernel did not tell what this node is. `mute`: it is MASTER, should let go, and keepalived cannot be told.
        """
        self._blind_since = _since(self._blind_since, now, lasts=blind)
        self._mute_since = _since(self._mute_since, now, lasts=mute)

    def gave_up(self, now: float) -> str:
        """Why the node must end: what has lasted for too long; empty where nothing has."""
        if self._missing_since is not None and now - self._missing_since > NO_RULES_SECONDS:
            return f"no ruleset in force for {NO_RULES_SECONDS:.0f} s"
        if self._blind_since is not None and now - self._blind_since > HELPLESS_SECONDS:
            return f"nobody could tell for {HELPLESS_SECONDS:.0f} s whether this node is MASTER"
        if self._mute_since is not None and now - self._mute_since > HELPLESS_SECONDS:
            return f"this MASTER should let go for {HELPLESS_SECONDS:.0f} s, and keepalived cannot be told"
        return ""

    def count(self, now: float) -> None:
        """Read the counters, where the last reading is old; one that fails leaves the last one standing."""
        if self._counted is not None and now - self._counted < COUNT_SECONDS:
            return
        self._counted = now
        self.counts = self.bulkheads.ask(
            "the reading of the ruleset's counters", self.firewall.counters, self.counts
        )


def _since(before: float | None, now: float, *, lasts: bool) -> float | None:
    """Since when something lasts; None where it does not."""
    if not lasts:
        return None
    return now if before is None else before
