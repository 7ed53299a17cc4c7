"""The node's side of the pair: beats, the way out, and what follows for its own readiness."""

import logging
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from appliance import ApplianceError, beat, ledger, readiness, replicas, system, vrrp
from appliance.beat import Beat
from appliance.drivers import conntrack, daemons
from appliance.drivers.adverts import Advert, Adverts
from appliance.drivers.heartbeat import Heart
from appliance.drivers.lan import Lan
from appliance.drivers.uplink import INTERVAL as SAMPLE_INTERVAL
from appliance.drivers.uplink import Uplink
from appliance.ledger import Event
from appliance.model import Config, Failback, Role
from appliance.standby import Standby

WATCH = 0.01  # seconds between two looks for a canary that was just announced
FULL = 0.85  # the part of the table's limit from which new flows are in danger

log = logging.getLogger("vgw")


class Pair:
    """What this node knows of its peer, and what follows for its own readiness."""

    def __init__(self, config: Config, node: str, run_dir: Path, now: float) -> None:
        self.node, self.run_dir, self.began = node, run_dir, now
        self.take_up(config, now)
        self.role, self.cut, self.electable = Role.BACKUP, False, True
        self.peer: Beat | None = None
        self.heard = 0.0
        # An agent that was killed left a node that goes on: what was true then still is.
        self.ruleset = daemons.is_ready(run_dir)
        self.state = readiness.State(now, caught_up=self.ruleset)
        self.verdict = readiness.Verdict(self.ruleset, False, "just started")
        self.replicas = replicas.remembered(run_dir)
        self.timers = self.replicas.timers
        self.lan, self.became = Lan(), now
        self.degraded = self.unheard = self.trouble = ""

    def take_up(self, config: Config, now: float) -> None:
        """Go by this configuration from now on."""
        me, peer = config.nodes[self.node], config.nodes[config.peer_of(self.node)]
        self.config = config
        self.digest = sha256(config.model_dump_json().encode()).hexdigest()[:12]
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
        return self.role is Role.MASTER and bool(self.peer and self.peer.role == Role.MASTER)

    def _news(self) -> tuple[bool, ...]:
        return (self.verdict.ready, self.verdict.aside, bool(self.degraded), self.contested)

    def serve(self, now: float) -> bool:
        """Hear the peer, ask the way out, and judge; True where that brought news for the agent."""
        before = self._news()
        self._hear(now)
        if self.uplink:
            self.uplink.receive(now)
            if self.timers.due("sample", SAMPLE_INTERVAL, now):
                self.uplink.sample(now)
        self._follow(now)
        self.judge(now)
        if self.timers.canary == now or self.timers.due("beat", beat.INTERVAL, now):
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
        daemons.set_ready(self.run_dir, ready=self.verdict.ready)
        daemons.set_aside(self.run_dir, aside=self.verdict.aside)
        before, self.degraded = self.degraded, self._degraded(facts, now)
        if bool(before) != bool(self.degraded):
            self._record_health(before)
        standby = self.role is not Role.MASTER and bool(self.peer and self.peer.role == Role.MASTER)
        if standby:
            self.standby.call(now, self.lan.interface, self.adverts.last)
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
            daemons.ask_aside(self.run_dir, asked=False)
        if Role.MASTER in (self.role, role):
            self.replicas.forget()
        self.role, self.became = role, now
        self.judge(now)
        self.say(now)

    def cable(self, now: float, *, carries: bool, lan: str) -> None:
        """Take note of the LAN, and of whether all carry; a MASTER cut off tells the peer at once."""
        self.lan.interface = lan
        news, self.cut = self.cut is carries, not carries
        if news and self.cut and self.role is Role.MASTER:
            self.say(now)

    def settle(self, generation: int, now: float) -> None:
        """Have conntrackd do what the role asks for; `generation` is its process id or 0."""
        known = self.replicas
        if known.changed(generation):
            self.state = readiness.replication_restarted(self.state, now)
        known.settle(self.role, now)
        peer = self.peer
        if self.role is Role.MASTER or peer is None or peer.role != Role.MASTER:
            # A MASTER that comes back has its table from this node: its conntrackd missed nothing.
            known.peers_generation, known.overdue = 0, False
            known.missed = known.missed and peer is None
        elif peer.generation and known.renew(peer, now, caught_up=self.state.caught_up):
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
            priority=self.config.nodes[self.node].priority,
            entries=conntrack.count(),
            quiet=self.uplink.quiet(now) if self.uplink else None,
            still=self.lan.still(now),
            generation=self.replicas.generation,
            canary=self.replicas.number if self.role is Role.MASTER else 0,
            seen=self.replicas.seen,
            replicas=self.state.caught_up and not self.degraded,
            config=self.digest,
        )

    def told(self) -> dict[str, Any]:
        """What `status` tells of the pair."""
        return {
            "reason": self.verdict.reason,
            "aside": self.verdict.aside,
            "uplink": self.uplink.works() if self.uplink else None,
            "entries": conntrack.count(),
            "entries_limit": conntrack.limit(),
            "refused": conntrack.refused(),
            "canary": self.replicas.number,
            "lag_ms": self.replicas.lag_ms,
            "degraded": self.degraded or self.unheard,
            "counters": self.replicas.counters,
            "peer": asdict(self.peer) if self.peer else None,
        }

    def _follow(self, now: float) -> None:
        try:
            if self.role is Role.MASTER:
                self.replicas.plant(now)
            else:
                self.replicas.look_out(now)
            self.replicas.orders.advance(now)
            # The MASTER first: its conntrackd loses nothing by a new start, the standby's its replicas.
            patience = (2 if self.role is Role.MASTER else 3) * replicas.CANARY_PATIENCE
            if (waited := self._stuck(now)) > patience:
                self.replicas.mend(waited, now)
            self.trouble = ""
        except ApplianceError as error:
            if str(error) != self.trouble:
                log.warning("%s", error)
            self.trouble = str(error)

    def _since(self, told: float | None, now: float) -> float | None:
        """How long ago it is now what the peer's last beat told the age of."""
        return None if told is None else told + now - self.heard

    def _parted(self, advert: Advert | None, now: float) -> bool:
        """Whether the peer says that it is MASTER, and the LAN does not."""
        if self.peer is None or self.peer.role != Role.MASTER:
            return False
        if self.role is Role.MASTER:
            return self.heard - self.became > readiness.DOUBT
        vgw, priority = self.config.vgw, self.config.nodes[self.node].priority
        patience = vrrp.master_down_interval(vgw.vrrp_version, priority, vgw.advert_interval)
        last = now - (system.wall() - advert.at) if advert else self.began
        return self.heard - last > patience + readiness.DOUBT

    def _hear(self, now: float) -> None:
        for datagram in self.heart.receive():
            found = beat.unpack(datagram)
            if found and found.node == self.config.peer_of(self.node):
                if self.peer is None:
                    # It cannot have seen what was planted before.
                    self.replicas.planted.clear()
                left = self.peer and self.peer.role == Role.MASTER and found.role == Role.FAULT
                self.peer, self.heard = found, now
                if left and self.role is Role.BACKUP and self.verdict.ready:
                    self.standby.claim()
                self.replicas.expect(found, self.role, now)
        if self.peer and now - self.heard > beat.SILENCE:
            self.peer, self.replicas.missed = None, True
            self.replicas.forget()

    def _facts(self, now: float) -> readiness.Facts:
        vgw, nodes = self.config.vgw, self.config.nodes
        advert = self.adverts.read()
        recent = 4 * vgw.advert_interval + 1
        if self.role is Role.BACKUP and advert and advert.priority > nodes[self.node].priority:
            # A switchover's note has done its work, and would be in the way of the next one.
            daemons.ask_aside(self.run_dir, asked=False)
        return readiness.Facts(
            plain=vgw.failback is Failback.PLAIN,
            never=vgw.failback is Failback.NEVER,
            electable=self.electable,
            carries=not self.cut,
            ruleset=self.ruleset,
            quiet=self.uplink.quiet(now) if self.uplink else None,
            peers_quiet=self._since(self.peer.quiet, now) if self.peer else None,
            parted=self._parted(advert, now),
            still=self.lan.still(now),
            peers_still=self._since(self.peer.still, now) if self.peer else None,
            role=self.role,
            peer=self.peer,
            advertised=bool(advert and advert.priority and system.wall() - advert.at < recent),
            entries=conntrack.count(),
            fresh=self.replicas.fresh,
            outranks=nodes[self.node].priority > nodes[self.config.peer_of(self.node)].priority,
            asked=daemons.is_asked_aside(self.run_dir),
            hold=vgw.hold,
        )

    def _degraded(self, facts: readiness.Facts, now: float) -> str:
        """Why a takeover now could lose flows; empty where replication works, or nobody is there."""
        peer, limit = self.peer, conntrack.limit()
        if facts.entries > FULL * limit:
            return (
                f"the connection table holds {facts.entries} of {limit} entries: raise "
                "net.netfilter.nf_conntrack_max on the host"
            )
        if self.state.late and self.role is not Role.MASTER:
            return self.state.late
        listened = now - self.began > readiness.GRACE
        if peer is None:
            return "the peer is silent on the sync link" if facts.advertised and listened else ""
        if peer.config != self.digest:
            return "the two nodes go by different files"
        if not self.replicas.generation:
            return "conntrackd does not run here" if listened else ""
        if not peer.generation:
            return f"conntrackd does not run on {peer.node}" if peer.ready else ""
        waited = self._stuck(now)
        if waited <= replicas.CANARY_PATIENCE:
            return ""
        way = f"to {peer.node}" if self.role is Role.MASTER else f"from {peer.node}"
        return f"no flow {way} has arrived for {waited:.0f} s"

    def _stuck(self, now: float) -> float:
        """Seconds for which no flow has passed between two conntrackds that should; 0 where all do."""
        peer = self.peer
        if peer is None or peer.config != self.digest:
            return 0.0
        if not (peer.generation and self.replicas.generation):
            return 0.0
        return self.replicas.waiting(peer.seen if self.role is Role.MASTER else None, now)
