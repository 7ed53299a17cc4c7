"""The node's side of the pair: what is heard, what follows, and what is said and done."""

import logging
from dataclasses import replace

from appliance.config.model import Config
from appliance.pair import judgement
from appliance.pair.doors import Doors
from appliance.pair.ears import Ears, Own
from appliance.pair.facts import Facts
from appliance.pair.terms import terms
from appliance.pair.voice import Voice
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from appliance.wires.adverts import Advert

WATCH = 0.01  # seconds between two looks for what may happen at any moment

log = logging.getLogger("vgw")


class Pair:
    """One node of the pair: its ears, its judgement's memory, and its voice.

    The agent says what it has seen of the node (`cable`, `become`, `guard`, `settle`), and gives it
    time (`serve`). Each makes the facts of the moment and has done what follows of them.
    """

    def __init__(
        self, config: Config, node: str, run_dir: RunDir, now: float, doors: Doors | None = None
    ) -> None:
        self.run_dir, self.doors = run_dir, doors or Doors()
        ours, wires = terms(config, node), self.doors.wires(config, node, now)
        conntrackd, self.files = self.doors.conntrackd(run_dir), self.doors.files(run_dir)
        self.ears = Ears(ours, wires, self.doors, conntrackd, now)
        self.voice = Voice(ours, wires, self.doors, conntrackd, self.files)
        settled = self.files.settled()
        # An agent that was killed left a node that goes on: what was true then still is.
        ready, seconds = self.files.is_ready(), int(self.doors.wall())
        self.memory = judgement.begin(
            settled, ready=ready, even=ours.even, seconds=seconds, now=now
        )
        generation = settled.generation if settled else 0
        self.own = Own(became=now, ruleset=ready, generation=generation)
        # What the peer knows of what it is told at once.
        self.told: tuple[int, ...] = ()
        # Why replication does not go on as it should; empty where it does.
        self.trouble = ""

    def take_up(self, config: Config, now: float) -> None:
        """Go by this configuration from now on."""
        ours, wires = terms(config, self.node), self.doors.wires(config, self.node, now)
        self.ears.take_up(ours, wires)
        self.voice.take_up(ours, wires)

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return self.ears.filenos()

    def wait(self, now: float) -> float:
        """Seconds until there is something to do."""
        ends = [self.voice.next_beat()]
        known = self.memory.replication
        if known.canaries.imminent(now) or known.queue.busy:
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

    @property
    def last_advert(self) -> Advert | None:
        """The peer's last advert until now."""
        return self.ears.wires.adverts.read()

    def serve(self, now: float) -> bool:
        """Hear the peer, ask the way out, and judge; True where that brought news for the agent."""
        before = self.memory.news()
        if self.ears.hear(now) and self.own.role is Role.BACKUP and self.memory.verdict.ready:
            self.voice.claim()
        facts = self._facts(now, leisure=True)
        self._follow(facts, now)
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
            self._say(self._facts(now), now)

    def become(self, role: Role, now: float) -> None:
        """Take note of a new role, and tell the peer at once; what takes time waits for `settle`."""
        self.own = self.own.in_role(role, now)
        facts = self._facts(now)
        self._follow(facts, now)
        self._say(facts, now)

    def guard(self, now: float, *, ruleset: bool) -> None:
        """Take note of whether a ruleset of ours is in force; where that changed, judge by it at once."""
        was, self.own = self.own, replace(self.own, ruleset=ruleset)
        if self.own != was:
            self._follow(self._facts(now), now)

    def settle(self, now: float, *, electable: bool, generation: int, stolen: str = "") -> None:
        """Take note of the programs, and have conntrackd do what the role asks for.

        `electable`: keepalived runs. `generation` is conntrackd's process id or 0. `stolen`: why the kernel would
        not send packets from inside to the upstream router, as a sentence.
        """
        self.own = replace(self.own, electable=electable, generation=generation, stolen=stolen)
        self._follow(self._facts(now, leisure=True, looking=True), now)

    def _facts(self, now: float, *, leisure: bool = False, looking: bool = False) -> Facts:
        moment = {"asked": self.files.is_asked_aside(), "leisure": leisure, "looking": looking}
        return self.ears.facts(self.own, self.memory, now, **moment)

    def _follow(self, facts: Facts, now: float) -> None:
        self.memory, deeds = judgement.follow(self.memory, facts, now)
        self.voice.carry_out(deeds, self.own.lan, now)
        trouble = self.ears.trouble or self.voice.trouble
        if trouble and trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble

    def _say(self, facts: Facts, now: float) -> None:
        self.told = self._told()
        self.voice.say(judgement.beat(self.memory, facts, self.voice.terms), now)

    def _told(self) -> tuple[int, ...]:
        return self.memory.told_at_once(self.ears.peer.beat)
