"""The doors of a node to what is outside the process: a test brings its own. Nothing is decided here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from appliance import system
from appliance.addresses import Address
from appliance.config import reserved_names
from appliance.conntrack import table
from appliance.conntrack.conntrackd import Conntrackd
from appliance.conntrack.orders import Order, Outcome, Queues
from appliance.pair.node_files import NodeFiles
from appliance.pair.steps import Settled
from appliance.pair.terms import WireTerms
from appliance.run_dir import RunDir
from appliance.status.events import Event
from appliance.wires import arp
from appliance.wires.adverts import Advert, Adverts
from appliance.wires.arp import Frames
from appliance.wires.beat_socket import Beats
from appliance.wires.lan_traffic import LanTraffic
from appliance.wires.neighbours import Neighbour
from appliance.wires.uplink import Uplink


class BeatSocket(Protocol):
    """Carries beats; never raises."""

    def fileno(self) -> int:
        """For select."""

    def send(self, datagram: bytes) -> None:
        """Send one."""

    def stretch(self, datagram: bytes) -> int:
        """Send it in packets of several lengths; the longest in bytes, 0 where there is no way."""

    def receive(self) -> Sequence[bytes]:
        """All that have come."""


class AdvertSource(Protocol):
    """Gives the peer's adverts."""

    def read(self) -> Advert | None:
        """The last one until now."""


class Pings(Protocol):
    """Asks targets outside again and again."""

    def fileno(self) -> int:
        """For select."""

    def sample(self, now: float) -> None:
        """Begin the next sample."""

    def receive(self, now: float) -> None:
        """Read the answers that have come."""

    def quiet(self, now: float) -> float:
        """Seconds since the last answer."""

    def works(self) -> bool | None:
        """Whether the way out works; None before that is known."""


class FrameSource(Protocol):
    """Hears the frames of one virtual MAC on one interface."""

    interface: str
    mac: str

    def read(self, now: float) -> float | None:
        """When the last one was there."""


class LanCounter(Protocol):
    """Counts what comes in by the LAN."""

    def still(self, interface: str, now: float) -> float | None:
        """For how many seconds nothing has; None where that cannot be told."""


class Table(Protocol):
    """The kernel's connection table (`conntrack.table`); all raise ApplianceError."""

    def count(self) -> int:
        """How many entries there are."""

    def limit(self) -> int:
        """How many there may be."""

    def refused(self) -> int | None:
        """How many new flows found no room or no free port; None where that is not known."""

    def dropped(self) -> int | None:
        """How many packets of new flows were dropped for want of room; None where that is not known."""

    def planted(self, number: int) -> bool:
        """Whether the canary of this number is there."""

    def plant(self, number: int) -> None:
        """Make it."""


class ConntrackdDoor(Protocol):
    """Gives conntrackd one order at a time (`conntrack.conntrackd`)."""

    def take_up(self, vgw: Address) -> None:
        """Go by this gateway address."""

    def give(self, order: Order, now: float) -> None:
        """Begin to carry it out."""

    def outcome(self, now: float) -> Outcome | None:
        """How the order under way ended, if it has."""

    def queues(self, port: int) -> Queues:
        """What waits for conntrackd in the kernel; `port` is where the peer's messages come in."""

    def calm(self, process: int) -> None:
        """Take the realtime priority from it."""

    def restart(self) -> None:
        """End it, so that supervisord starts it anew."""


class LanVoice(Protocol):
    """Tells the networks where addresses are; never raises."""

    def announce(self, interface: str, address: Address) -> None:
        """Send a gratuitous ARP."""

    def keep(self, interface: str) -> None:
        """Have the kernel go on sending to the peer's last known MAC on the LAN."""


class FilesDoor(Protocol):
    """Keeps what others find in the run directory (`pair.node_files`)."""

    def is_ready(self) -> bool:
        """Whether keepalived was told that this node may be MASTER."""

    def tell_keepalived(self, *, ready: bool, aside: bool) -> None:
        """Say in its tracked files whether this node may be MASTER, and whether it ranks below its peer."""

    def is_asked_aside(self) -> bool:
        """Whether a switchover's note is there."""

    def withdraw_note(self) -> None:
        """Take it away."""

    def settled(self) -> Settled | None:
        """For whom conntrackd was told its part."""

    def remember(self, settled: Settled) -> None:
        """Keep that for the next agent."""

    def record(self, event: Event) -> None:
        """Write an event."""


@dataclass(frozen=True)
class Wires:
    """The sockets that one file asks for; `opened` is when they were, on the monotonic clock."""

    beats: BeatSocket
    adverts: AdvertSource
    pings: Pings | None
    macs: tuple[FrameSource, ...]
    voice: LanVoice
    opened: float


class Announcer:
    """The real one: frames of our own, and the kernel's table of neighbours."""

    def __init__(self, peer: Address) -> None:
        self.neighbour = Neighbour(peer)

    def announce(self, interface: str, address: Address) -> None:
        """Send a gratuitous ARP."""
        arp.announce(interface, address)

    def keep(self, interface: str) -> None:
        """Have the kernel go on sending to the peer's last known MAC on the LAN."""
        self.neighbour.keep(interface)


def open_wires(terms: WireTerms, now: float) -> Wires:
    """The sockets of a node; some need CAP_NET_RAW."""
    homes = (reserved_names.LAN, reserved_names.WAN)
    return Wires(
        Beats(terms.own, terms.peer, terms.port),
        Adverts(terms.advertiser, terms.router_id),
        Uplink(terms.outside, terms.targets, now) if terms.outside else None,
        tuple(map(Frames, homes, terms.macs)),
        Announcer(terms.advertiser),
        now,
    )


@dataclass(frozen=True)
class Doors:
    """All doors of a node."""

    wires: Callable[[WireTerms, float], Wires] = open_wires
    table: Table = table
    conntrackd: Callable[[RunDir], ConntrackdDoor] = Conntrackd
    lan: LanCounter = field(default_factory=LanTraffic)
    wall: Callable[[], float] = system.wall
    files: Callable[[RunDir], FilesDoor] = NodeFiles
