"""The measure of a change of role: what was noticed when, and when the first packet was forwarded."""

from appliance.agent.doors import AgentDoors
from appliance.run_dir import RunDir
from appliance.status import events
from appliance.status.events import Event
from appliance.vrrp import Role
from appliance.wires.adverts import Advert

FIRST_PACKET_PATIENCE = 2.0  # seconds that the first forwarded packet is waited for
TAKEOVER_STEP = 0.002  # seconds between two looks meanwhile


def detection(last: Advert, noticed: float, interval: float) -> float | None:
    """Milliseconds from the peer's last advert until a takeover was noticed; both on the monotonic clock.

    None where there was nothing to notice: a peer that is outranked advertises on until it hears of it.
    `interval` is the seconds between two adverts.
    """
    passed = noticed - last.at
    missed = passed > interval or last.priority == 0
    return round(passed * 1000, 1) if missed else None


class Takeover:
    """One change of role from the agent's first word of it until its event is written.

    `began` on the monotonic clock, as an advert's time.
    `interval` is the seconds between two adverts.
    """

    def __init__(
        self,
        run_dir: RunDir,
        event: Event,
        began: float,
        last: Advert | None,
        interval: float,
        doors: AgentDoors,
    ) -> None:
        self.run_dir, self.began, self.forwarded = run_dir, began, doors.forwarded
        self.packets = self.forwarded()
        event = event._replace(flows=doors.pair.table.count())
        if last and event.now == Role.MASTER:
            event = event._replace(
                detection_ms=detection(last, began, interval), farewell=last.priority == 0
            )
        self.event = event

    def end(self) -> None:
        """Write the event as it is: the next change of role is there already, or the agent ends."""
        events.append(self.run_dir, self.event)

    def over(self, now: float) -> bool:
        """Whether there is no more to wait for; then its event is written."""
        if self.event.now == Role.MASTER and now - self.began < FIRST_PACKET_PATIENCE:
            if self.forwarded() == self.packets:
                return False
            elapsed = round((now - self.began) * 1000, 1)
            self.event = self.event._replace(forwarded_ms=elapsed)
        self.end()
        return True
