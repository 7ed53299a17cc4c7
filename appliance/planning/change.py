"""One difference between the machine and the plan, as drivers report it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """What a driver would do: `sign` is + (add), - (remove) or ~ (alter), `what` a phrase for people.

    `payload` is the driver's own note of how to do it; nobody else reads it.
    """

    sign: str
    what: str
    payload: Any = None

    def __str__(self) -> str:
        return f"{self.sign} {self.what}"
