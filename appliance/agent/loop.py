"""The agent: hears of role changes, moves the node's own routes, and checks each second what is so."""

import contextlib
import gc
import logging
import os
import select
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance import ApplianceError, CommandFailed, __version__, converge, system
from appliance.agent import kernel_events, notify, roles, takeover
from appliance.agent.guard import NO_RULES_SECONDS, Guard
from appliance.agent.keepalived import Keepalived, carry
from appliance.agent.takeover import Takeover
from appliance.config.model import Config
from appliance.drivers import firewall, routes
from appliance.pair import pair_status
from appliance.pair.side import Pair
from appliance.planning.plan import plan
from appliance.planning.wanted import Change, Plan, Site
from appliance.processes import notes, programs
from appliance.processes.programs import Program
from appliance.run_dir import RunDir
from appliance.site import accepted, locate, this_node
from appliance.site.accepted import Accepted
from appliance.status import node_status
from appliance.status.ledger import Event
from appliance.vrrp import Role

TICK = 1.0  # seconds between two looks at the world when nothing is heard

_BESIDE_ERRORS = "%s cannot be used, so the node goes on by what it took up last, %s:\n%s"

log = logging.getLogger("vgw")


@dataclass(frozen=True)
class LastChange:
    """The last change of role: why, when by the wall clock, and the milliseconds until the routes were right."""

    sentence: str = "just started"
    at: float = 0.0
    moved_ms: float | None = None


@dataclass(frozen=True)
class Upkeep:
    """What was put right because the machine had drifted from the plan, and what could not be put right."""

    repairs: int = 0
    repaired: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass
class Agent:
    """What the agent works on, and what it remembers between two looks."""

    accepted: Accepted
    site: Site
    pair: Pair
    guard: Guard
    state: roles.RoleState = field(default_factory=roles.RoleState)
    last: LastChange = field(default_factory=LastChange)
    upkeep: Upkeep = field(default_factory=Upkeep)
    programs: Mapping[str, Program] = field(default_factory=dict)
    keepalived: Keepalived = field(default_factory=Keepalived)
    takeover: Takeover | None = None
    reload: bool = False

    @property
    def config(self) -> Config:
        """The configuration that it goes by."""
        return self.accepted.config

    @property
    def node(self) -> str:
        """The name of this node."""
        return self.accepted.node

    @property
    def run_dir(self) -> RunDir:
        """The node's run directory."""
        return self.site.run_dir

    def plan(self) -> Plan:
        """The plan for the role the node has now."""
        return plan(self.config, self.node, self.state.role or Role.BACKUP, self.site)


def main(path: Path, node: str | None = None) -> None:
    """Run until told to stop; the run directory is in the environment.

    supervisord runs this module itself: it lives as long as the node and should be small.
    """
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="vgw agent: %(message)s")
    run_dir = this_node.run_dir()
    try:
        found = accepted.at_start(path, run_dir, node)
        if found.file_errors:
            log.error(_BESIDE_ERRORS, path, run_dir.accepted, "\n".join(found.file_errors))
        site = this_node.site(found.config, found.node, path)
        pair = Pair(found.config, found.node, run_dir, system.monotonic())
        accepted.keep(run_dir, found)
        run(Agent(found, site, pair, Guard(firewall.of(site.names, run_dir))))
    except ApplianceError as error:
        log.error(error)
        if isinstance(error, accepted.NothingToGoBy):
            # A new start would find the same. Where no supervisord answers, this was not a node's.
            with contextlib.suppress(CommandFailed):
                programs.bring_down(run_dir, f"the agent has no configuration to go by:\n{error}")
        sys.exit(error.exit_code)


