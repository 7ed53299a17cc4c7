"""An agent's socket in a run directory, with somebody behind it who answers what a test wants."""

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.control.hearing import ControlSocket
from appliance.control.words import ApplyAnswer, ApplyRequest
from appliance.run_dir import RunDir


@contextmanager
def answering(run_dir: RunDir, answer: ApplyAnswer) -> Iterator[list[ApplyRequest]]:
    """Whoever asks is given this answer; what was asked."""
    run_dir.path.mkdir(exist_ok=True)
    agent, over, heard = ControlSocket(run_dir.agent_socket), threading.Event(), []
    agent.listen()

    def serve() -> None:
        while not over.is_set():
            select.select(agent.filenos(), [], [], 0.01)
            for asking in agent.hear():
                heard.append(asking.request)
                asking.answer(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()
        agent.close()
