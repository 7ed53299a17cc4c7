"""What an agent goes by: the operator's file, what it took up before, or nothing."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import ApplianceError
from appliance.run_dir import RunDir
from appliance.site import accepted

GOOD = (Path(__file__).parents[1] / "golden" / "01-standard" / "gateway.yaml").read_bytes()
BREAKS: dict[str, Callable[[Path], object]] = {
    "a wrong value": lambda path: path.write_bytes(
        GOOD.replace(b"priority: 90", b"priority: none")
    ),
    "half a file": lambda path: path.write_bytes(GOOD[: len(GOOD) // 2]),
    "nothing in it": lambda path: path.write_bytes(b""),
    "not text": lambda path: path.write_bytes(b"\xff\xfe"),
    "no file": lambda path: path.unlink(),
    "a directory": lambda path: (
        path.rename(path.parent / "away").parent.joinpath(path.name).mkdir()
    ),
    "other nodes": lambda path: path.write_bytes(GOOD.replace(b"  master:", b"  other:")),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def test_a_good_file_is_in_force_and_kept_as_it_was_given(file: Path, run_dir: RunDir) -> None:
    file.write_bytes(text := b"# caf\xc3\xa9\r\n" + GOOD)
    found = accepted.at_start(file, run_dir, "master")
    assert (found.node, found.file_errors) == ("master", ())
    accepted.keep(run_dir, found)
    assert run_dir.accepted.read_bytes() == text
    assert stat.S_IMODE(run_dir.accepted.stat().st_mode) == 0o600


def changed(file: Path) -> None:
    file.write_bytes(GOOD.replace(b"203.0.113.99", b"203.0.113.98"))


@pytest.mark.parametrize("became", [*BREAKS.values(), changed], ids=[*BREAKS, "another good one"])
def test_who_took_one_up_begins_by_it_whatever_became_of_the_file(
    file: Path, run_dir: RunDir, became: Callable[[Path], object]
) -> None:
    former = accepted.from_file(file, "master")
    accepted.keep(run_dir, former)
    became(file)
    found = accepted.at_start(file, run_dir, "master")
    assert (found.config, found.text) == (former.config, former.text)
    errors = ""
    try:
        accepted.from_file(file, "master")
    except ApplianceError as error:
        errors = str(error)
    assert "\n".join(found.file_errors) == errors


def test_a_file_that_did_not_change_is_read_and_warned_of_once(
    file: Path, run_dir: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(
        GOOD.replace(b"profile: standard", b"advert_interval: 0.05, realtime_priority: 0")
    )
    accepted.keep(run_dir, accepted.from_file(file, "master"))
    (warning,) = capsys.readouterr().err.splitlines()
    accepted.at_start(file, run_dir, "master")
    assert capsys.readouterr().err.splitlines() == [warning]


@pytest.mark.parametrize("broken", BREAKS)
def test_what_was_taken_up_and_cannot_be_used_any_more_is_no_help_and_no_harm(
    file: Path, run_dir: RunDir, broken: str
) -> None:
    accepted.keep(run_dir, accepted.from_file(file, "master"))
    BREAKS[broken](run_dir.accepted)
    assert accepted.at_start(file, run_dir, "master") == accepted.from_file(file, "master")


@pytest.mark.parametrize("broken", BREAKS)
@pytest.mark.parametrize("former", BREAKS)
def test_who_has_none_to_go_by_says_what_is_wrong_with_the_file_and_what_to_do(
    file: Path, run_dir: RunDir, broken: str, former: str
) -> None:
    run_dir.path.mkdir()
    run_dir.accepted.write_bytes(GOOD)
    BREAKS[former](run_dir.accepted)
    BREAKS[broken](file)
    with pytest.raises(ApplianceError) as reason:
        accepted.from_file(file, "master")
    with pytest.raises(accepted.NothingToGoBy) as error:
        accepted.at_start(file, run_dir, "master")
    assert error.value.exit_code == 2
    assert str(error.value).startswith(f"{reason.value}\n{run_dir.accepted}, where the last good")
    assert str(error.value).endswith("mend the file and start the node")


def test_of_very_many_errors_the_first_are_kept(file: Path) -> None:
    error = ApplianceError("\n".join(f"line {number}" for number in range(1, 14)))
    file_errors = accepted.beside_error(accepted.from_file(file, "master"), error).file_errors
    assert (file_errors[0], file_errors[9], file_errors[10:]) == (
        "line 1",
        "line 10",
        ("and 3 more",),
    )
    ten = ApplianceError("\n".join(f"line {number}" for number in range(10)))
    assert len(accepted.beside_error(accepted.from_file(file, "master"), ten).file_errors) == 10
