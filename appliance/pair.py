"""The node's side of the pair: beats, the way out, and what follows for its own readiness."""

from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from appliance import ApplianceError, beat, readiness, replicas, system
from appliance.beat import Beat
from appliance.drivers import conntrack, daemons
from appliance.drivers.adverts import Adverts
from appliance.drivers.heartbeat import Heart
from appliance.drivers.uplink import INTERVAL as SAMPLE_INTERVAL
from appliance.drivers.uplink import Uplink
from appliance.model import Config, Failback, Role
from appliance.standby import Standby


class Pair:
    """What this node knows of its peer, and what follows for its own readiness."""

    def __init__(self, config: Config, node: str, run_dir: Path, now: float) -> None:
        self.node, self.run_dir = node, run_dir
        self.take_up(config)
        self.role = Role.BACKUP
        self.cut = False
        self.peer: Beat | None = None
        self.heard = 0.0
        # An agent that was killed left a node that goes on: what was true then still is.
        self.ruleset = daemons.is_ready(run_dir)
        self.state = readiness.State(now, caught_up=self.ruleset)
        self.verdict = readiness.Verdict(self.ruleset, False, "just started")
        self.replicas = replicas.remembered(run_dir)
        self.timers = self.replicas.timers
        self.degraded = ""
        self.unheard = ""
        self.trouble = ""

    def take_up(self, config: Config) -> None:
        """Go by this configuration from now on."""
        me, peer = config.nodes[self.node], config.nodes[config.peer_of(self.node)]
        self.config = config
        self.digest = sha256(config.model_dump_json().encode()).hexdigest()[:12]
        self.heart = Heart(me.sync.ip, peer.sync.ip, config.sync.port + 1)
        self.standby = Standby(config)
        self.adverts = Adverts(peer.lan.ip, config.vgw.virtual_router_id)
        targets = {config.wan.gateway, *config.wan.probes}
        self.uplink = Uplink(me.wan.ip, targets) if me.wan else None

    def filenos(self) -> tuple[int, ...]:
        """What to wait on."""
        return (self.heart.fileno(), *([self.uplink.fileno()] if self.uplink else []))

    def wait(self, now: float) -> float:
        """Seconds until there is something to do."""
        ends = [self.timers.beat + beat.INTERVAL]
        if self.uplink:
            ends.append(self.timers.sample + SAMPLE_INTERVAL)
        return max(0.0, min(ends) - now)

    def serve(self, now: float) -> bool:
        """Hear the peer, ask the way out, and judge; True where the verdict or the health changed."""
        before = (self.verdict.ready, self.verdict.aside, bool(self.degraded))
        self._hear(now)
        if self.uplink:
            self.uplink.receive()
            if self.timers.due("sample", SAMPLE_INTERVAL, now):
                self.uplink.sample()
        self._follow_canaries(now)
        self.judge(now)
        if self.timers.due("beat", beat.INTERVAL, now):
            self.say()
        return before != (self.verdict.ready, self.verdict.aside, bool(self.degraded))

    def judge(self, now: float) -> None:
        """Judge what is known now, and tell keepalived by its tracked files."""
        facts = self._facts()
        self.state, self.verdict = readiness.judge(self.state, facts, now)
        daemons.set_ready(self.run_dir, ready=self.verdict.ready)
        daemons.set_aside(self.run_dir, aside=self.verdict.aside)
        self.degraded = self._degraded(facts, now)
        master = self.peer is not None and self.peer.role == Role.MASTER
        standby = self.role is not Role.MASTER
        self.unheard = self.standby.judge(now, listening=standby and master)

    def become(self, role: Role, now: float) -> None:
        """Take note of a new role, and tell the peer at once."""
        if self.role is Role.MASTER and role is not Role.MASTER:
            self.state = readiness.left_mastership(self.state, now)
        if role is Role.MASTER:
            daemons.ask_aside(self.run_dir, asked=False)
        self.role = role
        self.replicas.forget()
        self.judge(now)
        self.say()

    def cable(self, *, carries: bool) -> None:
        """Take note of whether the gateway's interfaces carry; a MASTER cut off tells the peer at once."""
        news, self.cut = self.cut is carries, not carries
        if news and self.cut and self.role is Role.MASTER:
            self.say()

    def settle(self, generation: int, now: float) -> None:
        """Have conntrackd do what the role asks for; `generation` is its process id or 0.

        Raises CommandFailed.
        """
        known = self.replicas
        if known.changed(generation):
            self.state = readiness.replication_restarted(self.state, now)
        if known.settle(self.role, now):
            return
        peer = self.peer
        if self.role is not Role.MASTER and peer and peer.role == Role.MASTER and peer.generation:
            known.renew(peer, now, caught_up=self.state.caught_up)
        known.count(now)

    def say(self) -> None:
        """Send one beat."""
        self.heart.send(beat.pack(self.beat()))

    def beat(self) -> Beat:
        """What this node has to say of itself."""
        return Beat(
            node=self.node,
            role=str(Role.FAULT if self.cut else self.role),
            ready=self.verdict.ready,
            reason=self.verdict.reason,
            priority=self.config.nodes[self.node].priority,
            entries=conntrack.count(),
            uplink=self._way_out(),
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
            "uplink": self._way_out(),
            "entries": conntrack.count(),
            "entries_limit": conntrack.limit(),
            "canary": self.replicas.number,
            "lag_ms": self.replicas.lag_ms,
            "degraded": self.degraded or self.unheard,
            "counters": self.replicas.counters,
            "peer": asdict(self.peer) if self.peer else None,
        }

    def _follow_canaries(self, now: float) -> None:
        try:
            if self.role is Role.MASTER:
                self.replicas.plant(now)
            else:
                self.replicas.look_out(now)
            self.trouble = ""
        except ApplianceError as error:
            self.trouble = str(error)

    def _way_out(self) -> bool | None:
        return self.uplink.works() if self.uplink else None

    def _hear(self, now: float) -> None:
        for datagram in self.heart.receive():
            found = beat.unpack(datagram)
            if found and found.node == self.config.peer_of(self.node):
                left = self.peer and self.peer.role == Role.MASTER and found.role == Role.FAULT
                self.peer, self.heard = found, now
                if left and self.role is Role.BACKUP and self.verdict.ready:
                    self.standby.claim()
                self.replicas.expect(found, self.role, now)
        if self.peer and now - self.heard > beat.SILENCE:
            self.peer = None
            self.replicas.forget()

    def _facts(self) -> readiness.Facts:
        vgw, nodes = self.config.vgw, self.config.nodes
        peer = nodes[self.config.peer_of(self.node)]
        advert = self.adverts.read()
        recent = 4 * vgw.advert_interval + 1
        return readiness.Facts(
            plain=vgw.failback is Failback.PLAIN,
            never=vgw.failback is Failback.NEVER,
            ruleset=self.ruleset,
            uplink=self._way_out(),
            role=self.role,
            peer=self.peer,
            advertised=bool(advert and advert.priority and system.wall() - advert.at < recent),
            entries=conntrack.count(),
            fresh=self.replicas.fresh,
            outranks=nodes[self.node].priority > peer.priority,
            asked=daemons.is_asked_aside(self.run_dir),
            hold=vgw.hold,
        )

    def _degraded(self, facts: readiness.Facts, now: float) -> str:
        """Why a takeover now could lose flows; empty where replication works, or nobody is there."""
        peer = self.peer
        if self.state.late and self.role is not Role.MASTER:
            return self.state.late
        if peer is None:
            return "the peer is silent on the sync link" if facts.advertised else ""
        if peer.config != self.digest:
            return "the two nodes go by different files"
        if not self.replicas.generation:
            return "conntrackd does not run here"
        if not peer.generation:
            return f"conntrackd does not run on {peer.node}"
        master = self.role is Role.MASTER
        waited = self.replicas.waiting(peer.seen if master else None, now)
        if waited <= replicas.CANARY_PATIENCE:
            return ""
        # The standby first: what it loses by a new start, the MASTER can send again.
        if not master or waited > 2 * replicas.CANARY_PATIENCE:
            self.replicas.mend(waited, now)
        way = f"to {peer.node}" if master else f"from {peer.node}"
        return f"no flow {way} has arrived for {waited:.0f} s"


def quietly(pair: Pair, generation: int, now: float) -> str:
    """Settle, and return what went wrong, then or since, as a sentence instead of raising it."""
    try:
        pair.settle(generation, now)
    except ApplianceError as error:
        return str(error)
    return pair.trouble
