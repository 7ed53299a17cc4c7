"""supervisord in this process, and its end as an exit code that tells what happened.

supervisord alone ends with 0 whatever became of its programs, so that nobody would start the node
again. It is run as `python -m appliance.supervise RUN_DIR`; small, for it lives as long as the node.
"""

import signal
import sys
from pathlib import Path
from typing import Any

from supervisor import events, supervisord
from supervisor.states import SupervisorStates

from appliance import system

GAVE_UP = 20


def watch(daemon: Any, run_dir: str) -> object:
    """Shut everything down when a program cannot be kept alive; a factory of supervisord's rpcinterface.

    Such a factory is supervisord's own door for extensions; this one adds no call to the interface.
    `vgw start` came here with SIGTERM blocked: it is heard from when supervisord has its handlers.
    """

    def end_node(event: Any) -> None:
        name = event.process.config.name
        reason = f"{name} could not be kept alive; the node ends (its last words are in the log)"
        system.replace(Path(run_dir) / "failed", reason + "\n")
        daemon.options.mood = SupervisorStates.SHUTDOWN

    def hear_signals(_: Any) -> None:
        if signal.SIGTERM in signal.sigpending():
            daemon.options.mood = SupervisorStates.SHUTDOWN  # before any program is started
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    events.subscribe(events.ProcessStateFatalEvent, end_node)
    events.subscribe(events.SupervisorRunningEvent, hear_signals)
    return object()


def main(run_dir: Path) -> int:
    """Run supervisord to its end, remove what is ours from the kernel, and return the exit code."""
    supervisord.main(["-c", str(run_dir / "supervisord.conf")])
    cleared = system.attempt([sys.executable, "-m", "appliance", "teardown"])
    if cleared.output:
        print(cleared.output, file=sys.stderr)
    reason = system.read(run_dir / "failed")
    if reason:
        print(f"vgw: {reason.strip()}", file=sys.stderr)
        return GAVE_UP
    return cleared.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
