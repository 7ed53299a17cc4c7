"""The agent: what it works on, and what it remembers between two looks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.agent import roles
from appliance.agent.answers import Answers
from appliance.agent.doors import AgentDoors
from appliance.agent.guard import Guard
from appliance.agent.keepalived import Keepalived
from appliance.agent.requests import Requests
from appliance.agent.takeover import Takeover
from appliance.agent.upkeep import Upkeep
from appliance.bulkhead import Bulkheads
from appliance.config.model import Config
from appliance.drivers import firewall
from appliance.pair.side import Pair
from appliance.planning.plan import plan
from appliance.planning.wanted import Plan, Site
from appliance.processes.programs import Program
from appliance.run_dir import RunDir
from appliance.site.accepted import Accepted
from appliance.status import events
from appliance.status.events import Event
from appliance.vrrp import Role


@dataclass(frozen=True)
class LastChange:
    """The last change of role: why, when by the wall clock and by the monotonic one, and the milliseconds until the routes were right."""

    sentence: str = "just started"
    at: float = 0.0
    began: float = 0.0
    moved_ms: float | None = None


@dataclass
class Agent:
    """What the agent works on, and what it remembers between two looks."""

    accepted: Accepted
    site: Site
    doors: AgentDoors
    pair: Pair
    guard: Guard
    keepalived: Keepalived
    requests: Requests
    state: roles.RoleState = field(default_factory=roles.RoleState)
    last: LastChange = field(default_factory=LastChange)
    upkeep: Upkeep = field(default_factory=Upkeep)
    programs: Mapping[str, Program] = field(default_factory=dict)
    takeover: Takeover | None = None

    @property
    def config(self) -> Config:
        """The configuration that it goes by."""
        return self.accepted.config

    @property
    def node(self) -> str:
        """The name of this node."""
        return self.accepted.node

    @property
    def bulkheads(self) -> Bulkheads:
        """Keep what goes wrong in one step from the others."""
        return self.guard.bulkheads

    @property
    def run_dir(self) -> RunDir:
        """The node's run directory."""
        return self.site.run_dir

    def now(self) -> float:
        """The time on the monotonic clock."""
        return self.doors.monotonic()

    def record(self, kind: str, was: str, now: str, cause: str, sentence: str) -> None:
        """Write down an event of this moment."""
        event = Event(self.doors.pair.wall(), self.node, kind, was, now, cause, sentence)
        events.append(self.run_dir, event)

    def plan(self) -> Plan:
        """The plan for the role the node has now."""
        return plan(self.config, self.node, self.state.role or Role.BACKUP, self.site)


def begin(found: Accepted, site: Site, doors: AgentDoors) -> Agent:
    """An agent that has looked at nothing yet."""
    bulkheads = Bulkheads(doors.monotonic)
    pair = Pair(
        found.config, found.node, site.run_dir, doors.monotonic(), doors.pair, bulkheads=bulkheads
    )
    answers = Answers(doors.claims())
    guard = Guard(firewall.of(site.names, site.run_dir), bulkheads, answers)
    return Agent(found, site, doors, pair, guard, Keepalived(doors), Requests(doors.ends()))
