"""The look at others' filters: as often as one likes, for it reads them again only where something is another one."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from appliance.filters import kernel, whose
from appliance.filters.crossings import Subject, crossings
from appliance.filters.hindrances import Hindrance, hindrances
from appliance.filters.kernel import Version
from appliance.filters.whose import Complaint

_STEADY_TRIES = 3  # of filters that change while they are read


@dataclass(frozen=True)
class Found:
    """What drops something that has to pass, surely or perhaps, and what is to be said of it."""

    version: Version | None = None
    hindrances: tuple[Hindrance, ...] = ()
    complaints: tuple[Complaint, ...] = ()


class Watch:
    """What the filters of others do with what has to pass; `ours` are our tables, by family and name."""

    def __init__(self, ours: AbstractSet[tuple[str, str]]) -> None:
        self.ours = ours
        self._found = Found()
        self._what: Subject | None = None

    def look(self, what: Subject) -> Found:
        """What is so now; where filters change all the time, what was so before. Raises OSError."""
        for _ in range(_STEADY_TRIES):
            version = kernel.version()
            if (self._found.version, self._what) == (version, what):
                break
            has_to_pass = crossings(what)
            try:
                found = hindrances(has_to_pass, kernel.foreign_chains(self.ours))
            except OSError:
                if kernel.version() == version:
                    raise
                continue  # what was to be read went meanwhile
            if kernel.version() == version:
                said = whose.complaints(found, has_to_pass)
                self._found, self._what = Found(version, found, said), what
        return self._found
