"""Programs and files by the one door: how a program ended, and files that are never half there."""

import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance import ApplianceError, CommandFailed, MissingProgram, system


def test_a_program_that_must_succeed_says_why_it_did_not() -> None:
    assert system.run(["cat"], text="in and out") == "in and out"
    with pytest.raises(CommandFailed, match=r"^sh -c echo no; exit 3: exit code 3: no$"):
        system.run(["sh", "-c", "echo no; exit 3"])
    with pytest.raises(CommandFailed, match=r"^false: exit code 1: it said nothing$"):
        system.run(["false"])


def test_a_program_that_does_not_end_is_stopped() -> None:
    began = time.monotonic()
    with pytest.raises(CommandFailed, match=r"^sleep 60: no end after 0\.1 s; stopped it$"):
        system.attempt(["sleep", "60"], timeout=0.1)
    assert time.monotonic() - began < 30


def test_a_program_that_is_not_there_is_named_with_what_to_install() -> None:
    with pytest.raises(MissingProgram, match=r"^vgw-no-such: program not found; install the"):
        system.run(["vgw-no-such"])


def test_administrators_programs_are_found_by_what_a_process_becomes(tmp_path: Path) -> None:
    code = (
        "from appliance import system; system.become(['/bin/sh', '-c', 'echo $PATH; echo end >&2'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/somewhere"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ":".join(("/somewhere", *system.ADMIN_PATHS)) + "\n"
    assert done.stderr == "end\n"


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert system.read(path) is None
    system.replace(path, "one")
    system.replace(path, "two", mode=0o644)
    assert (system.read(path), stat.S_IMODE(path.stat().st_mode)) == ("two", 0o644)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert system.read(path / "below a file") is None
    system.remove(path)
    system.remove(path)
    assert not path.exists()


def test_a_file_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    place = tmp_path / "place"
    (place / "full").mkdir(parents=True)
    (place / "full" / "of").touch()
    with pytest.raises(ApplianceError, match="cannot be written: Is a directory"):
        system.replace(place / "full", "text")
    assert [path.name for path in place.iterdir()] == ["full"]


def test_a_directory_is_tried_out_by_a_file_that_is_gone_after(tmp_path: Path) -> None:
    system.try_out(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No such file"):
        system.try_out(tmp_path / "none")


def test_this_process_has_some_memory_but_not_that_of_the_machine() -> None:
    assert 1 < system.resident_mb() < 10_000
