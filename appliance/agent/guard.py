"""The ruleset as the agent watches it: whether it is in force, since when it is not, and what it dropped."""

import contextlib

from appliance import ApplianceError
from appliance.drivers.firewall import Firewall
from appliance.planning.ruleset import Count

NO_RULES_SECONDS = 10.0  # without a ruleset in force the node is then brought down
# Between two readings of the counters: one starts a program, which costs 4 ms of processor.
COUNT_SECONDS = 10.0


class Guard:
    """Watches the ruleset that a firewall holds. Times are monotonic, in seconds."""

    def __init__(self, firewall: Firewall) -> None:
        self.firewall = firewall
        self.counts: tuple[Count, ...] = ()
        self._missing_since: float | None = None
        self._counted: float | None = None

    def protects(self, now: float, *, seen: bool = False) -> bool:
        """Whether the ruleset is in force; where the kernel does not tell, it counts as gone.

        `seen`: a look has just found it as planned. To ask again would start a program.
        """
        try:
            protected = seen or self.firewall.in_force()
        except ApplianceError:
            protected = False
        if protected:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = now
        return protected

    def gave_up(self, now: float) -> bool:
        """Whether the ruleset has been gone for so long that the node must end."""
        return self._missing_since is not None and now - self._missing_since > NO_RULES_SECONDS

    def count(self, now: float) -> None:
        """Read the counters, where the last reading is old; one that fails leaves the last one standing."""
        if self._counted is not None and now - self._counted < COUNT_SECONDS:
            return
        self._counted = now
        with contextlib.suppress(ApplianceError):
            self.counts = self.firewall.counters()
