"""The product without the lab: what a wheel holds, and what `vgw` says where no lab is installed."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from typer.main import get_command

from appliance.commands import lab_door
from vgw_lab.commands import commands

ROOT = Path(__file__).parents[2]
# Runs `vgw` as installed from the wheel: its packages are there, and no checkout.
INSTALLED = """
import sys
sys.path[:0] = [sys.argv.pop(1), sys.argv.pop(1)]
from appliance.__main__ import main
try:
    main()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source, unpacked; its builder is a part of what set-up installs."""
    made = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (file,) = made.glob("*.whl")
    zipfile.ZipFile(file).extractall(made / "unpacked")
    return made / "unpacked"


def vgw(wheel: Path, run_dir: Path, *words: str) -> tuple[int, str, str, set[str]]:
    """Its exit code, its output, its errors, and the packages that it had imported in the end."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", INSTALLED, wheel, sysconfig.get_path("purelib"), *words],
        env={"VGW_RUN_DIR": str(run_dir)},
        cwd=run_dir,
        capture_output=True,
        text=True,
        check=False,
    )
    *errors, modules = done.stderr.splitlines()
    return done.returncode, done.stdout, "\n".join(errors), set(modules.split())


def test_the_wheel_holds_the_product_alone(wheel: Path) -> None:
    files = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    assert "appliance/planning/templates/keepalived.conf.j2" in files
    assert {name.partition("/")[0] for name in files if ".dist-info/" not in name} == {"appliance"}


def test_the_plain_install_asks_for_nothing_that_only_the_lab_uses(wheel: Path) -> None:
    (metadata,) = wheel.glob("*.dist-info/METADATA")
    asked = [
        line
        for line in metadata.read_text().splitlines()
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]
    assert any("click" in line for line in asked)
    assert [line for line in asked if "rich" in line or "typer" in line or "docker" in line] == []


def test_a_command_of_the_product_loads_nothing_of_the_lab(wheel: Path, tmp_path: Path) -> None:
    code, _, errors, modules = vgw(wheel, tmp_path, "status")
    assert (code, errors.startswith("vgw: no gateway runs here")) == (1, True), errors
    assert {"appliance", "click"} <= modules
    assert not {"vgw_lab", "rich", "typer"} & modules


@pytest.mark.parametrize("command", lab_door.LAB_COMMANDS)
def test_without_the_lab_its_commands_say_how_to_get_it(
    command: str, wheel: Path, tmp_path: Path
) -> None:
    code, output, errors, _ = vgw(wheel, tmp_path, command, "--help")
    assert (code, output, errors) == (1, "", f"vgw: {lab_door.NO_LAB.format(command)}")


def test_without_the_lab_the_help_lists_none_of_its_commands(wheel: Path, tmp_path: Path) -> None:
    _, output, _, _ = vgw(wheel, tmp_path, "--help")
    listed = {line.split()[0] for line in output.partition("Commands:")[2].splitlines() if line}
    assert "switchover" in listed
    assert not listed & set(lab_door.LAB_COMMANDS)


def test_the_door_names_the_labs_commands_in_the_labs_own_words() -> None:
    own = get_command(commands.app).commands  # type: ignore[attr-defined]
    assert {
        name: command.get_short_help_str(200) for name, command in own.items()
    } == lab_door.LAB_COMMANDS


def test_with_the_lab_the_help_lists_its_commands_and_loads_none(tmp_path: Path) -> None:
    code, output, _, modules = vgw(ROOT, tmp_path, "--help")
    assert code == 0
    listed = {line.split()[0] for line in output.partition("Commands:")[2].splitlines() if line}
    assert set(lab_door.LAB_COMMANDS) <= listed
    assert "vgw_lab" not in modules


def test_a_package_that_the_lab_needs_is_named_when_it_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "vgw_lab.commands.commands", None)
    with pytest.raises(Exception, match=r"lab: the Python package .* is missing.*--editable"):
        lab_door.run(["lab", "up"])