def run(agent: Agent) -> None:
    """Live until told to stop: one thread, one loop, one place where a role changes."""
    fifo = notify.Fifo(agent.run_dir.notify_fifo)
    signals = notify.Signals()
    sources = (*kernel_events.listen(*agent.guard.firewall.notices), signals.reader)
    local = [fifo.fileno(), *(source.fileno() for source in sources)]
    # All that was imported lives as long as the process: take it out of the garbage collector's walks.
    gc.freeze()
    look(agent, "read at start", system.monotonic())
    next_tick = system.monotonic() + TICK
    while not signals.stop:
        readable = select.select([*local, *agent.pair.filenos()], [], [], _wait(agent, next_tick))
        heard = set(readable[0])
        began = system.monotonic()
        if agent.takeover and agent.takeover.over(began):
            agent.takeover = None
        cause = "found by looking"
        if fifo.fileno() in heard:
            states = [state for line in fifo.lines() if (state := roles.announced(line))]
            cause = f"keepalived said {states[-1]}" if states else cause
        elif agent.pair.serve(began):
            cause = agent.pair.memory.verdict.reason
        elif began < next_tick and heard.isdisjoint(local):
            continue
        for source in sources:
            kernel_events.drain(source)
        agent.reload, signals.reload = agent.reload or signals.reload, False
        look(agent, cause, began)
        next_tick = system.monotonic() + TICK
    log.info("the agent ends; the kernel forwards on as it was told")


def _wait(agent: Agent, next_tick: float) -> float:
    """Seconds until something is due."""
    now = system.monotonic()
    step = takeover.TAKEOVER_STEP if agent.takeover else next_tick - now
    return max(0.0, min(next_tick - now, agent.pair.wait(now), step))


def look(agent: Agent, cause: str, began: float) -> None:
    """Read the role from the world, move the routes first if it changed, then converge the rest.

    `cause` says what made the agent look, `began` when it did, on the monotonic clock.
    """
    if agent.pair.contested:
        _let_go(agent)
    problems = _look_once(agent, cause, began)
    if problems:
        # The world may have moved on between the look and the deed; only what stays is a problem.
        problems = _look_once(agent, "found by looking again", system.monotonic())
    _guard(agent)
    _ask_programs(agent)
    conntrackd, keepalived = map(agent.programs.get, ("conntrackd", "keepalived"))
    now = system.monotonic()
    generation = conntrackd.pid if conntrackd else 0
    agent.pair.settle(now, electable=_electable(agent), generation=generation)
    agent.keepalived.judge(agent.pair, agent.config, agent.site, keepalived, now)
    lasting = [agent.pair.trouble, agent.keepalived.problem]
    _tell_problems(agent, (*problems, *filter(None, lasting)))
    if not agent.takeover:
        agent.guard.count(now)
    system.replace(agent.run_dir.status, node_status.to_json(_snapshot(agent)), mode=0o644)


def _ask_programs(agent: Agent) -> None:
    agent.programs = programs.programs(agent.run_dir)


def _electable(agent: Agent) -> bool:
    """Whether keepalived runs; it counts as running where supervisord does not tell."""
    keepalived = agent.programs.get("keepalived")
    return not keepalived or keepalived.state in ("RUNNING", "STARTING")


def _let_go(agent: Agent) -> None:
    """Take the floating addresses away where the peer has them, and no keepalived here would do it.

    One that was killed leaves them behind until supervisord has started the next.
    """
    _ask_programs(agent)
    if not _electable(agent):
        log.warning("let the VGW go: the peer is MASTER, and keepalived does not run here")
        routes.drop((agent.config.vgw.address.ip, agent.config.wan.address.ip))


def _look_once(agent: Agent, cause: str, began: float) -> tuple[str, ...]:
    was, sight = agent.state.role, _sight(agent)
    agent.pair.cable(began, carries=sight.links_up, lan=agent.site.interfaces.lan)
    agent.state, sentence = roles.decide(agent.state, sight, cause, began)
    if sentence:
        role, at = roles.role_of(sight), system.wall()
        moved_ms = _move_routes(agent, began)
        agent.last = LastChange(sentence, at, moved_ms)
        agent.pair.become(role, began)
        log.info(sentence)
        words = (str(was or ""), str(role), cause, sentence)
        event = Event(at, agent.node, "role", *words, moved_ms=moved_ms)
        if agent.takeover:
            agent.takeover.end()
        last, interval = agent.pair.last_advert, agent.config.vgw.advert_interval
        agent.takeover = Takeover(agent.run_dir, event, began, last, interval)
    with converge.only_one(agent.run_dir):
        reloaded = agent.reload and _reload(agent)
        report = converge.converge(agent.plan(), agent.run_dir)
    if report.changes and was and not reloaded:  # what a new role asks for was put above
        _tell_repairs(agent, report.changes)
    return tuple(str(problem) for problem in report.problems)


def _sight(agent: Agent) -> roles.RoleSight:
    links = agent.keepalived.links = routes.links()
    vgw = agent.config.vgw.address.ip
    return roles.RoleSight(
        holds_vgw=any(own.ip == vgw for link in links.values() for own in link.addresses),
        ready=notes.is_ready(agent.run_dir),
        links_up=_locate(agent, links),
    )


