"""supervisord in this process, and its end as an exit code that tells what happened.

supervisord alone ends with 0 whatever became of its programs, so that nobody would start the node
again. It is run as `python -m appliance.processes.supervise RUN_DIR`; small, for it lives as long as the node.
"""

import contextlib
import os
import signal
import sys
from collections import deque
from pathlib import Path
from typing import Any

from supervisor import events, supervisord
from supervisor.states import ProcessStates, SupervisorStates

from appliance import ApplianceError, system
from appliance.processes import deaths
from appliance.processes.deaths import Death
from appliance.run_dir import RunDir

GAVE_UP = 20
# supervisord looks at its programs once a second; where it begins and ends, that often.
_HURRY_SECONDS = 0.05
_INSIST_SECONDS = 0.5
_BY_SIGNAL = -1  # supervisord's exit status of a program that a signal ended
# Why the node has to end, once it has to.
_last_words: list[str] = []
_REMEMBERED = deaths.BY_ITSELF.deaths + deaths.BY_SIGNAL.deaths  # of each program's deaths


def watch(daemon: Any, run_dir: str) -> "Extension":
    """Shut everything down when a program cannot be kept alive; a factory of supervisord's rpcinterface.

    Such a factory is supervisord's own door for extensions; this one adds the call `vgw.end`.
    """
    found: dict[str, deque[Death]] = {}
    node = Extension(daemon, RunDir(Path(run_dir)))

    def end_node(name: str, why: str) -> None:
        node.end(
            f"{name} could not be kept alive: {why}; the node ends (its last words are in the log)"
        )

    def count(event: Any) -> None:
        name, now = event.process.config.name, system.monotonic()
        died = found.setdefault(name, deque(maxlen=_REMEMBERED))
        died.append(Death(now, by_signal=event.process.exitstatus == _BY_SIGNAL))
        why = deaths.given_up(died, now)
        if why and daemon.options.mood == SupervisorStates.RUNNING:
            end_node(name, why)

    events.subscribe(events.ProcessStateExitedEvent, count)
    events.subscribe(
        events.ProcessStateFatalEvent,
        lambda event: end_node(event.process.config.name, "it does not start"),
    )
    _hear_an_early_stop(daemon)
    _insist_on_a_stop(daemon)
    _hurry(daemon)
    return node


class Extension:
    """What supervisord's XML-RPC interface has under `vgw`."""

    def __init__(self, daemon: Any, run_dir: RunDir) -> None:
        self.daemon, self.run_dir = daemon, run_dir
        _last_words.clear()

    def end(self, reason: str) -> bool:
        """End the node with 20. The first reason counts: a program that gave one is then started in vain."""
        # In memory, for the run directory may be full or read-only; the file is for whoever looks later.
        if not _last_words:
            _last_words.append(reason)
            with contextlib.suppress(ApplianceError):
                system.replace(self.run_dir.failed, reason + "\n")
        self.daemon.options.mood = SupervisorStates.SHUTDOWN
        return True


def _hear_an_early_stop(daemon: Any) -> None:
    """Take up a SIGTERM that came while the node started, before any program is started for nothing.

    `vgw start` came here with the signal blocked; from now on supervisord has handlers.
    """

    def hear(_: Any) -> None:
        if signal.SIGTERM in signal.sigpending():
            daemon.options.mood = SupervisorStates.SHUTDOWN
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    events.subscribe(events.SupervisorRunningEvent, hear)


def _insist_on_a_stop(daemon: Any) -> None:
    """Repeat SIGTERM to the whole group of a program that is stopping, until it has.

    keepalived's child drops one that meets it while it starts, and its parent waits for the child.
    """

    def insist(*_: Any) -> None:
        groups = list(daemon.process_groups.values())
        programs = [program for group in groups for program in group.processes.values()]
        stopping = [one for one in programs if one.state == ProcessStates.STOPPING]
        for program in stopping:
            if program.config.killasgroup and program.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGTERM)
        if not stopping:
            signal.setitimer(signal.ITIMER_REAL, 0)

    signal.signal(signal.SIGALRM, insist)
    events.subscribe(
        events.ProcessStateStoppingEvent,
        lambda _: signal.setitimer(signal.ITIMER_REAL, _INSIST_SECONDS, _INSIST_SECONDS),
    )


def _hurry(daemon: Any) -> None:
    """Start the programs at once, and end without a second's wait for each."""
    poller = daemon.options.poller
    wait = poller.poll
    begun = False

    def poll(seconds: float) -> Any:
        nonlocal begun
        ending = daemon.options.mood < SupervisorStates.RUNNING
        hurry, begun = ending or not begun, True
        return wait(min(seconds, _HURRY_SECONDS) if hurry else seconds)

    poller.poll = poll


def main(run_dir: RunDir) -> int:
    """Run supervisord to its end, remove what is ours from the kernel, and return the exit code."""
    supervisord.main(["-c", str(run_dir.supervisord_conf)])
    # The last program has ended: a timer that still runs would kill this process while Python ends.
    signal.setitimer(signal.ITIMER_REAL, 0)
    cleared = system.attempt([sys.executable, "-m", "appliance", "teardown"])
    if cleared.output:
        print(cleared.output, file=sys.stderr)
    if _last_words:
        print(f"vgw: {_last_words[0].strip()}", file=sys.stderr)
        return GAVE_UP
    return cleared.returncode


if __name__ == "__main__":
    # supervisord imports this module by its name, which is another one than this: the last words must be of that.
    from appliance.processes import supervise  # noqa: PLW0406 - by that name

    sys.exit(supervise.main(RunDir(Path(sys.argv[1]))))
