"""keepalived 2.2.7 as far as the judgement feels it: VRRP's state machine, tracked files, and its weaknesses."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from appliance import vrrp
from appliance.config.model import Config, Failback
from vgw_lab.simulation.timeline import Timeline

FAREWELL = 0


class VrrpState(StrEnum):
    """keepalived's own word; STOPPED where it does not run."""

    STOPPED = "stopped"
    FAULT = "FAULT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"


@dataclass(frozen=True)
class VrrpTerms:
    """What its file says. Seconds."""

    priority: int
    step_aside: int
    version: int
    interval: float
    failback: Failback

    @classmethod
    def of(cls, config: Config, node: str) -> "VrrpTerms":
        """A node's terms by the gateway's file, as its template writes them."""
        mine, peers = (config.nodes[one].priority for one in (node, config.peer_of(node)))
        vgw = config.vgw
        step = abs(mine - peers) + 1
        return cls(mine, step, vgw.vrrp_version, vgw.advert_interval, vgw.failback)


@dataclass(frozen=True)
class Outside:
    """What it reads and does: its tracked files, its cables; adverts, addresses, and word of its state to the agent."""

    ready: Callable[[], bool]
    aside: Callable[[], bool]
    cabled: Callable[[], bool]
    advertise: Callable[[int], None]
    hold: Callable[[bool], None]
    notify: Callable[[str], None]


class Keepalived:
    """One node's VRRP instance."""

    def __init__(self, terms: VrrpTerms, outside: Outside, timeline: Timeline) -> None:
        self.terms, self.outside, self.timeline = terms, outside, timeline
        self.state = VrrpState.STOPPED
        self.process = 0
        self.frozen = False
        # It has no VRRP socket: an interface was made anew, and nobody told it.
        self.deaf = False
        # When a BACKUP takes over, and whether somebody looks then; which row of adverts goes on.
        self.deadline = 0.0
        self.watched = False
        self.row = 0
        self.backlog: int | None = None
        # It has just gone on, and has read nothing of what waits.
        self.waking = False

    @property
    def takes_part(self) -> bool:
        """Whether it hears and says something."""
        return bool(self.process) and not self.frozen and not self.deaf

    @property
    def priority(self) -> int:
        """The effective one: standing aside it ranks below the peer, but never below 1."""
        aside = self.terms.failback is Failback.GATED and self.outside.aside()
        return max(1, self.terms.priority - (self.terms.step_aside if aside else 0))

    def start(self, process: int) -> None:
        """Begin; addresses that a former one has left go first."""
        self.process, self.frozen, self.deaf, self.backlog = process, False, False, None
        self.state = VrrpState.FAULT
        self.outside.hold(False)
        self.outside.notify(self.state)
        self.look()

    def stop(self) -> None:
        """End in order: a farewell, and the addresses go."""
        if self.state is VrrpState.MASTER:
            self._leave()
        self.die()

    def die(self) -> None:
        """End at once: what it held stays behind."""
        self.state, self.process, self.row = VrrpState.STOPPED, 0, self.row + 1

    def freeze(self) -> None:
        """Stand still from now on."""
        self.frozen = True

    def thaw(self, *, hears_first: bool) -> None:
        """Go on; what came meanwhile and what was due are taken up in either order."""
        self.frozen = False
        if not self.process:
            return
        if not hears_first:
            self.waking = True
            self._watch()
            self.waking = False
        if self.backlog is not None:
            self.hear(self.backlog)
        self.backlog = None
        self.look()
        self._watch()
        if self.state is VrrpState.MASTER:
            self.row += 1
            self._advertise(self.row)

    def reload(self) -> None:
        """Read the file again: sockets are opened anew."""
        if self.process and not self.frozen:
            self.deaf = False
            if self.state is VrrpState.BACKUP:
                self._until(self._patience(self.priority))
            self.outside.notify(self.state)
            self.look()

    def put_again(self) -> None:
        """Somebody has deleted the addresses of a MASTER: put them again."""
        if self.process and self.state is VrrpState.MASTER:
            self.outside.hold(True)
            self.outside.notify(self.state)

    def look(self) -> None:
        """Look at the tracked files and interfaces again."""
        if not self.process or self.frozen:
            return
        tracked = self.terms.failback is not Failback.PLAIN
        able = self.outside.cabled() and (self.outside.ready() or not tracked)
        if able and self.state is VrrpState.FAULT:
            self._wait(VrrpState.BACKUP)
        elif not able and self.state is not VrrpState.FAULT:
            if self.state is VrrpState.MASTER:
                self._leave()
            self.state = VrrpState.FAULT
            self.outside.notify(self.state)

    def hear(self, priority: int) -> None:
        """Take in an advert of the peer's."""
        if not self.takes_part:
            self.backlog = priority if self.process else None
        elif self.state is VrrpState.BACKUP:
            mine, never = self.priority, self.terms.failback is Failback.NEVER
            if priority == FAREWELL:
                self._until(self._skew(mine))
            elif never or priority >= mine:
                self._until(self._patience(mine))
        elif self.state is VrrpState.MASTER:
            if priority > self.priority:
                self.outside.hold(False)
                self._wait(VrrpState.BACKUP)
            elif priority and self.terms.failback is not Failback.PLAIN:
                # vrrp_higher_prio_send_advert, and the word of it
                self.outside.advertise(self.priority)
                self.outside.notify("MASTER_RX_LOWER_PRI")

    def _skew(self, priority: int) -> float:
        return vrrp.skew_time(self.terms.version, priority, self.terms.interval)

    def _patience(self, priority: int) -> float:
        return vrrp.master_down_interval(self.terms.version, priority, self.terms.interval)

    def _wait(self, state: VrrpState) -> None:
        """Be a BACKUP that has just heard a MASTER."""
        self.state, self.row = state, self.row + 1
        self._until(self._patience(self.priority))
        self.outside.notify(self.state)

    def _until(self, seconds: float) -> None:
        """Take over in so many seconds, unless something is heard."""
        self.deadline = self.timeline.now + seconds
        if not self.watched:
            self._look_at_deadline()

    def _look_at_deadline(self) -> None:
        self.watched = True
        self.timeline.at(self.deadline, self._watch)

    def _watch(self) -> None:
        self.watched = False
        if self.state is not VrrpState.BACKUP or self.frozen:
            return
        if self.timeline.now < self.deadline:
            self._look_at_deadline()
        elif not self.deaf:
            self.state, self.row = VrrpState.MASTER, self.row + 1
            self.outside.hold(True)
            self._advertise(self.row)
            self.outside.notify(self.state)

    def _advertise(self, row: int) -> None:
        """Say that this node is MASTER, and go on saying it."""
        if row == self.row and self.state is VrrpState.MASTER and not self.frozen:
            if not self.deaf:
                self.outside.advertise(self.priority)
            self.timeline.after(self.terms.interval, lambda: self._advertise(row))

    def _leave(self) -> None:
        if not self.deaf:
            self.outside.advertise(FAREWELL)
        self.row += 1
        self.outside.hold(False)
