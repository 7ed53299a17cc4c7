"""The node's side of the pair: what is heard, what follows, and what is said and done."""

from dataclasses import replace

from appliance import CommandFailed, system
from appliance.bulkhead import Bulkheads
from appliance.config import digests
from appliance.config.model import Config, Failback
from appliance.pair import judgement, replication, turn
from appliance.pair.changed import changed
from appliance.pair.doors import Doors, Wires
from appliance.pair.ears import Ears, Own
from appliance.pair.facts import Facts
from appliance.pair.standstill import Waking
from appliance.pair.sync_path import Tries
from appliance.pair.terms import Terms, patience, terms
from appliance.pair.voice import Voice
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from appliance.wires.adverts import Advert

WON = 3.5  # seconds after two were MASTER in which the winner says often where the VGW is
WON_REFRESH = 1.0  # seconds between two gratuitous ARPs then
WATCH = 0.01  # seconds between two looks for what may happen at any moment


class Pair:
    """One node of the pair: its ears, its judgement's memory, and its voice.

    The agent says what it has seen of the node (`cable`, `become`, `guard`, `settle`), and gives it
    time (`serve`). Each makes the facts of the moment and has done what follows of them. None raises:
    what fails is told by the bulkheads.
    """

    def __init__(
        self,
        config: Config,
        node: str,
        run_dir: RunDir,
        now: float,
        doors: Doors | None = None,
        bulkheads: Bulkheads | None = None,
    ) -> None:
        self.run_dir, self.doors = run_dir, doors or Doors()
        self.bulkheads = bulkheads or Bulkheads(system.monotonic)
        ours = terms(config, node)
        wires = self.doors.wires(ours.wires, now)
        conntrackd, self.files = self.doors.conntrackd(run_dir), self.doors.files(run_dir)
        self.ears = Ears(ours, wires, self.doors, conntrackd, self.bulkheads, now)
        self.voice = Voice(ours, wires, self.doors, conntrackd, self.files, self.bulkheads)
        settled = self.files.settled()
        # An agent that was killed left a node that goes on: what was true then still is.
        ready, seconds = self.files.is_ready(), int(self.doors.wall())
        self.memory = judgement.begin(
            settled, ready=ready, even=ours.even, seconds=seconds, now=now
        )
        generation = settled.generation if settled else 0
        self.own = Own(became=now, ruleset=ready, generation=generation)
        # What the sync link was tried with.
        self.tries = Tries()
        # What the peer knows of what it is told at once.
        self.told: tuple[int, ...] = ()
        # A switchover's note was there when it could be looked for last.
        self.asked = False

    def take_up(self, config: Config, now: float) -> None:
        """Go by this configuration from now on. Raises where its sockets cannot be opened, and changes nothing."""
        self.go_by(*self.wired(config, now))

    def wired(self, config: Config, now: float) -> tuple[Terms, Wires]:
        """What `go_by` needs for a configuration. Raises where its sockets cannot be opened.

        Those that it has in common with the former one stay: what they have heard is true still.
        """
        ours, former = terms(config, self.node), self.ears.terms.wires
        return ours, self.ears.wires if ours.wires == former else self.doors.wires(ours.wires, now)

    def go_by(self, ours: Terms, wires: Wires) -> None:
        """Go by these terms and sockets from now on."""
        self.ears.take_up(ours, wires)
        self.voice.take_up(ours, wires)

    def renew_conntrackd(self) -> None:
        """Have conntrackd read its file, which it does at its start alone."""
        with self.bulkheads.step("a new start of conntrackd"):
            self.voice.conntrackd.restart()

    def announce(self, config: Config) -> None:
        """Have the peer know that this node has such a file, which it may not go by yet."""
        has = replace(
            self.ears.terms,
            digest=digests.digest(config),
            legacy_digest=digests.legacy_digest(config),
        )
        self.go_by(has, self.ears.wires)

    def peer_has(self, config: Config) -> bool | None:
        """Whether the peer says that it has a file which means the same; None where it says nothing."""
        if self.ears.peer.beat is None:
            return None
        return self.ears.peer.goes_by(digests.digest(config), digests.legacy_digest(config))

    def is_alone(self, now: float) -> bool:
        """Whether there is no peer, as far as beats and adverts tell."""
        return self.ears.peer.beat is None and not self.ears.may_be_there(now)

    def waits_for(self, config: Config, since: float | None, now: float) -> str:
        """What a file waits for that says other words than both nodes must say alike; empty where it need not.

        `since`: since when the peer has it too; None where it has not.
        """
        peer = self.ears.peer
        return turn.waits_for(
            self.own.role,
            peer.beat,
            has_it=since is not None,
            knows=peer.knows(self.ears.terms.digest),
            waited=0.0 if since is None else now - since,
            promise=patience(config, config.peer_of(self.node)),
        )

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return self.ears.filenos()

    def wait(self, now: float) -> float:
        """Seconds until there is something to do."""
        ends = [self.voice.next_beat()]
        if self._watches(now):
            ends.append(now + WATCH)
        if self.ears.wires.pings:
            ends.append(self.ears.next_sample())
        return max(0.0, min(ends) - now)

    @property
    def node(self) -> str:
        """The name of this node."""
        return self.voice.terms.node

    @property
    def contested(self) -> bool:
        """Whether the peer says that it is MASTER, and so does this node."""
        return self.memory.contested

    def announce_every(self, now: float) -> float | None:
        """Seconds between two gratuitous ARPs for the floating addresses; None where none is to be sent.

        Who has just won sends more: a machine takes no other MAC within a second of the last (neigh/locktime of arp(7)). Where VRRP
        alone decides keepalived does all of this.
        """
        ours, memory = self.ears.terms, self.memory
        still = memory.standstill
        waking = still.waking is not Waking.NO or still.slept(now)
        if memory.role is not Role.MASTER or waking or ours.failback is Failback.PLAIN:
            return None
        just = memory.contest is None and now - memory.contested_until < WON
        return WON_REFRESH if just else ours.refresh

    def two_holders(self, now: float) -> str:
        """What to say where both nodes have held the VGW for too long; empty where they have not."""
        contest = self.memory.contest
        return contest.problem(self.ears.peer.name, now) if contest else ""

    @property
    def mute(self) -> bool:
        """Whether this node is MASTER, should let go, and keepalived cannot be told."""
        return self._should_let_go and self.voice.untold

    @property
    def dismissed(self) -> bool:
        """Whether this node is MASTER, and keepalived has been told to let go."""
        return self._should_let_go and not self.voice.untold

    @property
    def _should_let_go(self) -> bool:
        return self.own.role is Role.MASTER and not self.memory.verdict.ready

    @property
    def last_advert(self) -> Advert | None:
        """The peer's last advert until now."""
        return self.ears.wires.adverts.read()

    def serve(self, now: float) -> bool:
        """Hear the peer, ask the way out, and judge; True where that brought news for the agent.

        The way out alone is no reason to judge: a beat is said soon, and by then its answers are there.
        """
        before, heard = self.memory.news(), self._hear(now)
        if not (heard or self._watches(now) or now >= self.voice.next_beat()):
            return False
        facts = self._judge(now, leisure=True)
        if self.told != self._told() or now >= self.voice.next_beat():
            self._say(facts, now)
        return before != self.memory.news()

    def cable(self, now: float, *, carries: bool, lan: str, lost: str = "") -> None:
        """Take note of the LAN, of whether all carry, and of own addresses that were `lost` (a sentence).

        A MASTER cut off tells the peer at once.
        """
        cut = self.own.carries and not carries
        self.own = self.own.cabled(now, carries=carries, lan=lan, lost=lost)
        if cut and self.own.role is Role.MASTER:
            with self.bulkheads.step("the facts of the moment"):
                self._say(self._facts(now), now)

    def become(self, role: Role, now: float) -> None:
        """Take note of a new role, and tell the peer at once; what takes time waits for `settle`."""
        self.own = self.own.in_role(role, now)
        self._say(self._judge(now), now)

    def flickered(self, now: float) -> None:
        """Take note that this node held the VGW, and let go before anybody looked."""
        known = replication.held(self.memory.replication, now)
        self.memory = self.memory._replace(replication=known)

    def guard(self, now: float, *, ruleset: bool) -> None:
        """Take note of whether a ruleset of ours is in force; where that changed, judge by it at once."""
        was, self.own = self.own, changed(self.own, ruleset=ruleset)
        if self.own != was:
            self._judge(now)

    def settle(self, now: float, *, electable: bool, generation: int, stolen: str = "") -> None:
        """Take note of the programs, and have conntrackd do what the role asks for.

        `electable`: keepalived runs. `generation` is conntrackd's process id or 0. `stolen`: why the kernel would
        not send packets from inside to the upstream router, as a sentence.
        """
        self.own = changed(self.own, electable=electable, generation=generation, stolen=stolen)
        self._judge(now, leisure=True, looking=True)

    def _hear(self, now: float) -> bool:
        """Hear the peer, and ask the way out; whether a beat came."""
        heard = False
        with self.bulkheads.step("hearing the peer"):
            led = self.ears.peer.is_master
            heard = self.ears.hear(now)
            left = led and self.ears.peer.in_fault
            if left and self.own.role is Role.BACKUP and self.memory.verdict.ready:
                self.voice.claim()
        return heard

    def _judge(self, now: float, *, leisure: bool = False, looking: bool = False) -> Facts | None:
        """Make the facts of the moment, and do what follows of them; None where that cannot be told."""
        with self.bulkheads.step("the judgement of the pair"):
            facts = self._facts(now, leisure=leisure, looking=looking)
            self.memory, deeds = judgement.follow(self.memory, facts, now)
            self.ears.peer.roles = ()
            self.voice.carry_out(deeds, self.own.lan, now)
            self._complain(facts)
            return facts
        return None

    def _facts(self, now: float, *, leisure: bool = False, looking: bool = False) -> Facts:
        # Who has just gone on after it stood still knows no more of its peer than what waits to be heard.
        self._hear(now)
        note = self.files.is_asked_aside
        self.asked = self.bulkheads.ask("a switchover's note", note, self.asked)
        facts = self.ears.facts(
            self.own, self.memory, now, asked=self.asked, leisure=leisure, looking=looking
        )
        if leisure and self.voice.ungiven:
            facts, self.voice.ungiven = facts._replace(outcome=self.voice.ungiven), None
        return facts

    def _complain(self, facts: Facts) -> None:
        """Tell of an order that conntrackd refused, until one goes well."""
        if facts.outcome:
            with self.bulkheads.step("an order to conntrackd"):
                if facts.outcome.problem:
                    raise CommandFailed(facts.outcome.problem)

    def _say(self, facts: Facts | None, now: float) -> None:
        self.told, self.voice.said = self._told(), now
        if self.memory.standstill.hushed(now):
            return
        with self.bulkheads.step("a beat to the peer"):
            if facts:
                words = judgement.beat(self.memory, facts, self.voice.terms, now)
                self.voice.say(words, now)
                if self.tries.due(now):
                    self.tries = self.tries.after(now, self.voice.stretch(words))
                    self.own = changed(self.own, wide=self.tries.wide)

    def _watches(self, now: float) -> bool:
        """Whether it looks out for a canary, or for the end of an order."""
        known = self.memory.replication
        return known.canaries.imminent(now) or known.queue.busy

    def _told(self) -> tuple[int, ...]:
        return self.memory.told_at_once(self.ears.peer.beat)
