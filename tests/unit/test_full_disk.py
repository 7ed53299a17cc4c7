"""A run directory in which nothing new can be written: the node serves, takes over and lets go without it, and says so."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance import ApplianceError, system
from appliance.commands import health_check
from appliance.planning.wanted import Names

from .agent_stand_in import Living

OWN = Names().own_table


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the file systems refuse every new file, with this error number; what is there can be written over."""

    def fill(code: int) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr("tempfile.mkstemp", refuse)

    return fill


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Living:
    return Living(monkeypatch, tmp_path)


def test_a_text_of_the_same_length_needs_no_room(
    tmp_path: Path, fill: Callable[[int], None]
) -> None:
    path = tmp_path / "ready"
    path.write_text("1\n")
    fill(errno.ENOSPC)
    system.put(path, "0\n")
    assert path.read_text() == "0\n"
    for there, text in ((path, "more\n"), (tmp_path / "none", "0\n")):
        with pytest.raises(
            ApplianceError, match="cannot be written: No space left on device; make"
        ):
            system.put(there, text)
    assert path.read_text() == "0\n"


def test_on_a_full_disk_a_node_serves_takes_over_and_lets_go(
    node: Living, fill: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    node.stand_by()
    fill(errno.ENOSPC)
    node.hold_vgw()
    node.look("keepalived said MASTER")
    assert node.sources_of(OWN) == ["203.0.113.99"]
    assert node.node.beats()[-1].role == "MASTER"
    before = node.machine.nft.with_suffix(".log").read_text().count("-f -")
    node.machine.table.unlink()
    for _ in range(5):
        node.look()
    loaded = node.machine.nft.with_suffix(".log").read_text().count("-f -") - before
    assert loaded == 1, "its rules are repaired, once"
    node.machine.table.unlink()
    node.machine.refuse_rules()
    node.look()
    assert node.run_dir.ready.read_text() == "0\n", "keepalived is told to let go"
    assert "status.json cannot be written: No space left on device; make room" in caplog.text


def test_what_conntrackd_was_told_is_not_believed_where_it_could_not_be_kept(
    node: Living, fill: Callable[[int], None]
) -> None:
    node.run_dir.settled.write_text("BACKUP 12345\n")
    fill(errno.ENOSPC)
    settled = node.agent.pair.files.settled()
    assert settled
    with pytest.raises(ApplianceError, match="settled cannot be written"):
        node.agent.pair.files.remember(replace(settled, generation=7))
    assert node.agent.pair.files.settled() is None


@pytest.mark.parametrize(
    ("flags", "room", "why"),
    [(0, 0, "full"), (os.ST_RDONLY, 10, "read-only"), (0, 10, "")],
)
def test_health_tells_why_an_old_status_was_not_replaced(
    node: Living, monkeypatch: pytest.MonkeyPatch, flags: int, room: int, why: str
) -> None:
    node.stand_by()
    monkeypatch.setenv("VGW_RUN_DIR", str(node.run_dir))
    found = SimpleNamespace(f_flag=flags, f_bavail=room, f_blocks=100)
    monkeypatch.setattr(os, "statvfs", lambda _: found)
    with pytest.raises(ApplianceError) as told:
        health_check.tell()
    assert "the agent last wrote its status" in str(told.value)
    assert (f"{node.run_dir} is {why}" in str(told.value)) is bool(why)
