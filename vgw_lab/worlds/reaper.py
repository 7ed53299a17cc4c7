"""The first process of a world or of a machine: it waits for whatever dies, and does no more."""

import contextlib
import os
import signal


def reap() -> None:
    """Wait for children for ever; ends only when it is killed, and its namespaces with it."""
    # Blocked, so that none slips in between a look for the dead and the wait for the next.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        signal.sigwait({signal.SIGCHLD})


if __name__ == "__main__":
    # `docker stop` of a machine: end at once.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    reap()
