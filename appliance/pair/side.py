"""The node's side of the pair: beats, the way out, and what follows for its own readiness."""

import logging

from appliance import ApplianceError, __version__, system, vrrp
from appliance.config import digests
from appliance.config.model import Config, Failback
from appliance.conntrack import conntrackd, table
from appliance.pair import beat, degraded, readiness, replicas
from appliance.pair.beat import Beat
from appliance.pair.lan_presence import Standby
from appliance.pair.peer import Peer
from appliance.processes import notes
from appliance.run_dir import RunDir
from appliance.status import ledger
from appliance.status.ledger import Event
from appliance.vrrp import Role
from appliance.wires.adverts import Advert, Adverts
from appliance.wires.heartbeat import Heart
from appliance.wires.lan import LanTraffic
from appliance.wires.uplink import INTERVAL as SAMPLE_INTERVAL
from appliance.wires.uplink import Uplink

# Bytes before conntrackd, about a thousand messages: with more it is taking in a bulk update.
BACKLOG = 1 << 20
WATCH = 0.01  # seconds between two looks for a canary that was just announced

log = logging.getLogger("vgw")


class Pair:
    """What this node knows of its peer, and what follows for its own readiness."""

    def __init__(self, config: Config, node: str, run_dir: RunDir, now: float) -> None:
        self.node, self.run_dir, self.began = node, run_dir, now
        self.take_up(config, now)
        self.role, self.cut, self.back, self.electable = Role.BACKUP, False, 0.0, True
        self.peer = Peer(config.peer_of(node))
        # An agent that was killed left a node that goes on: what was true then still is.
        self.ruleset = notes.is_ready(run_dir)
        self.state = readiness.State(now, caught_up=self.ruleset)
        self.verdict = readiness.Verdict(self.ruleset, False, "just started")
        self.replicas = replicas.remembered(run_dir, even=self._outranks())
        self.timers = self.replicas.timers
        self.lan, self.became = LanTraffic(), now
        self.degraded = self.behind = self.unheard = self.trouble = ""

    def take_up(self, config: Config, now: float) -> None:
        """Go by this configuration from now on."""
        me, peer = config.nodes[self.node], config.nodes[config.peer_of(self.node)]
        self.config, self.priority = config, me.priority
        self.digests = digests.digest(config), digests.legacy_digest(config)
        self.heart = Heart(me.sync.ip, peer.sync.ip, config.sync.port + 1)
        self.standby = Standby(config, self.node)
        self.adverts = Adverts(peer.lan.ip, config.vgw.virtual_router_id)
        targets = {config.wan.gateway, *config.wan.probes}
        self.uplink = Uplink(me.wan.ip, targets, now) if me.wan else None

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return (self.heart.fileno(), *([self.uplink.fileno()] if self.uplink else []))

    def wait(self, now: float) -> float:
        """Seconds until there is something to do."""
        ends = [self.timers.beat + beat.INTERVAL]
        if self.replicas.imminent(now) or self.replicas.orders.busy:
            ends.append(now + WATCH)
        if self.uplink:
            ends.append(self.timers.sample + SAMPLE_INTERVAL)
        return max(0.0, min(ends) - now)

    @property
    def contested(self) -> bool:
        """Whether the peer says that it is MASTER, and so does this node."""
        return self.role is Role.MASTER and self.peer.is_master

    def _news(self) -> tuple[bool, ...]:
        lacking = (bool(self.degraded), bool(self.behind))
        return (self.verdict.ready, self.verdict.aside, *lacking, self.contested)

    def _told_at_once(self) -> tuple[int, ...]:
        known, peer = self.replicas, self.peer.beat
        return (known.number, known.seen, known.request.open, known.preparation.arrived(peer))

    def serve(self, now: float) -> bool:
        """Hear the peer, ask the way out, and judge; True where that brought news for the agent."""
        before, told = self._news(), self._told_at_once()
        self._hear(now)
        if self.uplink:
            self.uplink.receive(now)
            if self.timers.due("sample", SAMPLE_INTERVAL, now):
                self.uplink.sample(now)
        self._follow(now)
        self.judge(now)
        if told != self._told_at_once() or self.timers.due("beat", beat.INTERVAL, now):
            self.say(now)
        return before != self._news()

    def judge(self, now: float) -> None:
        """Judge what is known now, and tell keepalived by its tracked files."""
        facts = self._facts(now)
        former = self.state
        self.state, self.verdict = readiness.judge(former, facts, now)
        if sentence := readiness.learned(former, self.state, facts, now):
            log.info(sentence)
            self._record("catching up", "caught up", sentence, facts.entries)
        notes.set_ready(self.run_dir, ready=self.verdict.ready)
        notes.set_aside(self.run_dir, aside=self.verdict.aside)
        sight, before = self._sight(facts, now), self.degraded
        self.degraded, self.behind = degraded.why(sight), degraded.behind(sight)
        if bool(before) != bool(self.degraded):
            self._record_health(before)
        standby = self.role is not Role.MASTER and self.peer.is_master
        if standby:
            self.standby.call(now, self.lan.interface, self.adverts.last)
        elif self.role is Role.MASTER:
            self.standby.keep(now, self.lan.interface)
        self.unheard = self.standby.judge(now, listening=standby)

    def _record_health(self, before: str) -> None:
        sentence = f"replication is degraded: {self.degraded}"
        if not self.degraded:
            sentence = f"replication works again, it was degraded: {before}"
        log.warning(sentence)
        self._record(*(("degraded", "works") if before else ("works", "degraded")), sentence)

    def _record(self, was: str, now: str, sentence: str, flows: int | None = None) -> None:
        words = ("replication", was, now, "found by looking", sentence)
        ledger.append(self.run_dir, Event(system.wall(), self.node, *words, flows=flows))

    def become(self, role: Role, now: float) -> None:
        """Take note of a new role, and tell the peer at once."""
        if self.role is Role.MASTER and role is not Role.MASTER:
            self.state = readiness.left_mastership(self.state, now)
        if role is Role.MASTER:
            notes.ask_aside(self.run_dir, asked=False)
        if Role.MASTER in (self.role, role):
            self.replicas.forget()
        self.role, self.became = role, now
        self.judge(now)
        self.say(now)

    def cable(self, now: float, *, carries: bool, lan: str) -> None:
        """Take note of the LAN, and of whether all carry; a MASTER cut off tells the peer at once."""
        self.lan.interface = lan
        news, self.cut = self.cut is carries, not carries
        self.back = now if news and carries else self.back
        if news and self.cut and self.role is Role.MASTER:
            self.say(now)

    def settle(self, generation: int, now: float) -> None:
        """Have conntrackd do what the role asks for; `generation` is its process id or 0."""
        known = self.replicas
        if known.changed(generation):
            self.state = readiness.replication_restarted(self.state, now)
        known.settle(self.role, now)
        queues = conntrackd.queues(self.config.sync.port)
        known.heed(queues, self.role, now)
        peer = self.peer.beat
        if self.role is Role.MASTER or peer is None or peer.role != Role.MASTER:
            # A MASTER that comes back has its table from this node: its conntrackd missed nothing.
            known.peers_generation, known.overdue = 0, False
            known.missed = known.missed and peer is None
        elif peer.generation:
            busy = queues.messages > BACKLOG
            if known.renew(peer, now, caught_up=self.state.caught_up, busy=busy):
                self.state = readiness.replication_restarted(self.state, now)
        known.count(now)

    def say(self, now: float) -> None:
        """Send one beat."""
        self.heart.send(beat.pack(self.beat(now)))

    def beat(self, now: float) -> Beat:
        """What this node has to say of itself."""
        return Beat(
            node=self.node,
            role=str(Role.FAULT if self.cut else self.role),
            ready=self.verdict.ready,
            reason=self.verdict.reason,
            priority=self.priority,
            entries=table.count(),
            quiet=self.uplink.quiet(now) if self.uplink else None,
            still=self.lan.still(now),
            generation=self.replicas.generation,
            canary=self.replicas.number if self.role is Role.MASTER else 0,
            seen=self.replicas.seen,
            replicas=self.state.caught_up and not self.degraded,
            asks=self.replicas.request.open,
            prepared=self.replicas.preparation.arrived(self.peer.beat),
            config=self.digests[1],
            schema=beat.SCHEMA,
            version=__version__,
            digest=self.digests[0],
        )

    def _follow(self, now: float) -> None:
        try:
            self.replicas.follow(self.role, self.peer.beat, now)
            # The MASTER first: its conntrackd loses nothing by a new start, the standby's its replicas.
            patience = (2 if self.role is Role.MASTER else 3) * degraded.CANARY_PATIENCE
            if (waited := self.waited(now)) > patience:
                self.replicas.mend(waited, now)
            self.trouble = ""
        except ApplianceError as error:
            if str(error) != self.trouble:
                log.warning("%s", error)
            self.trouble = str(error)

    def _hear(self, now: float) -> None:
        for datagram in self.heart.receive():
            silent, was_master = self.peer.beat is None, self.peer.is_master
            if not self.peer.take(datagram, now):
                continue
            assert self.peer.beat
            if silent:
                # It cannot have seen what was planted before.
                self.replicas.planted.clear()
            left = was_master and self.peer.beat.role == Role.FAULT
            if left and self.role is Role.BACKUP and self.verdict.ready:
                self.standby.claim()
            self.replicas.expect(self.peer.beat, self.role, now)
        if self.peer.fell_silent(now):
            self.replicas.missed = True
            self.replicas.forget()

    def _facts(self, now: float) -> readiness.Facts:
        vgw, peer = self.config.vgw, self.peer
        advert = self.adverts.read()
        recent = 4 * vgw.advert_interval + 1
        patience = vrrp.master_down_interval(vgw.vrrp_version, self.priority, vgw.advert_interval)
        last = now - (system.wall() - advert.at) if advert else self.began
        return readiness.Facts(
            plain=vgw.failback is Failback.PLAIN,
            never=vgw.failback is Failback.NEVER,
            electable=self.electable,
            carries=not self.cut,
            deaf=None if last >= self.back else now - self.back,
            ruleset=self.ruleset,
            quiet=self.uplink.quiet(now) if self.uplink else None,
            peers_quiet=peer.quiet(now),
            parted=peer.parted(self.role, self.became, last, patience),
            still=self.lan.still(now),
            peers_still=peer.still(now),
            role=self.role,
            peer=peer.beat,
            advertised=bool(advert and advert.priority and system.wall() - advert.at < recent),
            entries=table.count(),
            fresh=self.replicas.fresh and (self.state.caught_up or self._drained()),
            outranks=self._outranks(),
            asked=self._asked(advert),
            hold=vgw.hold,
        )

    def _asked(self, advert: Advert | None) -> bool:
        """Whether a switchover's note stands; one that has done its work is taken away."""
        if not notes.is_asked_aside(self.run_dir):
            return False
        if self.role is Role.BACKUP and advert and advert.priority > self.priority:
            # It would be in the way of the next one.
            notes.ask_aside(self.run_dir, asked=False)
            return False
        return True

    def _outranks(self) -> bool:
        return self.priority > self.config.nodes[self.peer.name].priority

    def _drained(self) -> bool:
        """Whether conntrackd has read what the peer sent, and what that made the kernel report.

        A flow that begins here would have to wait behind either.
        """
        queues = conntrackd.queues(self.config.sync.port)
        return max(queues.events, queues.messages) <= BACKLOG

    def _sight(self, facts: readiness.Facts, now: float) -> degraded.Sight:
        return degraded.Sight(
            role=self.role,
            peer=facts.peer,
            advertised=facts.advertised,
            entries=facts.entries,
            limit=table.limit(),
            late=self.state.late,
            listened=now - self.began > readiness.GRACE,
            same_file=self.peer.goes_by(*self.digests),
            generation=self.replicas.generation,
            waited=self.waited(now),
            settling=self.replicas.settling(facts.peer.seen if facts.peer else 0),
            overrun=self.replicas.overrun,
        )

    def waited(self, now: float) -> float:
        """Seconds for which no flow has passed between two conntrackds that should; 0 where all do."""
        peer = self.peer.beat
        same = self.peer.goes_by(*self.digests)
        if not (peer and same and peer.generation and self.replicas.generation):
            return 0.0
        return self.replicas.waiting(peer.seen if self.role is Role.MASTER else None, now)
