"""The measure of a change of role: what was noticed when, and when the first packet was forwarded."""

from pathlib import Path

from appliance import system
from appliance.conntrack import table
from appliance.run_dir import RunDir
from appliance.status import ledger
from appliance.status.ledger import Event
from appliance.vrrp import Role
from appliance.wires.adverts import Advert

FIRST_PACKET_PATIENCE = 2.0  # seconds that the first forwarded packet is waited for
TAKEOVER_STEP = 0.002  # seconds between two looks meanwhile
_SNMP = Path("/proc/net/snmp")


def forwarded() -> int:
    """How many packets this network namespace has forwarded (ForwDatagrams of RFC 4293)."""
    names, values = (line.split() for line in _SNMP.read_text(encoding="ascii").splitlines()[:2])
    return int(values[names.index("ForwDatagrams")])


class Takeover:
    """One change of role from the agent's first word of it until its event is written.

    `began` on the monotonic clock; an advert's time is the wall clock's, read together with it.
    `interval` is the seconds between two adverts.
    """

    def __init__(
        self, run_dir: RunDir, event: Event, began: float, last: Advert | None, interval: float
    ) -> None:
        self.run_dir, self.began = run_dir, began
        self.packets = forwarded()
        event = event._replace(flows=table.count())
        if last and event.now == Role.MASTER:
            noticed = event.at - (system.monotonic() - began) - last.at
            # A peer that is outranked advertises on until it hears of it: nothing was to be noticed.
            missed = noticed > interval or last.priority == 0
            event = event._replace(
                detection_ms=round(noticed * 1000, 1) if missed else None,
                farewell=last.priority == 0,
            )
        self.event = event

    def end(self) -> None:
        """Write the event as it is: the next change of role is there already."""
        ledger.append(self.run_dir, self.event)

    def over(self, now: float) -> bool:
        """Whether there is no more to wait for; then the event is in the ledger."""
        if self.event.now == Role.MASTER and now - self.began < FIRST_PACKET_PATIENCE:
            if forwarded() == self.packets:
                return False
            elapsed = round((now - self.began) * 1000, 1)
            self.event = self.event._replace(forwarded_ms=elapsed)
        self.end()
        return True
