"""What becomes of the connection table before a conntrackd starts, and that supervisord asks for it rightly."""

import errno
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.conntrack import start_conntrackd
from appliance.conntrack.start_conntrackd import deletions, options

from .kernel_stand_ins import opened, refused

GOLDEN = Path(__file__).parents[1] / "golden" / "01-standard" / "master.plan"


def test_the_master_keeps_its_flows() -> None:
    assert deletions(True, "203.0.113.99") == []


def test_who_cannot_tell_whether_it_is_master_keeps_them_too() -> None:
    assert deletions(None, "203.0.113.99") == []


def test_a_standby_drops_what_is_translated_in_either_direction() -> None:
    assert deletions(False, "203.0.113.99") == [
        ["conntrack", "--delete", "--reply-dst", "203.0.113.99"],
        ["conntrack", "--delete", "--orig-dst", "203.0.113.99"],
    ]


def test_supervisord_starts_it_with_a_file_of_words_that_it_knows(tmp_path: Path) -> None:
    plan = GOLDEN.read_text()
    command = re.search(r"command = .*start_conntrackd @/run/vgw/(.*)", plan)
    assert command
    words = re.search(rf"^===== {command[1]} =====\n(.*?)^=====", plan, re.DOTALL | re.MULTILINE)
    assert words
    file = tmp_path / command[1]
    file.write_text(words[1].rstrip("\n") + "\n")
    assert vars(options().parse_args([f"@{file}"])) == {
        "vgw": "192.168.100.99",
        "wan_vip": "203.0.113.99",
        "conf": "/run/vgw/conntrackd.conf",
        "left": ["/run/vgw/conntrackd.lock", "/run/vgw/conntrackd.ctl"],
    }


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that has conntrack(8) alone, which logs what it was asked and finds nothing to delete."""
    place = tmp_path / "bin"
    place.mkdir()
    install(place, "conntrack", "echo nothing deleted; exit 1")
    monkeypatch.setenv("PATH", str(place))
    return place


def install(place: Path, name: str, does: str) -> None:
    (place / name).write_text(f'#!/bin/sh\necho "$*" >> "$0.log"\n{does}\n')
    (place / name).chmod(0o755)


def asked(place: Path, name: str) -> list[str]:
    log = place / f"{name}.log"
    return log.read_text().splitlines() if log.exists() else []


def words(tmp_path: Path, vgw: str) -> list[str]:
    left = [str(tmp_path / name) for name in ("lock", "gone")]
    return ["--vgw", vgw, "--wan-vip", "203.0.113.99", "--conf", "/c.conf", "--left", *left]


@pytest.mark.parametrize(
    ("vgw", "deleted"),
    [("127.0.0.1", []), ("192.0.2.1", [line[1:] for line in deletions(False, "203.0.113.99")])],
)
def test_the_process_becomes_conntrackd_when_all_is_done(
    tmp_path: Path, programs: Path, vgw: str, deleted: list[list[str]]
) -> None:
    install(programs, "conntrackd", "echo it runs")
    (tmp_path / "lock").touch()
    module = "appliance.conntrack.start_conntrackd"
    done = subprocess.run(
        [sys.executable, "-m", module, *words(tmp_path, vgw)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "it runs\n", "")
    assert asked(programs, "conntrackd") == ["-C /c.conf"]
    assert asked(programs, "conntrack") == [" ".join(line) for line in deleted]
    assert not (tmp_path / "lock").exists()


def test_without_conntrackd_it_ends_with_the_reason_and_has_cleaned_up(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").touch()
    monkeypatch.setattr(sys, "argv", ["start", *words(tmp_path, "192.0.2.1")])
    with pytest.raises(SystemExit, match="conntrackd could not be started: No such file"):
        start_conntrackd.main()
    assert len(asked(programs, "conntrack")) == 2
    assert not (tmp_path / "lock").exists()


def test_without_conntrack_nothing_is_deleted_and_it_goes_on(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (programs / "conntrack").unlink()
    monkeypatch.setattr(sys, "argv", ["start", *words(tmp_path, "192.0.2.1")])
    with pytest.raises(SystemExit, match="conntrackd could not be started: No such file"):
        start_conntrackd.main()


def test_who_gets_no_answer_about_the_vgw_says_so_and_deletes_nothing(
    tmp_path: Path,
    programs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened(monkeypatch).lead(socket.AF_NETLINK, to=refused(errno.EMFILE))
    monkeypatch.setattr(sys, "argv", ["start", *words(tmp_path, "192.0.2.1")])
    with pytest.raises(SystemExit):
        start_conntrackd.main()
    assert asked(programs, "conntrack") == []
    assert "whatever is in the connection table stays there: the kernel" in capsys.readouterr().err
