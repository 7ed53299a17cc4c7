"""Events: a JSON line for each change of role or of the replication's health."""

import json
from typing import NamedTuple

from appliance import system
from appliance.run_dir import RunDir
from appliance.status import typed_json

_MOST = 1000  # lines that are kept


class Event(NamedTuple):
    """One change of role, or of the replication's health.

    `at` in seconds since 1970. `cause` is what made the agent look. Milliseconds: `detection_ms`
    from the peer's last advert to VRRP's decision, `moved_ms` from there until the routes were
    right, `forwarded_ms` until the first packet was forwarded. `flows` is how many the table
    held. What does not apply, or was not seen in time, is null.
    """

    at: float
    node: str
    kind: str
    was: str
    now: str
    cause: str
    sentence: str
    detection_ms: float | None = None
    farewell: bool | None = None
    moved_ms: float | None = None
    forwarded_ms: float | None = None
    flows: int | None = None


def append(run_dir: RunDir, event: Event) -> None:
    """Write one event; the oldest go when there are too many."""
    path = run_dir.events
    lines = (system.read(path) or "").splitlines()[-(_MOST - 1) :]
    system.replace(
        path, "\n".join([*lines, json.dumps(typed_json.plain(event))]) + "\n", mode=0o644
    )


def read(run_dir: RunDir) -> list[Event]:
    """All events, oldest first; a line that is none is left out.

    Of an event of another version what this one knows is told (docs/compatibility.md).
    """
    found: list[Event] = []
    for line in (system.read(run_dir.events) or "").splitlines():
        try:
            found.append(typed_json.read(Event, json.loads(line)))
        except (ValueError, RecursionError):
            continue
    return found


def row(event: Event) -> str:
    """The event as one line for people."""
    figures = [
        f"{name} {value:.0f} ms"
        for name, value in (
            ("noticed after", event.detection_ms),
            ("routes", event.moved_ms),
            ("first packet", event.forwarded_ms),
        )
        if value is not None
    ]
    if event.flows is not None:
        figures.append(f"{event.flows} entries in the table")
    return event.sentence + (f" [{', '.join(figures)}]" if figures else "")
