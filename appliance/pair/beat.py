"""What the two agents tell each other over the sync link, several times a second."""

import json
from dataclasses import MISSING, dataclass, fields, replace
from typing import Annotated, Protocol, get_type_hints

from appliance.vrrp import Role

BEAT_INTERVAL = 0.25  # seconds between two beats
BEAT_SILENCE = 1.5  # seconds after which a peer that beats is taken for gone
# Of the words of a beat: rises when one changes its meaning. 0: a version that told none.
SCHEMA = 1
_MOST_BYTES = 2048
# Requests and canaries are numbered from the time of day on, canaries two a second: until the year 2242.
_LATEST = 2**33


class Bounds(Protocol):
    """What the value of one field of a beat may be."""

    def admit(self, value: object) -> bool:
        """Whether it is such a value."""


@dataclass(frozen=True)
class WholeNumber:
    """A whole number from `least` to `most`."""

    most: int
    least: int = 0

    def admit(self, value: object) -> bool:
        """Whether it is such a number; True and False are none."""
        return type(value) is int and self.least <= value <= self.most


@dataclass(frozen=True)
class Age:
    """A float of 0 to `most` seconds, or None where the node cannot tell."""

    most: float = 1e9

    def admit(self, value: object) -> bool:
        """Whether it is such a float; NaN and Infinity are none."""
        return value is None or (type(value) is float and 0 <= value <= self.most)


@dataclass(frozen=True)
class Line:
    """A text of at most `longest` characters that a terminal shows in one line."""

    longest: int

    def admit(self, value: object) -> bool:
        """Whether it is such a text, without control characters or half of a surrogate pair."""
        return isinstance(value, str) and len(value) <= self.longest and value.isprintable()


@dataclass(frozen=True)
class OneOf:
    """One of these values, of the same type."""

    values: tuple[object, ...]

    def admit(self, value: object) -> bool:
        """Whether it is one of them; 1 is not True."""
        return any(type(value) is type(one) and value == one for one in self.values)


_YES_OR_NO = OneOf((True, False))
_ROLE = OneOf(tuple(map(str, Role)))


@dataclass(frozen=True)
class Beat:
    """A node's state as its peer needs to know it.

    `priority` is the configured one, `entries` the size of its connection table, `quiet` for how many
    seconds nothing outside has answered it (None: it cannot ask), `still` for how many nothing has come
    in by its LAN (None: it has none), `generation` conntrackd's process id (0: it does not run).
    `canary` is the last mark that it planted in its table as MASTER, `seen` the last one of the peer's
    that arrived in its own, and `replicas` whether its table is good enough for a takeover. `asks` is the
    number of its request for all entries, and `prepared` that of the peer's which may be made now; or 0.
    `schema` is SCHEMA of the VGW there and `version` its own, `digest` that of its file, and `config` the
    same by the formula that a node without a schema knows. `hears` is the longest packet of the peer's that
    came of late, in bytes (0: it cannot tell). `knows` is the digest that the peer told last.
    `stood` is for how many seconds it stood still as MASTER, of late (None: it did not).

    What a beat does not tell has a value that claims nothing, for the peer may be of another version:
    whoever adds a field gives it one. The first five are in the beats of every version.

    Each field names its bounds: what lies outside makes the whole datagram no beat, for any host on the
    sync link can send one.
    """

    node: Annotated[str, Line(63)]  # as `read_host_name` has it
    role: Annotated[str, _ROLE]
    ready: Annotated[bool, _YES_OR_NO]
    priority: Annotated[int, WholeNumber(254, least=1)]
    entries: Annotated[int, WholeNumber(2**31 - 1)]  # the kernel counts them in an int
    reason: Annotated[str, Line(_MOST_BYTES)] = ""
    quiet: Annotated[float | None, Age()] = None
    still: Annotated[float | None, Age()] = None
    generation: Annotated[int, WholeNumber(2**22)] = 0  # PID_MAX_LIMIT of a 64-bit kernel
    canary: Annotated[int, WholeNumber(2 * _LATEST)] = 0
    seen: Annotated[int, WholeNumber(2 * _LATEST)] = 0
    replicas: Annotated[bool, _YES_OR_NO] = False
    asks: Annotated[int, WholeNumber(_LATEST)] = 0
    prepared: Annotated[int, WholeNumber(_LATEST)] = 0
    config: Annotated[str, Line(64)] = ""
    schema: Annotated[int, WholeNumber(2**16)] = 0
    version: Annotated[str, Line(64)] = ""
    digest: Annotated[str, Line(64)] = ""
    hears: Annotated[int, WholeNumber(2**16)] = 0
    knows: Annotated[str, Line(64)] = ""
    stood: Annotated[float | None, Age()] = None


_BOUNDS: dict[str, Bounds] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Beat, include_extras=True).items()
}
_IN_EVERY_BEAT = {field.name for field in fields(Beat) if field.default is MISSING}


def pack(beat: Beat) -> bytes:
    """The beat as one datagram: JSON, so that another version's further words do no harm.

    Of a reason that is too long for a datagram the beginning is told: without a beat the peer is taken
    for gone.
    """
    datagram = json.dumps(vars(beat)).encode()
    if len(datagram) > _MOST_BYTES and beat.reason:
        return pack(replace(beat, reason=beat.reason[: len(beat.reason) // 2]))
    return datagram


def unpack(datagram: bytes) -> Beat | None:
    """The beat in a datagram, or None where it is none or one of its values is out of bounds.

    Words that this version does not know are passed over.
    """
    try:
        words = json.loads(datagram[:_MOST_BYTES].decode())
        found = {name: words[name] for name in _BOUNDS if name in words or name in _IN_EVERY_BEAT}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    for name, value in found.items():
        if not _BOUNDS[name].admit(value):
            return None
    return Beat(**found)
