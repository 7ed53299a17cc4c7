"""What other programs do here with what passes: by their routes and filters, and by what is seen to leave."""

from collections.abc import Mapping

from appliance.bulkhead import Bulkheads
from appliance.drivers.firewall import Firewall
from appliance.drivers.routes import Link
from appliance.filters import leaving, whose
from appliance.filters.crossings import Subject
from appliance.filters.leaving import Leaving
from appliance.filters.watch import Found, Watch
from appliance.filters.whose import Complaint
from appliance.site import probes


class Others:
    """Looks at routes, rules and filters that are not ours, and at what passes them all."""

    def __init__(self, firewall: Firewall, bulkheads: Bulkheads) -> None:
        self.firewall, self.bulkheads = firewall, bulkheads
        self.stolen = ""
        self._filters = Watch(firewall.tables)
        self._found = Found()
        self._leaving = Leaving()

    @property
    def complaints(self) -> tuple[Complaint, ...]:
        """What filters drop; that nothing leaves is said where no filter explains it."""
        known = self._found.complaints
        if not self._leaving.blocked or any(one.vital for one in known):
            return known
        return (*known, Complaint(whose.unexplained(self._found.hindrances), vital=True))

    @property
    def in_the_way(self) -> tuple[str, ...]:
        """All that is amiss, with who and the mend, a sentence each."""
        return tuple(filter(None, (self.stolen, *(one.sentence for one in self.complaints))))

    @property
    def unfit(self) -> str:
        """Why a MASTER here is of no use to the machines behind; empty where it is."""
        vital = (one.sentence for one in self.complaints if one.vital)
        return "; ".join(filter(None, (self.stolen, *vital)))

    def ask_the_way(self, what: Subject, links: Mapping[str, Link]) -> None:
        """Ask the kernel for the way of packets from inside: of use where our routes and rules are in force."""
        with self.bulkheads.step("the question for the way of packets from inside"):
            self.stolen = probes.obstacle(what.config, what.interfaces, what.names, links)

    def look(self, what: Subject, now: float, *, leads: bool) -> None:
        """Look at the filters, and at what has left since the last look.

        What has left counts where this node `leads`: a standby is sent flows by machines that have not heard of the
        new MASTER yet, and that these do not leave says nothing of filters.
        """
        version = self._found.version
        with self.bulkheads.step("the look at others' filters"):
            self._found = self._filters.look(what)
        with self.bulkheads.step("the count of flows that leave"):
            changed = version != self._found.version
            read = self.firewall.first_packets()
            counted = read if leads else None
            self._leaving = leaving.judge(self._leaving, counted, now, changed=changed)
