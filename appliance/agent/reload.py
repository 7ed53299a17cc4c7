"""The file, read again: taken up whole in one step, or refused whole, and then the former one stays in force.

Before that the MASTER may let its peer lead (`pair.turn`): where the two would not hear each other by their files, or
where keepalived here has to be started anew.
"""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from appliance import ApplianceError, converge
from appliance.agent import flow_end
from appliance.agent.agent import Agent
from appliance.agent.requests import Waiting
from appliance.bulkhead import bulkhead
from appliance.config import alike
from appliance.config.model import Failback
from appliance.control import words
from appliance.control.words import ApplyAnswer, ApplyRequest
from appliance.drivers import firewall, routes
from appliance.planning import virtual_macs
from appliance.planning.plan import plan
from appliance.planning.wanted import Change, Plan, Site
from appliance.processes import notes, programs
from appliance.site import accepted, locate
from appliance.site.accepted import Accepted
from appliance.vrrp import Role

log = logging.getLogger("vgw")


def attend(agent: Agent) -> bool:
    """Do what was asked, one after the other, and what has waited for its turn; whether there is news to tell."""
    before, requests = agent.accepted, agent.requests
    flow_end.hear(agent)
    while requests.new and requests.ending is None:
        asker = requests.new.pop(0)
        if why := _mistaken(agent, asker.request):
            log.warning("refused a request: %s", why)
            requests.due.append((asker, words.refused(ApplianceError(why))))
            continue
        requests.resolve(ApplyAnswer(told=("another request has taken the place of this one",)))
        requests.askers = [asker]
        keep_flows = asker.request.keep_flows
        _attempt(agent, partial(_read, agent, keep_flows=keep_flows))
    if requests.ending is None:
        _attempt(agent, lambda: _go_on(agent))
    return bool(requests.due) or agent.accepted is not before


def _mistaken(agent: Agent, request: ApplyRequest) -> str:
    """Why the request is meant for another node than this; empty where it is not."""
    path = agent.site.config_path
    if request.role:
        return f"--role {request.role.lower()}: an agent runs here, and decides the role"
    if request.node not in ("", agent.node):
        return (
            f"the node that runs here is {agent.node}, not {request.node}: stop it and start it under its "
            "new name"
        )
    if request.file and Path(request.file) != path:
        return (
            f"the agent that runs here goes by {path} and would undo this; change that file and apply it, "
            "or stop the node and start it with this one"
        )
    return ""


def _attempt(agent: Agent, deed: Callable[[], None]) -> None:
    """Do it; what fails is told, and answers whoever waits."""
    errors: list[ApplianceError] = []
    with bulkhead("the new file", errors.append):
        deed()
    if not errors:
        return
    log.error("kept the former configuration, for the file is not to be used:\n%s", errors[0])
    agent.accepted = accepted.beside_error(agent.accepted, errors[0])
    agent.requests.resolve(words.refused(errors[0]))
    with agent.bulkheads.step("the end of what waited"):
        _wait_no_more(agent)
        agent.pair.announce(agent.config)


def _read(agent: Agent, *, keep_flows: bool) -> None:
    """Take up the file as it is now, or have it wait. Raises where it is not to be used."""
    _wait_no_more(agent)
    found = accepted.from_file(agent.site.config_path, agent.node)
    differing = alike.differing(agent.config, found.config)
    if differing and not agent.pair.is_alone(agent.now()):
        agent.requests.waiting = Waiting(found, differing, keep_flows=keep_flows)
        agent.pair.announce(found.config)
    elif _leads(agent) and _moves(agent, found, _site(agent, found)):
        notes.ask_aside(agent.run_dir, asked=True)
        since = agent.now()
        agent.requests.waiting = Waiting(found, since=since, keep_flows=keep_flows)
    else:
        _put_in_force(agent, found, keep_flows=keep_flows)


