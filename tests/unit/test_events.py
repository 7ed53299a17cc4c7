"""Events are read as they were written, also those of another version; what is none is left out."""

from pathlib import Path

from appliance.run_dir import RunDir
from appliance.status import events
from appliance.status.events import Event

EVENT = Event(
    at=1000.5,
    node="backup",
    kind="role",
    was="BACKUP",
    now="MASTER",
    cause="keepalived said MASTER",
    sentence="now MASTER: this node holds the VGW",
    detection_ms=310.4,
    farewell=False,
    moved_ms=2.6,
    flows=1200,
)


def test_events_there_and_back_the_oldest_go(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    assert events.read(run_dir) == []
    events.append(run_dir, EVENT)
    line = run_dir.events.read_text(encoding="utf-8")
    lines = [line.replace("1000.5", f"{at}.0") for at in range(1000)]
    run_dir.events.write_text("".join(lines), encoding="utf-8")
    events.append(run_dir, EVENT._replace(at=1000.0))
    found = events.read(run_dir)
    assert (found[0].at, found[-1]) == (1.0, EVENT._replace(at=1000.0))
    assert len(found) == 1000


def test_of_another_versions_event_what_is_known_is_told(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    events.append(run_dir, EVENT)
    line = run_dir.events.read_text(encoding="utf-8")
    wrong = [line.replace("310.4", '"long"'), line.replace('"node"', '"who"'), "[]\n", "{\n", "\n"]
    newer = line.replace("{", '{"news": [1], ', 1)
    fewer = line.replace(', "flows": 1200', "")
    run_dir.events.write_text("".join([*wrong, newer, fewer]), encoding="utf-8")
    assert events.read(run_dir) == [EVENT, EVENT._replace(flows=None)]


def test_a_row_tells_what_was_measured() -> None:
    assert events.row(EVENT) == (
        "now MASTER: this node holds the VGW "
        "[noticed after 310 ms, routes 3 ms, 1200 entries in the table]"
    )
    bare = EVENT._replace(detection_ms=None, moved_ms=None, flows=None)
    assert events.row(bare) == "now MASTER: this node holds the VGW"
