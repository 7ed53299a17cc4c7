"""A node's outside, for tests: wires, a connection table and a conntrackd that exist in memory alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance import CommandFailed
from appliance.addresses import DATAGRAM_HEADERS, Address
from appliance.bulkhead import Bulkheads
from appliance.config import gateway_file
from appliance.config.model import Config
from appliance.conntrack.orders import Order, Outcome, Queues
from appliance.pair import beat
from appliance.pair.beat import Beat
from appliance.pair.doors import Doors, Wires
from appliance.pair.side import Pair
from appliance.pair.terms import WireTerms
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from appliance.wires.adverts import Advert

GOLDEN = Path(__file__).parents[1] / "golden"
WALL = 1_767_225_600.0  # the wall clock at the monotonic clock's zero


def config(case: str = "01-standard", **words: str) -> Config:
    """A golden configuration, with some of its words replaced."""
    path = GOLDEN / case / "gateway.yaml"
    text = path.read_text(encoding="utf-8")
    for before, after in words.items():
        assert before in text
        text = text.replace(before, after)
    return gateway_file.parse(text, str(path))


@dataclass
class Socket:
    """Carries beats to whoever is at the other end."""

    inbox: list[bytes] = field(default_factory=list)
    outbox: list[bytes] = field(default_factory=list)
    # What the interface takes of a packet, and what the link carries, in bytes; 0: nobody can say.
    longest: int = 0
    carries: int = 0

    def fileno(self) -> int:
        return 3

    def send(self, datagram: bytes) -> None:
        self.outbox.append(datagram)

    def stretch(self, datagram: bytes) -> int:
        lengths = (one for one in (self.longest, 1400, 576) if len(datagram) < one <= self.carries)
        self.outbox += [datagram.ljust(length - DATAGRAM_HEADERS) for length in lengths]
        return self.longest

    def receive(self) -> list[bytes]:
        found, self.inbox = self.inbox, []
        return found


@dataclass
class Adverts:
    """What was heard of VRRP, and how often somebody asked: each judgement does."""

    last: Advert | None = None
    asked: int = 0

    def read(self) -> Advert | None:
        self.asked += 1
        return self.last


@dataclass
class Pings:
    answered: float = 0.0
    samples: int = 0

    def fileno(self) -> int:
        return 4

    def sample(self, now: float) -> None:
        self.samples += 1

    def receive(self, now: float) -> None:
        pass

    def quiet(self, now: float) -> float:
        return now - self.answered

    def works(self) -> bool | None:
        return True


@dataclass
class Frames:
    interface: str
    mac: str = "00:00:5e:00:01:33"
    last: float | None = None

    def read(self, now: float) -> float | None:
        return self.last


@dataclass
class Voice:
    """What was said on the LAN."""

    announced: list[tuple[str, str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def announce(self, interface: str, address: Address) -> None:
        self.announced.append((interface, str(address)))

    def keep(self, interface: str) -> None:
        self.kept.append(interface)


@dataclass
class Lan:
    quiet: float | None = 0.0

    def still(self, interface: str, now: float) -> float | None:
        return self.quiet


@dataclass
class Table:
    """A connection table; `refuses` is what the kernel says to whoever asks for a canary."""

    entries: int = 100
    canaries: set[int] = field(default_factory=set)
    refuses: str = ""
    drops: int = 0

    def count(self) -> int:
        return self.entries

    def limit(self) -> int:
        return 262_144

    def refused(self) -> int | None:
        return 0

    def dropped(self) -> int | None:
        return self.drops

    def planted(self, number: int) -> bool:
        self._refuse()
        return number in self.canaries

    def plant(self, number: int) -> None:
        self._refuse()
        self.canaries.add(number)

    def _refuse(self) -> None:
        if self.refuses:
            raise CommandFailed(self.refuses)


@dataclass
class Conntrackd:
    """Carries out an order as soon as somebody asks for its outcome; `refuses` some."""

    told: list[Order] = field(default_factory=list)
    under_way: Order | None = None
    refuses: frozenset[Order] = frozenset()
    calmed: list[int] = field(default_factory=list)
    restarts: int = 0
    waiting: Queues = field(default_factory=lambda: Queues(0, 0, 0))

    def take_up(self, vgw: Address) -> None:
        self.vgw = vgw

    def give(self, order: Order, now: float) -> None:
        assert self.under_way is None
        self.told.append(order)
        self.under_way = order

    def outcome(self, now: float) -> Outcome | None:
        order, self.under_way = self.under_way, None
        if order is None:
            return None
        if order in self.refuses:
            return Outcome(order, f"conntrackd refused to {order}")
        answers = {Order.COUNT: {"messages_lost": 3}, Order.DROP_MOVED: {"dropped": 0}}
        return Outcome(order, counters=answers.get(order, {}))

    def queues(self, port: int) -> Queues:
        return self.waiting

    def calm(self, process: int) -> None:
        self.calmed.append(process)

    def restart(self) -> None:
        self.restarts += 1


class Node:
    """One node in memory, and what is outside it."""

    def __init__(self, wanted: Config, name: str, directory: Path, now: float = 0.0) -> None:
        self.wanted, self.name, self.run_dir = wanted, name, RunDir(directory)
        self.socket, self.adverts, self.pings, self.voice = Socket(), Adverts(), Pings(), Voice()
        self.table, self.conntrackd, self.lan = Table(), Conntrackd(), Lan()
        self.frames = tuple(Frames(one) for one in ("vgw-lan", "vgw-wan"))
        self.now = now
        self.clock: Callable[[float], float] = lambda now: now
        self.pair = self.agent()

    def agent(self) -> Pair:
        """An agent that starts on this node."""
        clock = Bulkheads(lambda: self.now)
        return Pair(self.wanted, self.name, self.run_dir, self.now, self.doors(), clock)

    def doors(self) -> Doors:
        """All that is outside."""
        return Doors(
            wires=self._wires,
            table=self.table,
            conntrackd=lambda _: self.conntrackd,
            lan=self.lan,
            wall=lambda: WALL + self.clock(self.now),
        )

    def _wires(self, terms: WireTerms, now: float) -> Wires:
        pings = self.pings if terms.outside else None
        macs = self.frames if terms.macs else ()
        return Wires(self.socket, self.adverts, pings, macs, self.voice, now)

    def heard(self, priority: int) -> None:
        """An advert of the peer's comes in now."""
        self.adverts.last = Advert(self.now, priority)

    def look(self, role: Role | None = None, generation: int = 7, *, ruleset: bool = True) -> None:
        """What the agent's loop does in one look."""
        self.pair.cable(self.now, carries=True, lan="eth1")
        if role and role is not self.pair.own.role:
            self.pair.become(role, self.now)
        self.pair.guard(self.now, ruleset=ruleset)
        self.pair.settle(self.now, electable=True, generation=generation)

    def serve(self, passed: float = 0.1) -> bool:
        """Let time pass; whether there was news."""
        self.now += passed
        self.pings.answered = self.now
        return self.pair.serve(self.now)

    def told(self, said: Beat) -> None:
        """The peer says something."""
        self.socket.inbox.append(beat.pack(said))

    def beats(self) -> list[Beat]:
        """What it has said since this was asked last."""
        found = [said for one in self.socket.outbox if (said := beat.unpack(one))]
        self.socket.outbox.clear()
        return found

    def ready(self) -> str:
        """The words of its two tracked files."""
        files = (self.run_dir.ready, self.run_dir.aside)
        return " ".join(path.read_text().strip() for path in files)


def connected(one: Node, other: Node) -> Callable[[], None]:
    """A sync link: what one node says the other hears; and a canary that one plants gets to the other."""

    def pass_on() -> None:
        for here, there in ((one, other), (other, one)):
            there.socket.inbox += here.socket.outbox
            here.socket.outbox.clear()
            there.table.canaries |= here.table.canaries

    return pass_on
