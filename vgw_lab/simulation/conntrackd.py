"""conntrackd 1.4.7 in FTFW mode without an external cache, as far as the judgement feels it; and the door to it.

What the kernel reports of a flow is told to the peer, whose kernel takes it in at once. Who believes to own an entry tells of its
end. Messages arrive in order; they wait while a wire is parted or a cable is out, as long as there is room, and are lost where nobody runs
at the other end.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

from appliance.addresses import Address
from appliance.conntrack.orders import Order, Outcome, Queues
from vgw_lab.simulation.connections import Connections, Flow
from vgw_lab.simulation.timeline import Timeline

CANARY_SECONDS = 15.0  # after which a canary leaves the table
ORDER_SECONDS = 30.0  # after which the driver gives an order up
ALIVE = 1.0  # between two words that it is alive, by which the other end finds what it lacks and asks for it
ROOM = 30  # messages that wait for a wire at most: ResendQueueSize, for few flows
COUNTERS = {"messages_lost": 0, "messages_unsent": 0, "entries_refused": 0}


class Word(StrEnum):
    """What a message is about."""

    NEW = "new"
    END = "end"
    CANARY = "canary"
    REQUEST = "request"


@dataclass(frozen=True)
class Message:
    """One message: of a flow, with its port where that was moved; or of a canary."""

    word: Word
    flow: Flow | None = None
    port: int | None = None
    number: int = 0


@dataclass(frozen=True)
class Surroundings:
    """What it has to do with: the kernel's table, whether the VGW is here, the wire, and who counts its dead.

    `passes`: whether the wire lets a message through now, None where nobody is there to take it. `takes`: has the peer's take messages in;
    False where none runs there. `ended`: a flow was ended by the peer's word. `die`: supervisord starts another.
    """

    table: Callable[[], Connections]
    holds: Callable[[], bool]
    passes: Callable[[], bool | None]
    takes: Callable[[list[Message]], bool]
    ended: Callable[[Flow], None]
    wake: Callable[[], None]
    die: Callable[[], None]


@dataclass
class Books:
    """What it believes, and what waits: its own entries, messages to the peer, events unread, and how many were lost."""

    own: set[Flow] = field(default_factory=set)
    unsent: list[Message] = field(default_factory=list)
    unread: list[Message] = field(default_factory=list)
    dropped: int = 0


class Conntrackd:
    """One node's process, and the agent's door to it."""

    def __init__(self, around: Surroundings, timeline: Timeline, chance: Random) -> None:
        self.around, self.timeline, self.chance = around, timeline, chance
        self.process = 0
        self.frozen = False
        # Reports find no room: the kernel counts them, and conntrackd knows nothing.
        self.deafened = False
        self.books = Books()
        self.sending = False
        # The order under way with its number, and how it ended.
        self.order: Order | None = None
        self.orders = 0
        self.end: Outcome | None = None
        self.refuses = False

    def start(self, process: int) -> None:
        """Begin: replicas go first where the VGW is not here, and what is left counts as its own."""
        if not self.around.holds():
            for flow in list(self.around.table().ports):
                self.around.table().end(flow)
        self.process, self.frozen = process, False
        self.books = Books(own=set(self.around.table().ports), dropped=self.books.dropped)

    def die(self) -> None:
        """End at once; an order under way is refused."""
        self.process, self.frozen = 0, False
        self.books = Books(dropped=self.books.dropped)
        if self.order:
            self._finish(self.orders, f"conntrackd died of {self.order}")

    def thaw(self) -> None:
        """Go on, and read what has come meanwhile."""
        self.frozen = False
        unread, self.books.unread = self.books.unread, []
        for message in unread:
            self._notice(message)

    # What the kernel reports.

    def begun(self, flow: Flow, port: int) -> None:
        """An entry has begun here."""
        self._hear(_told(flow, port))

    def planted(self, number: int) -> None:
        """A canary was planted here."""
        self._hear(Message(Word.CANARY, number=number))

    def over(self, flow: Flow) -> None:
        """An entry has ended here."""
        self._hear(Message(Word.END, flow))

    def touch(self, flows: list[Flow]) -> None:
        """Entries were updated, though nothing has changed: they are told of again."""
        table = self.around.table()
        for flow in flows:
            self.begun(flow, table.ports[flow])

    def _hear(self, message: Message) -> None:
        if self.process and self.deafened:
            self.books.dropped += 1
        elif self.process and self.frozen:
            self.books.unread.append(message)
        elif self.process:
            self._notice(message)

    def _notice(self, message: Message) -> None:
        flow = message.flow
        if message.word is Word.NEW and flow:
            self.books.own.add(flow)
        elif message.word is Word.END and flow:
            if flow not in self.books.own:
                return
            self.books.own.discard(flow)
        self._send(message)

    # What goes between two of them.

    def _send(self, *messages: Message) -> None:
        self.books.unsent += messages
        if not self.sending:
            self._flush_in(0.001 + 0.001 * self.chance.random())

    def _flush_in(self, seconds: float) -> None:
        self.sending = True
        self.timeline.after(seconds, self.flush)

    def flush(self) -> None:
        """Send what waits, where the other end can take it."""
        self.sending = False
        unsent, self.books.unsent = self.books.unsent, []
        passes = self.around.passes()
        if passes is False or (self.frozen and self.process):
            self.books.unsent = unsent[-ROOM:]
            self._flush_in(ALIVE)
        elif passes and unsent:
            self.around.takes(unsent)

    def take(self, messages: list[Message]) -> bool:
        """Take in what the peer's has sent; False where none runs here."""
        if not self.process:
            return False
        table = self.around.table()
        for message in messages:
            flow = message.flow
            if message.word is Word.CANARY:
                table.canaries[message.number] = self.timeline.now + CANARY_SECONDS
            elif message.word is Word.REQUEST:
                self._send(*self._all_own())
            elif message.word is Word.NEW and flow:
                table.add(flow, message.port)
            elif flow and table.end(flow):
                self.books.own.discard(flow)
                self.around.ended(flow)
        return True

    def _all_own(self) -> list[Message]:
        table, flows = self.around.table(), list(self.books.own)
        flows.sort(key=lambda flow: flow.number)
        self.chance.shuffle(flows)
        return [_told(flow, table.ports[flow]) for flow in flows if flow in table.ports]

    # The agent's door.

    def open_door(self) -> None:
        """Another agent begins: it waits for no order of the former one's."""
        self.order, self.end, self.orders = None, None, self.orders + 1

    def take_up(self, vgw: Address) -> None:
        """Go by this gateway address."""

    def give(self, order: Order, now: float) -> None:
        """Begin to carry it out."""
        assert self.order is None, f"{order} while {self.order} is under way"
        self.order, self.orders = order, self.orders + 1
        number = self.orders
        if not self.process or self.refuses:
            self.timeline.after(
                0.01, lambda: self._finish(number, f"conntrackd refused to {order}")
            )
            return
        self.timeline.after(
            0.008 + 0.03 * self.chance.random() ** 4, lambda: self._carry_out(number)
        )
        self.timeline.after(
            ORDER_SECONDS, lambda: self._finish(number, f"{order}: no answer for 30 s")
        )

    def outcome(self, now: float) -> Outcome | None:
        """How the order under way ended, if it has."""
        end, self.end = self.end, None
        if end:
            self.order = None
        return end

    def queues(self, port: int) -> Queues:
        """What waits in the kernel: bytes of events and messages, and how many found no room."""
        return Queues(1000 * len(self.books.unread), 0, self.books.dropped)

    def calm(self, process: int) -> None:
        """Take the realtime priority from it."""

    def restart(self) -> None:
        """End it, so that it is started anew."""
        self.around.die()

    def _finish(self, number: int, problem: str, dropped: int = 0) -> None:
        if self.order and number == self.orders and self.end is None:
            counters = COUNTERS if self.order is Order.COUNT and not problem else {}
            self.end = Outcome(self.order, problem, counters, dropped)
            self.around.wake()

    def _carry_out(self, number: int) -> None:
        if not self.order or number != self.orders or self.end:
            return
        if self.frozen and self.order not in (Order.TOUCH_KEPT_PORTS, Order.DROP_MOVED):
            self.timeline.after(0.1, lambda: self._carry_out(number))
            return
        self._finish(number, "", self._do(self.order))

    def _do(self, order: Order) -> int:
        table = self.around.table()
        match order:
            case Order.DISOWN:
                self.books.own.clear()
            case Order.OWN:
                self.books.own = set(table.ports)
            case Order.ANNOUNCE:
                self._send(*self._all_own())
            case Order.REQUEST:
                self._send(Message(Word.REQUEST))
            case Order.FLUSH:
                assert not self.around.holds(), "the table of a MASTER is emptied"
                table.flush()
            case Order.TOUCH_KEPT_PORTS:
                self.touch(table.kept_beside_moved())
            case Order.DROP_MOVED if not self.around.holds():
                return sum(map(self._drop, table.moved()))
            case _:
                pass
        return 0

    def _drop(self, flow: Flow) -> bool:
        gone = self.around.table().end(flow)
        if gone:
            self.over(flow)
        return gone


def _told(flow: Flow, port: int) -> Message:
    return Message(Word.NEW, flow, port if port != flow.end[1] else None)
