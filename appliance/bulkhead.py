"""Bulkheads: what goes wrong in one step is told to the operator, and the next step goes on.

Nobody foresees each error of each driver, file, daemon and datagram. An error that ends the agent ends the guard
of the whole node; one that stays in its step costs that step.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from appliance import ApplianceError

FORGOTTEN = 10.0  # seconds after which a step that was not taken again is no problem any more
_ROOT = Path(__file__).parent

_Answer = TypeVar("_Answer")

log = logging.getLogger("vgw")
# The errors whose traceback is in the log already: step, kind and place.
_traced: set[tuple[str, str, str]] = set()


class Unforeseen(ApplianceError):
    """An error that no code of ours expected where it came up."""


class Compartment:
    """A block of which no error gets out: `told` hears of it by a sentence for an operator, `well` of there being none.

    What asks the process to end (KeyboardInterrupt, SystemExit) goes through. A class, for a judgement goes
    through some thirty of these, and a generator for each takes three times as long. It remembers nothing, so one
    may be entered again and again, and within itself.
    """

    __slots__ = ("step", "told", "well")

    def __init__(
        self, step: str, told: Callable[[str, ApplianceError], None], well: Callable[[str], None]
    ) -> None:
        self.step, self.told, self.well = step, told, well

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None:
            self.well(self.step)
        elif isinstance(error, Exception):
            self.told(self.step, _told(self.step, error))
        else:
            return False
        return error is not None


def bulkhead(step: str, tell: Callable[[ApplianceError], None]) -> Compartment:
    """Keep any error of a block in it; `tell` hears of it. `step` is what the block does, as a noun."""
    return Compartment(step, lambda _, error: tell(error), lambda _: None)


class Bulkheads:
    """The steps of one process, and what is wrong with each. Times are monotonic, in seconds.

    A problem is over when its step went well, or was not taken again for a while.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.stopped = 0
        """How many errors have been kept from going further."""
        self._problems: dict[str, tuple[str, float]] = {}
        self._steps: dict[str, Compartment] = {}

    def step(self, name: str) -> Compartment:
        """A block of which no error gets out; `name` is what it does, as a noun."""
        if name not in self._steps:
            self._steps[name] = Compartment(name, self._take, self._end)
        return self._steps[name]

    def ask(self, name: str, question: Callable[[], _Answer], otherwise: _Answer) -> _Answer:
        """The answer, or `otherwise` where there is none."""
        try:
            answer = question()
        except Exception as error:  # noqa: BLE001 - whatever it is, the step is told and the rest goes on
            self._take(name, _told(name, error))
            return otherwise
        self._end(name)
        return answer

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong now, a sentence each."""
        now = self.clock()
        for name, (_, at) in tuple(self._problems.items()):
            if now - at >= FORGOTTEN:
                self._end(name)
        return self._sentences()

    def _take(self, name: str, error: ApplianceError) -> None:
        sentence = str(error)
        self.stopped += 1
        if sentence not in self._sentences():
            log.error("%s", sentence)
        self._problems[name] = sentence, self.clock()

    def _end(self, name: str) -> None:
        if not self._problems:
            return
        sentence, _ = self._problems.pop(name, ("", 0.0))
        if sentence and sentence not in self._sentences():
            log.info("over: %s", sentence)

    def _sentences(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sentence for sentence, _ in self._problems.values()))


def _told(step: str, error: Exception) -> ApplianceError:
    """The error as a sentence; of one that nobody expected the traceback goes to the log, once for each kind and place."""
    if isinstance(error, ApplianceError):
        return error
    place, kind = _place(error.__traceback__), type(error).__name__
    if (step, kind, place) not in _traced:
        _traced.add((step, kind, place))
        log.error("%s: an error that nobody expected; the rest goes on", step, exc_info=error)
    if isinstance(error, OSError) and error.strerror:
        about = f"{error.filename}: " if error.filename else ""
        return Unforeseen(f"{step} failed: {about}{error.strerror} (at {place})")
    words = f"{kind}: {error}" if str(error) else kind
    return Unforeseen(
        f"{step} failed: {words} (at {place}); this is a fault of VGW: please report it with the log"
    )


def _place(trace: TracebackType | None) -> str:
    """Where in our own code an error came up, as in `pair/side.py:97`."""
    found = "an unknown place"
    while trace:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(_ROOT) and path != Path(__file__):
            found = f"{path.relative_to(_ROOT)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
