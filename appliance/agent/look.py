"""One look at the world: the role is read from it, the routes move first if it changed, then the rest follows."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace

from appliance import ApplianceError, converge
from appliance.agent import networks, roles, snapshot
from appliance.agent.agent import Agent, LastChange
from appliance.agent.keepalived import electable
from appliance.agent.networks import Footing
from appliance.agent.others import Others
from appliance.agent.takeover import Takeover
from appliance.bulkhead import bulkhead
from appliance.drivers import routes
from appliance.drivers.routes import Link
from appliance.filters.crossings import Subject
from appliance.processes import notes, programs
from appliance.status.events import Event
from appliance.vrrp import Role

_NEW_ROUTES = "the routes of a new role"

log = logging.getLogger("vgw")


def look(agent: Agent, cause: str, began: float) -> None:
    """Read the role from the world, move the routes first if it changed, then converge the rest.

    `cause` says what made the agent look, `began` when it did, on the monotonic clock.
    """
    step = agent.bulkheads.step
    if agent.pair.contested:
        with step("letting the VGW go"):
            _let_go(agent)
    stands, report = _look_once(agent, cause, began)
    if report.problems:
        # The world may have moved on between the look and the deed; only what stays is a problem.
        stands, report = _look_once(agent, "found by looking again", agent.now())
    _guard(agent, seen=report.clean)
    with step("the look at the programs"):
        if agent.run_dir.keepalived_away.exists():  # a change of the file was cut short
            programs.start_keepalived(agent.run_dir)
        agent.programs = programs.programs(agent.run_dir)
    conntrackd, keepalived = map(agent.programs.get, ("conntrackd", "keepalived"))
    now = agent.now()
    generation = conntrackd.pid if conntrackd else 0
    what = Subject(agent.config, agent.node, stands.interfaces, agent.site.names)
    others, takes_part = _others(agent, what, stands, report), electable(keepalived)
    agent.pair.settle(now, electable=takes_part, generation=generation, stolen=others.unfit)
    with step("the look at keepalived"):
        agent.keepalived.judge(agent.pair, agent.config, agent.site, keepalived, now)
    with step("the count of flows without room"):
        agent.guard.room = agent.guard.room.after(agent.doors.pair.table.dropped(), now)
    with step("the question who has the VGW"):
        _ask_for_vgw(agent, what, stands, now)
    two, full = agent.pair.two_holders(now), agent.guard.room.problem(now)
    lasting = [stands.lost, stands.missing, *others.in_the_way, agent.keepalived.problem, two, full]
    lasting += agent.guard.answers.problems
    _tell_problems(agent, (*map(str, report.problems), *filter(None, lasting)))
    if not agent.takeover:
        agent.guard.count(now)
    with step("the status"):
        snapshot.tell(agent)


def _let_go(agent: Agent) -> None:
    """Take the floating addresses away where the peer has them, and no keepalived here would do it.

    One that was killed leaves them behind until supervisord has started the next.
    """
    agent.programs = programs.programs(agent.run_dir)
    if not electable(agent.programs.get("keepalived")):
        log.warning("let the VGW go: the peer is MASTER, and keepalived does not run here")
        routes.drop((agent.config.vgw.address.ip, agent.config.wan.address.ip))


def _look_once(agent: Agent, cause: str, began: float) -> tuple[Footing, converge.Report]:
    """Decide the role and bring the machine to its plan; with what the node stands on.

    Where the role cannot be read it stays.
    """
    was, seen = agent.state.role, False
    stands = _as_before(agent)
    with agent.bulkheads.step("the reading of the role"):
        links = agent.keepalived.links = routes.links()
        stands, seen = _footing(agent, links), True
        agent.pair.cable(began, carries=stands.carries, lan=stands.interfaces.lan, lost=stands.lost)
        sight = _sight(agent, links, stands)
        agent.state, sentence = roles.decide(agent.state, sight, cause, began)
        if sentence:
            _change_role(agent, str(was or ""), cause, sentence, began)
    agent.guard.note(agent.now(), blind=not seen, mute=agent.pair.mute)
    report, errors = converge.Report(), list[ApplianceError]()
    with contextlib.ExitStack() as held, bulkhead("the plan", errors.append):
        with agent.bulkheads.step("the node's lock"):
            held.enter_context(converge.only_one(agent.run_dir))
        report = converge.converge(agent.plan(), agent.run_dir, rules=agent.guard.firewall)
    if was:
        _tell_repairs(agent, report)
    return stands, replace(report, problems=(*report.problems, *errors))


def _sight(agent: Agent, links: Mapping[str, Link], stands: Footing) -> roles.RoleSight:
    vgw, was = agent.config.vgw.address.ip, agent.pair.memory.verdict.ready
    return roles.RoleSight(
        holds_vgw=any(own.ip == vgw for link in links.values() for own in link.addresses),
        ready=agent.bulkheads.ask(
            "the word to keepalived", lambda: notes.is_ready(agent.run_dir), was
        ),
        links_up=stands.carries,
        unfit=agent.pair.own.unfit,
    )


def _as_before(agent: Agent) -> Footing:
    """What the node stands on, as far as is known without another look."""
    own, interfaces = agent.pair.own, agent.site.interfaces
    return Footing(interfaces, carries=own.carries, lost=own.lost, missing="")


def _footing(agent: Agent, links: Mapping[str, Link]) -> Footing:
    """What the node stands on now; the plan follows interfaces that have other names."""
    found = agent.bulkheads.ask(
        "the search for the interfaces",
        lambda: networks.footing(agent.config, agent.node, agent.site.interfaces, links),
        _as_before(agent),
    )
    if found.interfaces != agent.site.interfaces:
        log.warning("interfaces are now %s, were %s", found.interfaces, agent.site.interfaces)
        agent.site = replace(agent.site, interfaces=found.interfaces)
    return found


def _others(agent: Agent, what: Subject, stands: Footing, report: converge.Report) -> Others:
    """What others do here with what passes; of the way what was said before counts while not all of ours is in force."""
    others, links = agent.guard.others, agent.keepalived.links
    if stands.carries and not (stands.lost or report.problems):
        before = others.stolen
        others.ask_the_way(what, links)
        # Something of ours may have gone since the look: only what stays is told, and moves the VGW.
        if others.stolen and not before:
            _, again = _look_once(agent, "found by looking again", agent.now())
            others.stolen = ""
            if not again.problems:
                others.ask_the_way(what, links)
    others.look(what, agent.now(), leads=agent.state.role is Role.MASTER)
    return others


def _ask_for_vgw(agent: Agent, what: Subject, stands: Footing, now: float) -> None:
    """Hear who answers for the VGW, where this node has its own place on the LAN."""
    answers, leads = agent.guard.answers, agent.state.role is Role.MASTER
    before = answers.problems
    answers.forget()
    if not stands.carries or stands.lost or stands.missing:
        return
    peer_leads = agent.pair.ears.peer.is_master
    answers.look(what, agent.keepalived.links, now, leads=leads, peer_leads=peer_leads)
    if answers.problems and not before:  # one claim is soon over, and would be seen by nobody
        agent.record("claim", "", "claimed", "found by looking", "; ".join(answers.problems))


def _change_role(agent: Agent, was: str, cause: str, sentence: str, began: float) -> None:
    """Follow a role that was just decided: the routes first, then the peer is told and the measure begins."""
    role, at = agent.state.role, agent.bulkheads.ask("the clock", agent.doors.pair.wall, 0.0)
    assert role
    moved_ms = _move_routes(agent, began)
    agent.last = LastChange(sentence, at, began, moved_ms)
    agent.pair.become(role, began)
    log.info(sentence)
    event = Event(at, agent.node, "role", was, str(role), cause, sentence, moved_ms=moved_ms)
    former, agent.takeover = agent.takeover, None
    with agent.bulkheads.step("the event of a change of role"):
        if former:
            former.end()
    with agent.bulkheads.step("the measure of a change of role"):
        last, interval = agent.pair.last_advert, agent.config.vgw.advert_interval
        agent.takeover = Takeover(agent.run_dir, event, began, last, interval, agent.doors)


def _move_routes(agent: Agent, began: float) -> float | None:
    """The shortest way to what the new role asks for: put the routes, without a look first.

    Returns the milliseconds since `began`, None where it failed: that is tried again at once, and then told.
    """
    with agent.bulkheads.step(_NEW_ROUTES):
        routes.put(agent.plan().routes, agent.site.names.protocol)
        return _milliseconds(agent, began)
    return None


def _milliseconds(agent: Agent, began: float) -> float:
    return round((agent.now() - began) * 1000, 2)


def _guard(agent: Agent, *, seen: bool) -> None:
    """No ruleset, no MASTER; and where it does not come back, no node."""
    now = agent.now()
    agent.pair.guard(now, ruleset=agent.guard.protects(now, seen=seen))
    if reason := agent.guard.gave_up(now):
        problems = "; ".join(agent.upkeep.problems)
        log.error("the node ends: %s", reason)
        with agent.bulkheads.step("the end of the node"):
            programs.bring_down(agent.run_dir, f"{reason}: {problems}")


def _tell_repairs(agent: Agent, report: converge.Report) -> None:
    """What had drifted; not the routes of a new role, which may have to wait for keepalived's second address."""
    drift = report.changes
    if agent.last.moved_ms is None:
        new = set(map(str, agent.plan().routes))
        drift = tuple(change for change in drift if change.what not in new)
        if not report.problems:
            with agent.bulkheads.step(_NEW_ROUTES):
                moved_ms = _milliseconds(agent, agent.last.began)
                agent.last = replace(agent.last, moved_ms=moved_ms)
    if drift:
        agent.upkeep = agent.upkeep.after(drift)
    for change in drift:
        log.warning("repaired: %s", change)


def _tell_problems(agent: Agent, problems: tuple[str, ...]) -> None:
    was, agent.upkeep = agent.upkeep, agent.upkeep.beside(problems)
    for problem in was.lacks(problems):
        log.error(problem)
    for problem in agent.upkeep.lacks(was.problems):
        log.info("over: %s", problem)
