"""What is outside an agent's process, as doors of `appliance.pair`: its files, wires, way out and connection table."""

from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.addresses import Address
from appliance.pair.steps import Settled
from appliance.status.events import Event
from appliance.wires.adverts import Advert
from appliance.wires.uplink import SAMPLE_INTERVAL
from vgw_lab.simulation.connections import Connections
from vgw_lab.simulation.conntrackd import CANARY_SECONDS
from vgw_lab.simulation.timeline import Timeline


@dataclass
class Files:
    """The run directory: it outlives the agent, and is cleared when the node starts."""

    changed: Callable[[], object]
    ready: bool = False
    aside: bool = True
    asked: bool = False
    part: Settled | None = None
    changes: int = 0

    def is_ready(self) -> bool:
        """Whether keepalived was told that this node may be MASTER."""
        return self.ready

    def tell_keepalived(self, *, ready: bool, aside: bool) -> None:
        """Write its two tracked files, where they say something else."""
        if (ready, aside) != (self.ready, self.aside):
            self.ready, self.aside, self.changes = ready, aside, self.changes + 1
            self.changed()

    def is_asked_aside(self) -> bool:
        """Whether a switchover's note is there."""
        return self.asked

    def withdraw_note(self) -> None:
        """Take it away."""
        self.asked = False

    def settled(self) -> Settled | None:
        """For whom conntrackd was told its part."""
        return self.part

    def remember(self, settled: Settled) -> None:
        """Keep that for the next agent."""
        self.part = settled

    def record(self, event: Event) -> None:
        """Nobody reads events here."""

    def clear(self) -> None:
        """Be as `vgw start` leaves them."""
        self.ready, self.aside, self.asked, self.part = False, True, False, None
        self.changed()


@dataclass
class Socket:
    """Carries beats."""

    carry: Callable[[bytes], object]
    inbox: list[bytes] = field(default_factory=list)
    # The last few that came, of which a wire that lies repeats one.
    heard: list[bytes] = field(default_factory=list)

    def fileno(self) -> int:
        """For select, which nobody calls here."""
        return -1

    def send(self, datagram: bytes) -> None:
        """Send one."""
        self.carry(datagram)

    def stretch(self, datagram: bytes) -> int:
        """Nobody can say how long a packet may be here."""
        return 0

    def receive(self) -> list[bytes]:
        """All that have come."""
        found, self.inbox = self.inbox, []
        return found


@dataclass
class Adverts:
    """The raw socket that hears the peer's adverts."""

    last: Advert | None = None

    def read(self) -> Advert | None:
        """The last one until now."""
        return self.last


@dataclass
class Pings:
    """The way out: the answer is there at once, or never. As `wires.uplink` judges them."""

    works_now: Callable[[], bool]
    last: float
    sampled: float
    samples: list[bool] = field(default_factory=list)

    def fileno(self) -> int:
        """For select, which nobody calls here."""
        return -1

    def sample(self, now: float) -> None:
        """Ask; who was not let run for long cannot say that nobody answered."""
        good = self.works_now()
        if good or now - self.sampled > 2 * SAMPLE_INTERVAL:
            self.last = now
        self.sampled = now
        self.samples = [*self.samples[-2:], good]

    def receive(self, now: float) -> None:
        """Nothing is on its way."""

    def quiet(self, now: float) -> float:
        """Seconds since the last answer."""
        return round(now - self.last, 3)

    def works(self) -> bool | None:
        """By two of the last three."""
        good = sum(self.samples)
        return True if good >= 2 else (False if len(self.samples) - good >= 2 else None)


@dataclass
class LanEar:
    """Counts what comes in by the LAN: machines speak all the time, where they are heard."""

    heard: Callable[[], bool | None]
    last: float

    def still(self, interface: str, now: float) -> float | None:
        """For how many seconds nothing has."""
        heard = self.heard()
        if heard is None:
            return None
        if heard:
            self.last = now
        return now - self.last


class TableDoor:
    """The connection table as the agent reads it."""

    def __init__(self, table: Callable[[], Connections], timeline: Timeline) -> None:
        self.table, self.timeline = table, timeline
        self.planting: Callable[[int], None] = lambda _: None

    def count(self) -> int:
        """How many entries there are."""
        return self.table().weight + len(self.table().canaries)

    def limit(self) -> int:
        """How many there may be."""
        return 262_144

    def refused(self) -> int | None:
        """None."""
        return 0

    def dropped(self) -> int | None:
        """None."""
        return 0

    def planted(self, number: int) -> bool:
        """Whether the canary of this number is there."""
        return self.table().canaries.get(number, -1.0) > self.timeline.now

    def plant(self, number: int) -> None:
        """Make it."""
        canaries = self.table().canaries
        for old in [one for one, end in canaries.items() if end <= self.timeline.now]:
            del canaries[old]
        canaries[number] = self.timeline.now + CANARY_SECONDS
        self.planting(number)


class LanVoice:
    """What is said on the LAN: nobody here forgets where anybody is."""

    def announce(self, interface: str, address: Address) -> None:
        """Send a gratuitous ARP."""

    def keep(self, interface: str) -> None:
        """Have the kernel go on sending to the peer's last known MAC."""