def _wait_no_more(agent: Agent) -> None:
    """Forget the file that waits; who stood aside for it does so no more."""
    waiting, agent.requests.waiting = agent.requests.waiting, None
    if waiting and not waiting.words:
        notes.ask_aside(agent.run_dir, asked=False)


def _leads(agent: Agent) -> bool:
    """Whether this node is MASTER, and may let its peer lead by standing aside."""
    return agent.state.role is Role.MASTER and agent.config.vgw.failback is Failback.GATED


def _moves(agent: Agent, found: Accepted, site: Site) -> bool:
    """Whether the floating addresses get other interfaces: keepalived that runs would not take them there."""
    former = virtual_macs.homes(agent.config, agent.site.interfaces, agent.site.names)
    return virtual_macs.homes(found.config, site.interfaces, site.names) != former


def _go_on(agent: Agent) -> None:
    """Put the file that waits in force, if it is its turn."""
    requests, now = agent.requests, agent.now()
    if (waiting := requests.waiting) is None:
        return
    config = waiting.found.config
    if waiting.words and (has_it := agent.pair.peer_has(config)) is not None:
        since = now if waiting.since is None else waiting.since
        requests.waiting = waiting = replace(waiting, since=since if has_it else None)
    why = agent.pair.waits_for(config, waiting.since, now)
    if not why:
        _put_in_force(agent, waiting.found, keep_flows=waiting.keep_flows)
        _wait_no_more(agent)
        return
    if waiting.words:
        _tell_wait(agent, waiting, why)


def _tell_wait(agent: Agent, waiting: Waiting, why: str) -> None:
    sentence = (
        f"{', '.join(waiting.words)}: both nodes change this together, so the file waits {why}"
    )
    if agent.accepted.file_errors != (sentence,):
        log.info("%s", sentence)
        agent.accepted = agent.accepted._replace(file_errors=(sentence,))
    if waiting.since is None:  # the rest takes seconds, and is waited for
        agent.requests.resolve(ApplyAnswer(told=(sentence,)))


def _put_in_force(agent: Agent, found: Accepted, *, keep_flows: bool) -> None:
    """Change the machine from the former file to this one. Raises where that cannot be, and then it is as before."""
    config, site = found.config, _site(agent, found)
    holds = {agent.config.vgw.address.ip, config.vgw.address.ip}

    def planned() -> Plan:
        role = Role.MASTER if any(map(routes.holds, holds)) else Role.BACKUP
        return plan(config, found.node, role, site)

    firewall.check(agent.guard.firewall, planned().ruleset)
    terms, wires = agent.pair.wired(config, agent.now())
    former, away = agent.plan(), contextlib.ExitStack()
    with converge.only_one(agent.run_dir), away:
        if _moves(agent, found, site):
            away.enter_context(programs.keepalived_stopped(agent.run_dir))
        changes = converge.change_over(planned, former, agent.run_dir)
    agent.pair.go_by(terms, wires)
    was, agent.accepted, agent.site = agent.config, found, site
    now = planned()
    if now.links != former.links:
        agent.keepalived.has_read()
    if agent.run_dir.conntrackd_conf.name in {file.name for file in {*now.files} - {*former.files}}:
        agent.pair.renew_conntrackd()
    with agent.bulkheads.step("keeping the file"):
        accepted.keep(agent.run_dir, found)
    _tell(agent, changes)
    flow_end.begin(agent, config if keep_flows else was, tuple(map(str, changes)))


def _site(agent: Agent, found: Accepted) -> Site:
    """The machine as this file sees it: where it says other networks, they are looked for. Raises MissingInterface."""
    config, former = found.config, agent.config
    if (config.lan, config.wan, config.sync) == (former.lan, former.wan, former.sync):
        return agent.site
    addresses = {name: link.addresses for name, link in routes.links().items()}
    return replace(agent.site, interfaces=locate.locate(config, found.node, addresses))


def _tell(agent: Agent, changes: tuple[Change, ...]) -> None:
    log.info("took up %s", agent.site.config_path)
    for change in changes:
        log.info("changed: %s", change)
