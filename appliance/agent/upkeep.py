"""What the agent keeps right: what had drifted and was repaired, and what could not be put right. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from appliance.planning.wanted import Change


@dataclass(frozen=True)
class Upkeep:
    """How much was repaired in all, what it was the last time, and what is wrong now."""

    repairs: int = 0
    repaired: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def after(self, changes: Sequence[Change]) -> "Upkeep":
        """With these repairs."""
        repairs = self.repairs + len(changes)
        return replace(self, repairs=repairs, repaired=tuple(map(str, changes)))

    def beside(self, problems: tuple[str, ...]) -> "Upkeep":
        """With these problems, and no others."""
        return replace(self, problems=problems)

    def lacks(self, problems: tuple[str, ...]) -> tuple[str, ...]:
        """Those of these problems that are not known yet."""
        return tuple(one for one in problems if one not in self.problems)
