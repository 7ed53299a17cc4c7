"""All that the agent waits for: keepalived's FIFO, signals, the kernel's word, commands, and the pair's sockets."""

import select
from collections.abc import Sequence
from typing import NamedTuple

from appliance.agent import kernel_events, notify
from appliance.agent.requests import Asker
from appliance.control.hearing import ControlSocket
from appliance.run_dir import RunDir


class Heard(NamedTuple):
    """What has come.

    `lines` are keepalived's; `local`: something of this machine, so that a look at it is due. `asked` are commands.
    `others`: something by which the pair hears.
    """

    lines: tuple[str, ...] = ()
    local: bool = False
    asked: tuple[Asker, ...] = ()
    others: bool = False


class Sources:
    """Opened once, for as long as the agent lives; `notices` are the firewall's groups of netlink messages."""

    def __init__(self, run_dir: RunDir, notices: Sequence[tuple[int, int]]) -> None:
        self._fifo = notify.Fifo(run_dir.notify_fifo)
        self._signals = notify.Signals()
        self._commands = ControlSocket(run_dir.agent_socket)
        self._queues = (*kernel_events.listen(*notices), self._signals.reader)
        self._local = {self._fifo.fileno(), *(queue.fileno() for queue in self._queues)}

    def wait(self, others: Sequence[int], seconds: float) -> Heard:
        """What has come, at the latest after so many seconds; also when one of the others has something."""
        ends = (*self._local, *self._commands.filenos(), *others)
        heard = set(select.select(ends, [], [], seconds)[0])
        asked, hears = self._commands.hear(), not heard.isdisjoint(others)
        if heard.isdisjoint(self._local):
            return Heard(asked=asked, others=hears)
        for queue in self._queues:
            kernel_events.drain(queue)
        lines = tuple(self._fifo.lines()) if self._fifo.fileno() in heard else ()
        return Heard(lines, local=True, asked=asked, others=hears)

    def listen(self) -> None:
        """Have commands find this agent. Raises ApplianceError with the reason where they cannot."""
        self._commands.listen()

    def close(self) -> None:
        """Have commands find nobody here any more."""
        self._commands.close()

    def told_to_stop(self) -> bool:
        """Whether TERM or INT has come."""
        return self._signals.stop

    def told_to_reload(self) -> bool:
        """Whether HUP has come since this was asked last."""
        told, self._signals.reload = self._signals.reload, False
        return told
