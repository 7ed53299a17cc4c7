"""What the agent was asked to do, and has not done or answered yet."""

from dataclasses import dataclass, field
from typing import Protocol

from appliance.conntrack.ending import Ended
from appliance.conntrack.passing import Passing
from appliance.control.words import ApplyAnswer, ApplyRequest
from appliance.site.accepted import Accepted


class Asker(Protocol):
    """Who asks the agent to take up its file, and is told what came of it."""

    request: ApplyRequest

    def answer(self, answer: ApplyAnswer) -> None:
        """Hear the answer; never raises."""


class FlowEndDoor(Protocol):
    """Ends flows in the kernel's table, while nobody waits for it (`conntrack.ending`)."""

    def begin(self, former: Passing, now: Passing, at: float) -> None:
        """Begin to end those that only the former file lets pass."""

    def is_over(self, at: float) -> bool:
        """Whether there is an outcome to take."""

    def outcome(self, at: float) -> Ended | None:
        """What came of it, once."""


class Unheard:
    """Who asks and hears no answer, as by HUP; the log tells all the same."""

    def __init__(self) -> None:
        self.request = ApplyRequest()

    def answer(self, answer: ApplyAnswer) -> None:
        """There is nobody to hear it."""


@dataclass(frozen=True)
class Waiting:
    """A good file that is not put in force yet.

    `words` are those that both nodes must say alike, and that it says differently; without any it waits for the peer to lead
    alone. `since`: since when it waits for nothing else, on the monotonic clock; None where the peer has yet to have it.
    `keep_flows`: flows that it does not allow are left alone.
    """

    found: Accepted
    words: tuple[str, ...] = ()
    since: float | None = None
    keep_flows: bool = False


@dataclass
class Requests:
    """Those that were not looked at yet, the file that waits with who waits for it, and the answers that are due.

    An answer is given when the status tells of what it says. `ending`: what was changed, while `end` ends flows for it.
    """

    end: FlowEndDoor
    ending: tuple[str, ...] | None = None
    new: list[Asker] = field(default_factory=list)
    waiting: Waiting | None = None
    askers: list[Asker] = field(default_factory=list)
    due: list[tuple[Asker, ApplyAnswer]] = field(default_factory=list)

    def resolve(self, answer: ApplyAnswer) -> None:
        """Have this answer due for all who wait."""
        self.due += [(asker, answer) for asker in self.askers]
        self.askers = []

    def answer(self) -> None:
        """Give the answers that are due."""
        due, self.due = self.due, []
        for asker, answer in due:
            asker.answer(answer)
