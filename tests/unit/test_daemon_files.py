"""The daemons' files: what differs is written after its daemon has read it, and a running keepalived reads it again."""

from pathlib import Path

import pytest

from appliance import CommandFailed
from appliance.drivers import files
from appliance.planning.wanted import File
from appliance.run_dir import RunDir

from .program_stand_ins import CONNTRACKD, KEEPALIVED, installed
from .supervisord_stand_in import supervisord

WANTED = (
    File("keepalived.conf", "vrrp_instance gateway {}\n"),
    File("conntrackd.conf", "Sync {}\n"),
)


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    installed(monkeypatch, tmp_path, "keepalived", KEEPALIVED)
    installed(monkeypatch, tmp_path, "conntrackd", CONNTRACKD)
    return RunDir(tmp_path / "run")


def test_files_are_written_once_and_those_not_wanted_go(run_dir: RunDir) -> None:
    changes = files.diff(WANTED, run_dir)
    assert [str(change) for change in changes] == [
        f"+ file {run_dir}/keepalived.conf",
        f"+ file {run_dir}/conntrackd.conf",
    ]
    files.apply(changes)
    assert {path.name: path.read_text() for path in run_dir.path.iterdir()} == {
        file.name: file.text for file in WANTED
    }
    assert files.diff(WANTED, run_dir) == ()
    (unwanted,) = files.diff(WANTED[:1], run_dir)
    assert str(unwanted) == f"- file {run_dir}/conntrackd.conf"
    files.apply([unwanted])
    assert [path.name for path in run_dir.path.iterdir()] == ["keepalived.conf"]


def test_a_keepalived_that_runs_reads_its_changed_file_again_and_a_new_one_needs_not(
    run_dir: RunDir,
) -> None:
    run_dir.path.mkdir()
    with supervisord(run_dir, keepalived=12, conntrackd=13) as told:
        files.apply(files.diff(WANTED, run_dir))
        assert told.signals == []
        changed = tuple(File(file.name, "# new\n") for file in WANTED)
        changes = files.diff(changed, run_dir)
        assert [change.sign for change in changes] == ["~", "~"]
        files.apply(changes)
        assert told.signals == [("keepalived", "HUP")]


@pytest.mark.parametrize(
    ("daemon", "words"), [("keepalived", "1:broken"), ("conntrackd", ".* symbol 'broken'")]
)
def test_a_file_that_its_daemon_refuses_leaves_the_former_one_in_place(
    run_dir: RunDir, daemon: str, words: str
) -> None:
    files.apply(files.diff(WANTED, run_dir))
    broken = files.diff((File(f"{daemon}.conf", "broken\n"),), run_dir)[:1]
    for deed in (files.try_out, files.apply):
        with pytest.raises(
            CommandFailed, match=f"{daemon} refuses the file rendered for it: {words}"
        ):
            deed(broken)
    (former,) = (file.text for file in WANTED if file.name == f"{daemon}.conf")
    assert (run_dir.path / f"{daemon}.conf").read_text() == former
    assert not list(run_dir.path.glob("*.trial"))


def test_keepalived_is_asked_to_test_and_not_to_run(run_dir: RunDir, tmp_path: Path) -> None:
    files.apply(files.diff(WANTED, run_dir))
    (asked,) = (tmp_path / "keepalived.log").read_text().splitlines()
    assert asked == f"--config-test --use-file {run_dir}/keepalived.conf.trial"


def test_a_conntrackd_that_runs_is_not_asked_when_its_file_is_tried_out(
    run_dir: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path, "conntrackd", '#!/bin/sh\ncat "$2" >"$0.read"\n')
    files.apply(
        files.diff((File("conntrackd.conf", f"Path {run_dir.conntrackd_socket}\n"),), run_dir)
    )
    assert (tmp_path / "conntrackd.read").read_text() == f"Path {run_dir}/conntrackd.ctl.trial\n"
