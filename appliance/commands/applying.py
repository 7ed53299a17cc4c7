"""Who takes a changed file up: the agent that runs here, asked by its socket, and nobody else beside it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from appliance import ApplianceError, NoConfiguration, system
from appliance.config.gateway_file import ConfigErrors
from appliance.control import asking
from appliance.control.words import ApplyAnswer, ApplyRequest
from appliance.processes import programs
from appliance.run_dir import RunDir

AGENT_PATIENCE = 15.0  # seconds for an agent that is just being started anew
_STEP_SECONDS = 0.1


class Refused(ApplianceError):
    """The agent's reason, as it would have ended a command of its own."""

    def __init__(self, answer: ApplyAnswer) -> None:
        super().__init__(answer.refusal)
        self.exit_code, self.before = answer.code, answer.before


def agent_runs(run_dir: RunDir) -> bool:
    """Whether it is an agent's to change this machine. Raises ApplianceError where one should run, and none listens."""
    deadline = system.monotonic() + AGENT_PATIENCE
    while not asking.listens(run_dir.agent_socket):
        if not programs.states(run_dir):
            return False
        if system.monotonic() > deadline:
            raise ApplianceError(
                f"a gateway runs here, in {run_dir}, and its agent takes no requests: `vgw status` tells whether "
                "it runs; an agent of an older version takes none until the node is started anew"
            )
        system.pause(_STEP_SECONDS)
    return True


def by_agent(run_dir: RunDir, request: ApplyRequest) -> tuple[str, ...]:
    """What the agent changed, and said, a line each. Raises Refused, and ApplianceError where it does not answer."""
    answer = asking.ask(run_dir.agent_socket, request)
    if answer is None:
        raise ApplianceError("the agent of this node ended before it could be asked; try again")
    if answer.refusal:
        raise Refused(answer)
    return (*answer.changes, *answer.told)


@contextlib.contextmanager
def told_of_errors(run_dir: RunDir, file: Path, node: str | None) -> Iterator[None]:
    """Have the agent read a file that the block finds wrong, so that its status says for how long it is not in force.

    It finds the same, and refuses it.
    """
    try:
        yield
    except (ConfigErrors, NoConfiguration):
        with contextlib.suppress(ApplianceError):
            asking.ask(run_dir.agent_socket, ApplyRequest(str(file.absolute()), node or ""))
        raise
