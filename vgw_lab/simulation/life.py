"""When an agent's process runs: it is woken, late or early; it is frozen, dies, and another one begins."""

from random import Random

from vgw_lab.simulation.agent import Agent
from vgw_lab.simulation.timeline import Timeline

PROMPT = 0.002  # seconds within which an agent that is woken runs, on a machine with time
CALM = 0.24  # seconds to which a wait is drawn out where nothing has happened for long


class Life:
    """The process of one node's agent."""

    def __init__(self, timeline: Timeline, chance: Random, rate: float) -> None:
        self.timeline, self.chance, self.rate = timeline, chance, rate
        self.agent: Agent | None = None
        self.frozen = False
        # Something of this machine is to be looked at.
        self.local = False
        # What keepalived has said since it ran last.
        self.lines: tuple[str, ...] = ()
        # Seconds by which a machine that is busy lets it run late, at most.
        self.busy = 0.0
        # Until when each word is heard as it comes; later what has come is read with the next beat.
        self.eager_until = 0.0
        self.turn = 0

    @property
    def runs(self) -> bool:
        """Whether it is there, and is let run."""
        return self.agent is not None and not self.frozen

    def begin(self, agent: Agent) -> None:
        """An agent begins."""
        self.agent, self.frozen, self.local, self.lines = agent, False, True, ()
        self._soon()

    def die(self) -> None:
        """It is killed."""
        self.agent, self.frozen, self.turn = None, False, self.turn + 1

    def freeze(self) -> None:
        """It stands still."""
        self.frozen, self.turn = True, self.turn + 1

    def thaw(self) -> None:
        """It goes on."""
        self.frozen = False
        self._soon()

    def wake(self) -> None:
        """The kernel or keepalived has something for it."""
        self.local = True
        self._soon()

    def hear(self) -> None:
        """A beat is there."""
        if self.timeline.now < self.eager_until:
            self._soon()

    def order_ended(self) -> None:
        """conntrackd has done what it was told."""
        self._soon()

    def _soon(self) -> None:
        if self.runs:
            self._plan((PROMPT + self.busy) * self.chance.random())

    def _plan(self, seconds: float) -> None:
        self.turn += 1
        turn = self.turn
        self.timeline.after(seconds, lambda: self._run(turn))

    def _run(self, turn: int) -> None:
        if turn != self.turn or not self.agent or self.frozen:
            return
        local, self.local = self.local, False
        lines, self.lines = self.lines, ()
        wait = self.agent.step(lines, local=local) / self.rate
        if turn != self.turn:
            return
        if self.timeline.now > self.eager_until:
            wait = max(wait, CALM)
        self._plan(wait + (0.0005 + self.busy) * self.chance.random())