def _locate(agent: Agent, links: Mapping[str, routes.Link]) -> bool:
    """Find the interfaces again, for a container engine renumbers them; whether they carry.

    While one is away the former names stay: its return is then no change at all.
    """
    addresses = {name: link.addresses for name, link in links.items()}
    try:
        found = locate.locate(agent.config, agent.node, addresses)
    except ApplianceError:
        return False
    if found != agent.site.interfaces:
        log.warning("interfaces are now %s, were %s", found, agent.site.interfaces)
        agent.site = replace(agent.site, interfaces=found)
    return carry(agent.config, found, links)


def _move_routes(agent: Agent, began: float) -> float:
    """The shortest way to what the new role asks for: put the routes, without a look first.

    Returns the milliseconds since `began`. Whatever fails here is tried again at once, and then told.
    """
    with contextlib.suppress(ApplianceError):
        routes.put(agent.plan().routes, agent.site.names.protocol)
    return round((system.monotonic() - began) * 1000, 2)


def _tell_repairs(agent: Agent, changes: tuple[Change, ...]) -> None:
    repairs = agent.upkeep.repairs + len(changes)
    agent.upkeep = replace(agent.upkeep, repairs=repairs, repaired=tuple(map(str, changes)))
    for change in changes:
        log.warning("repaired: %s", change)


def _tell_problems(agent: Agent, problems: tuple[str, ...]) -> None:
    for problem in problems:
        if problem not in agent.upkeep.problems:
            log.error(problem)
    for problem in agent.upkeep.problems:
        if problem not in problems:
            log.info("over: %s", problem)
    agent.upkeep = replace(agent.upkeep, problems=problems)


def _guard(agent: Agent) -> None:
    """No ruleset, no MASTER; and where it does not come back, no node."""
    now = system.monotonic()
    agent.pair.guard(now, ruleset=agent.guard.protects(now))
    if agent.guard.gave_up(now):
        problems = "; ".join(agent.upkeep.problems)
        reason = f"no ruleset in force for {NO_RULES_SECONDS:.0f} s: {problems}"
        programs.bring_down(agent.run_dir, reason)


def _reload(agent: Agent) -> bool:
    """Take up the file again; False where it is broken, and then the former one stays in force."""
    agent.reload = False
    path = agent.site.config_path
    try:
        found = accepted.from_file(path, agent.node)
        # The ruleset is the same in every role.
        planned = plan(found.config, found.node, Role.BACKUP, agent.site)
        firewall.check(agent.guard.firewall, planned.ruleset)
    except ApplianceError as error:
        log.error("kept the former configuration, for the file is not to be used:\n%s", error)
        agent.accepted = accepted.beside_error(agent.accepted, error)
        return False
    agent.accepted = found
    agent.pair.take_up(found.config, system.monotonic())
    accepted.keep(agent.run_dir, found)
    log.info("took up %s", path)
    return True


def _snapshot(agent: Agent) -> node_status.Snapshot:
    vgw = agent.config.vgw
    return node_status.Snapshot(
        node=agent.node,
        config=str(agent.site.config_path),
        role=agent.state.role or Role.FAULT,
        since=agent.last.at,
        written=system.wall(),
        sentence=agent.last.sentence,
        vgw=str(vgw.address),
        wan_vip=str(agent.config.wan.address),
        profile=vgw.profile,
        failback=str(vgw.failback),
        promise=pair_status.promise(agent.config),
        ready=notes.is_ready(agent.run_dir),
        role_changes=agent.state.changes,
        repairs=agent.upkeep.repairs,
        repaired=agent.upkeep.repaired,
        problems=agent.upkeep.problems,
        file_errors=agent.accepted.file_errors,
        moved_ms=agent.last.moved_ms,
        resident_mb=system.resident_mb(),
        programs={name: program.state for name, program in agent.programs.items()},
        pair=pair_status.of(agent.pair),
        dropped=tuple(
            node_status.Dropped(one.chain, one.rule, one.packets, one.octets)
            for one in agent.guard.counts
        ),
        version=__version__,
    )


if __name__ == "__main__":
    main(Path(os.environ.get("VGW_CONFIG", this_node.CONFIG_PATH)))
