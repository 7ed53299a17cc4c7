"""The agent's life: what it begins with, what it waits for, and what follows."""

import contextlib
import gc
import logging
import sys
from pathlib import Path

from appliance import ApplianceError, CommandFailed, MissingInterface
from appliance.agent import agent as agents
from appliance.agent import flow_end, reload, roles
from appliance.agent.agent import Agent
from appliance.agent.doors import AgentDoors, SourcesDoor
from appliance.agent.look import look
from appliance.agent.requests import Unheard
from appliance.agent.sources import Heard
from appliance.agent.takeover import TAKEOVER_STEP
from appliance.processes import programs
from appliance.run_dir import RunDir
from appliance.site import accepted, this_node

TICK = 1.0  # seconds between two looks at the world when nothing is heard
END_STEP = 0.02  # seconds between two looks whether flows have ended that a new file does not allow
HEARING_RETRY = 0.01  # seconds that pass at least between two attempts to hear, where one failed

_NO_LEASE = (
    "this kernel has no filters for what comes in by an interface: if all programs of this node are frozen "
    "it goes on answering for the floating addresses beside its peer"
)
_BESIDE_ERRORS = "%s cannot be used, so the node goes on by what it took up last, %s:\n%s"

log = logging.getLogger("vgw")


def main(path: Path, node: str | None = None, doors: AgentDoors | None = None) -> None:
    """Run until told to stop; the run directory is in the environment."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="vgw agent: %(message)s")
    run_dir = this_node.run_dir()
    try:
        agent = _begin(path, run_dir, node, doors or AgentDoors())
        # All that was imported lives as long as the process: take it out of the garbage collector's walks.
        gc.freeze()
        gc.enable()
        run(agent)
    except ApplianceError as error:
        log.error(error)
        if isinstance(error, accepted.NothingToGoBy):
            # A new start would find the same. Where no supervisord answers, this was not a node's.
            with contextlib.suppress(CommandFailed):
                programs.bring_down(run_dir, f"the agent has no configuration to go by:\n{error}")
        sys.exit(error.exit_code)


def _begin(path: Path, run_dir: RunDir, node: str | None, doors: AgentDoors) -> Agent:
    """An agent that goes by what was taken up last, and has yet to take up the file as it is now."""
    found = accepted.at_start(path, run_dir, node)
    try:
        site = this_node.site(found.config, found.node, path)
    except MissingInterface:
        # The operator may have named those that are there since, and nobody ran to be told.
        found = accepted.from_file(path, node)
        site = this_node.site(found.config, found.node, path)
    agent = agents.begin(found, site, doors)
    if not site.sees_frames:
        log.warning(_NO_LEASE)
    if found.file_errors:
        log.error(_BESIDE_ERRORS, path, run_dir.accepted, "\n".join(found.file_errors))
    elif accepted.written(path) != found.text:
        agent.requests.new.append(Unheard())
    with agent.bulkheads.step("keeping the file"):
        accepted.keep(run_dir, found)
    return agent


def run(agent: Agent) -> None:
    """Live until told to stop: one thread, one loop, one place where a role changes."""
    sources = agent.doors.sources(agent.run_dir, agent.guard.firewall.notices)
    next_tick = _look(agent, sources, "read at start", agent.now())
    ask = agent.bulkheads.ask
    while not ask("the word to stop", sources.told_to_stop, False):
        heard = _hear(agent, sources, next_tick)
        began = agent.now()
        _measure(agent, began)
        _speak_arp(agent, began)
        agent.requests.new += heard.asked
        # keepalived may have something to say each moment, and the peer waits for a beat all the same.
        news = agent.pair.serve(began)
        cause = "found by looking"
        if heard.lines:
            cause = roles.cause(heard.lines) or cause
            if roles.flickered(heard.lines):
                agent.pair.flickered(began)
        elif news:
            cause = agent.pair.memory.verdict.reason
        elif began < next_tick and not (heard.local or heard.asked or flow_end.is_due(agent)):
            continue
        if ask("the word to reload", sources.told_to_reload, False):
            agent.requests.new.append(Unheard())
        next_tick = _look(agent, sources, cause, began)
    with agent.bulkheads.step("the socket for commands"):
        sources.close()
    with agent.bulkheads.step("the event of a change of role"):
        if agent.takeover:
            agent.takeover.end()
    log.info("the agent ends; the kernel forwards on as it was told")


def _look(agent: Agent, sources: SourcesDoor, cause: str, began: float) -> float:
    """Look, do what was asked meanwhile, and tell; when the next look is due without a cause."""
    look(agent, cause, began)
    with agent.bulkheads.step("what was asked of the agent"):
        if reload.attend(agent):
            look(agent, "a file was taken up", agent.now())
    agent.requests.answer()
    with agent.bulkheads.step("the socket for commands"):
        sources.listen()
    return agent.now() + TICK


def _hear(agent: Agent, sources: SourcesDoor, next_tick: float) -> Heard:
    """What has come; where that cannot be heard, a look is due after as long.

    A change of role is measured meanwhile, far more often than the pair has anything to judge.
    """
    now = agent.now()
    due = now + _wait(agent, next_tick)
    with agent.bulkheads.step("waiting for what comes"):
        while True:
            step = TAKEOVER_STEP if agent.takeover else due - now
            heard = sources.wait(_filenos(agent), max(0.0, min(due - now, step)))
            now = agent.now()
            if heard != Heard() or now >= due:
                return heard
            _measure(agent, now)
    agent.doors.pause(max(due - now, HEARING_RETRY))
    return Heard()


def _filenos(agent: Agent) -> tuple[int, ...]:
    nothing: tuple[int, ...] = ()
    claims = agent.bulkheads.ask("claims of the VGW", agent.guard.answers.filenos, nothing)
    return (*agent.pair.filenos(), *claims)


def _speak_arp(agent: Agent, now: float) -> None:
    """Hear who claims the VGW between two looks, and say where it is."""
    every = agent.pair.announce_every(now)
    with agent.bulkheads.step("gratuitous ARPs"):
        agent.guard.answers.announce(now, every)
    with agent.bulkheads.step("claims of the VGW"):
        ears = agent.pair.ears
        agent.guard.answers.hear(
            now, leads=every is not None, peer_leads=lambda: ears.peer_leads(now)
        )


def _measure(agent: Agent, now: float) -> None:
    """End the measure of a change of role, where there is no more to wait for, or it fails."""
    takeover, agent.takeover = agent.takeover, None
    with agent.bulkheads.step("the measure of a change of role"):
        if takeover and not takeover.over(now):
            agent.takeover = takeover


def _wait(agent: Agent, next_tick: float) -> float:
    """Seconds until something is due."""
    now = agent.now()
    step = END_STEP if agent.requests.ending is not None else next_tick - now
    return max(0.0, min(next_tick - now, agent.pair.wait(now), step))
