"""A status.json that is none of this version's gets one sentence, from each command that reads it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import ApplianceError
from appliance.__main__ import main
from appliance.run_dir import RunDir
from appliance.status import health, metrics, status_file
from appliance.status.node_status import from_json, to_json
from appliance.status.rows import rows

from .snapshots import STANDBY, at, written

ROOT = Path(__file__).parent.parent.parent
WHOLE: dict[str, Any] = json.loads(to_json(STANDBY))
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**63, -(2**63), 10**400, 1e308, 0.5),
    *(float("nan"), float("inf"), float("-inf")),
    *("", "MASTER", "LEADER", "a\nb", "\ud800", "\x7f", "\u202e", "x" * 500),
    *([], {}, ["a", 1], {"a": 1}, [[]], {"\n\x7f\ud800": {}}),
)


def places(value: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to each value in a snapshot's JSON, the whole first."""
    yield way
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*way, key))


def changed(way: tuple[str, ...], value: object) -> str:
    """A snapshot's JSON with another value at that place, or none where that is DELETED."""
    if not way:
        return json.dumps(value)
    found = json.loads(to_json(STANDBY))
    part = found
    for step in way[:-1]:
        part = part[step]
    if value is DELETED:
        del part[way[-1]]
    else:
        part[way[-1]] = value
    return json.dumps(found)


DELETED = object()
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.sampled_from(HOSTILE) | st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=4
)
PLACES = tuple(places(WHOLE))


def read_or_refuse(text: str) -> None:
    """Have every reader read this, or one sentence say why none can."""
    try:
        snapshot = from_json(text, "/run/vgw/status.json")
    except ApplianceError as error:
        sentence = str(error)
        assert sentence.startswith("/run/vgw/status.json ")
        assert sentence.isprintable()
        assert len(sentence) < 500
        return
    assert from_json(to_json(snapshot)) == snapshot
    metrics.text(snapshot, at(1060.0)).encode()
    health.sickness(snapshot, at(1060.0))
    for name, value in rows(snapshot, at(1060.0)):
        f"{name} {value}".encode()


@given(st.sampled_from(PLACES), VALUES)
def test_any_value_at_any_place_is_read_or_refused(way: tuple[str, ...], value: object) -> None:
    read_or_refuse(changed(way, value))


@given(st.integers(0, len(to_json(STANDBY))), st.integers(0, 40), st.text(max_size=20))
def test_any_damage_is_read_or_refused(at: int, gone: int, put: str) -> None:
    text = to_json(STANDBY)
    read_or_refuse(text[:at] + put + text[at + gone :])


@pytest.mark.parametrize("way", [way for way in PLACES if way != ("schema",)], ids=".".join)
def test_no_key_of_another_type_is_taken(way: tuple[str, ...]) -> None:
    for value in ([1], float("nan"), 10**400):
        with pytest.raises(ApplianceError, match=r" is damaged \("):
            from_json(changed(way, value))


def test_what_is_wrong_is_named_with_its_place() -> None:
    for way, value, said in (
        (("pair", "peer", "entries"), "many", 'pair.peer.entries is "many", not a whole number'),
        (("pair", "degraded"), None, "pair.degraded is null, not a text"),
        (("role",), "LEADER", 'role is "LEADER", not MASTER or BACKUP or FAULT'),
        (("problems",), "none", 'problems is "none", not a list'),
        (("promise",), [], "promise is [], not an object"),
        (("since",), DELETED, "since is missing"),
        (("programs", "agent"), 1, 'programs."agent" is 1, not a text'),
    ):
        with pytest.raises(ApplianceError) as caught:
            from_json(changed(way, value))
        assert f"status.json is damaged ({said}): " in str(caught.value)


def test_of_the_same_schema_more_is_taken() -> None:
    more = WHOLE | {"news": 1}
    more["pair"] = more["pair"] | {"more": {"deep": []}}
    assert from_json(json.dumps(more)) == STANDBY


# What a node of 01f73eb writes: without a schema number.
OLDER = {key: value for key, value in WHOLE.items() if key not in ("schema", "version")}
BAD = {
    "empty": ("", "is damaged (Expecting value"),
    "cut": (to_json(STANDBY)[:300], "is damaged ("),
    "no text": ("\udcff\udcfe{}", "is damaged ("),
    "no object": ("[1]", "is damaged (the whole is [1], not an object)"),
    "deep": ("[" * 100_000, "is damaged ("),
    "older": (
        json.dumps(OLDER),
        "was written by another version of VGW (no schema number, this one reads 1)",
    ),
    "newer": (
        json.dumps(WHOLE | {"schema": 3, "pair": []}),
        "was written by another version of VGW (schema 3, this one reads 1)",
    ),
    "foreign": ('{"node": "x", "new": 1}', "no schema number"),
    "a leaf": (changed(("pair", "peer", "seen"), "5"), 'pair.peer.seen is "5"'),
}


@pytest.mark.parametrize("command", ["status", "health", "metrics", "switchover"])
@pytest.mark.parametrize("name", BAD)
def test_each_command_tells_one_sentence_and_no_traceback(
    command: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, said = BAD[name]
    (tmp_path / "status.json").write_bytes(text.encode(errors="surrogateescape"))
    monkeypatch.setenv("VGW_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["vgw", command])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (1, "")
    assert told.err.startswith(f"vgw: {tmp_path}/status.json ")
    assert said in told.err
    assert told.err.count("\n") == 1


def run(
    command: str, run_dir: Path, argv: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    """What a user types, beside a node whose files are there."""
    return subprocess.run(
        argv or [sys.executable, "-m", "appliance", command],
        cwd=ROOT,
        env=os.environ | {"VGW_RUN_DIR": str(run_dir)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_where_nobody_runs_or_nobody_may_look_that_is_said(tmp_path: Path) -> None:
    assert "no gateway runs here: there is no " in run("health", tmp_path).stderr
    (tmp_path / "status.json").mkdir()
    with pytest.raises(ApplianceError, match=r"status.json cannot be read: Is a directory; "):
        status_file.read(RunDir(tmp_path))


def test_health_says_the_same_with_and_without_the_command_line(tmp_path: Path) -> None:
    whole = [sys.executable, "-c", "from appliance.commands.cli import run; run(['health'])"]
    # Fresh for a minute: on a busy machine four starts of Python take longer than a status may be old.
    fresh = written(STANDBY, ago=-60)
    for snapshot, code, stdout, stderr in (
        (fresh, 0, "master is BACKUP and healthy\n", ""),
        (fresh._replace(problems=("no rules",)), 1, "", "master is not healthy: no rules\n"),
    ):
        (tmp_path / "status.json").write_text(to_json(snapshot), encoding="utf-8")
        quick, slow = run("health", tmp_path), run("health", tmp_path, whole)
        assert (quick.returncode, quick.stdout) == (slow.returncode, slow.stdout) == (code, stdout)
        assert quick.stderr == (f"vgw: {stderr}" if stderr else "")
        assert slow.stderr.endswith(stderr)


def test_health_imports_no_command_line_and_nothing_that_is_slow_to_import() -> None:
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "appliance", "health"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stderr
    modules = {line.rpartition("|")[2].strip() for line in told.splitlines()}
    assert "appliance.commands.health_check" in modules
    slow = {
        "click",
        "pydantic",
        "dataclasses",
        "inspect",
        "subprocess",
        "tempfile",
        "logging",
        "pathlib",
    }
    assert not modules & slow
