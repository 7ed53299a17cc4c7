"""The flows that a new file no longer allows: they end once its rules are in force, are counted, and told."""

import logging
from collections.abc import Callable

from appliance import ApplianceError
from appliance.agent.agent import Agent
from appliance.bulkhead import bulkhead
from appliance.config.model import Config
from appliance.conntrack import permissions
from appliance.conntrack.ending import Ended
from appliance.control.words import ApplyAnswer

log = logging.getLogger("vgw")


def begin(agent: Agent, former: Config, changes: tuple[str, ...]) -> None:
    """Begin to end those that a former file allowed; who asked for these changes is answered when that is over."""
    before, now = permissions.of(former), permissions.of(agent.config)
    agent.requests.ending = changes
    if before == now:
        _answer(agent, Ended({}))
        return
    _ask(agent, lambda: agent.requests.end.begin(before, now, agent.now()))


def is_due(agent: Agent) -> bool:
    """Whether that is over, so that it can be told."""
    if agent.requests.ending is None:
        return False
    over, now = agent.requests.end.is_over, agent.now()
    return agent.bulkheads.ask("the look for the end of flows", lambda: over(now), True)


def hear(agent: Agent) -> None:
    """Take note of the end, where it has come."""
    if agent.requests.ending is None:
        return
    _ask(agent, lambda: agent.requests.end.outcome(agent.now()))


def _ask(agent: Agent, question: Callable[[], Ended | None]) -> None:
    """Ask who ends flows; what came of it, or why nobody can tell, is answered."""
    errors: list[ApplianceError] = []
    ended: Ended | None = None
    with bulkhead("the end of flows", errors.append):
        ended = question()
    if errors:
        ended = Ended({}, str(errors[0]))
    if ended:
        _answer(agent, ended)


def _answer(agent: Agent, ended: Ended) -> None:
    changes, agent.requests.ending = agent.requests.ending or (), None
    told = (ended.sentence,) if ended.sentence else ()
    agent.requests.resolve(ApplyAnswer(changes=changes, told=told))
    if told:
        log.warning("%s", ended.sentence)
        with agent.bulkheads.step("the event of flows that ended"):
            _record(agent, ended)


def _record(agent: Agent, ended: Ended) -> None:
    now = "unknown" if ended.problem else "ended"
    agent.record("flows", "allowed", now, "a file was taken up", ended.sentence)
