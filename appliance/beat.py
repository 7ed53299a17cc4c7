"""What the two agents tell each other over the sync link, several times a second."""

import json
from dataclasses import asdict, dataclass, fields, replace

INTERVAL = 0.25  # seconds between two beats
SILENCE = 1.5  # seconds after which a peer that beats is taken for gone
_MOST_BYTES = 2048


@dataclass(frozen=True)
class Beat:
    """A node's state as its peer needs to know it.

    `priority` is the configured one, `entries` the size of its connection table, `quiet` for how many
    seconds nothing outside has answered it (None: it cannot ask), `still` for how many nothing has come
    in by its LAN (None: it has none), `generation` conntrackd's process id (0: it does not run).
    `canary` is the last mark that it planted in its table as MASTER, `seen` the last one of the peer's
    that arrived in its own, and `replicas` whether its table is good enough for a takeover. `asks` is the
    number of its request for all entries, and `prepared` that of the peer's which may be made now; or 0.
    """

    node: str
    role: str
    ready: bool
    reason: str
    priority: int
    entries: int
    quiet: float | None
    still: float | None
    generation: int
    canary: int
    seen: int
    replicas: bool
    asks: int
    prepared: int
    config: str


def pack(beat: Beat) -> bytes:
    """The beat as one datagram: JSON, so that another version's extra words do no harm.

    Of a reason that is too long for a datagram the beginning is told: without a beat the peer is taken
    for gone.
    """
    datagram = json.dumps(asdict(beat)).encode()
    if len(datagram) > _MOST_BYTES and beat.reason:
        return pack(replace(beat, reason=beat.reason[: len(beat.reason) // 2]))
    return datagram


def unpack(datagram: bytes) -> Beat | None:
    """The beat in a datagram, or None where it is none."""
    try:
        words = json.loads(datagram[:_MOST_BYTES])
        beat = Beat(**{field.name: words[field.name] for field in fields(Beat)})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    numbers = (beat.priority, beat.entries, beat.generation, beat.canary, beat.seen, beat.asks)
    texts = (beat.node, beat.role, beat.reason, beat.config)
    sound = (
        all(type(number) is int for number in (*numbers, beat.prepared))
        and all(isinstance(text, str) for text in texts)
        and all(one is None or type(one) is float for one in (beat.quiet, beat.still))
    )
    return beat if sound else None
