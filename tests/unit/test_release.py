"""`make release` refuses what is not ready, and says why; what is ready it builds, and tags if asked to."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from appliance import __version__
from tests.architecture import ROOT, tracked

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git: program not found")

VERSIONED = ("appliance/__init__.py", "Dockerfile", "docs/reference.md", "docs/design.md")
ASKED = ("CHANGELOG.md", "Makefile", "setup/release.sh", ".gitignore")

# No name, signing or hook of the one who runs the tests; and no engine, whose image would take minutes.
GIT = {
    f"GIT_{who}_{what}": "vgw@test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
WORLD = {
    **GIT,
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "HOME": "/nonexistent",
    "PATH": os.environ["PATH"],
}


def run(tree: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        words, cwd=tree, env=WORLD, capture_output=True, text=True, timeout=60, check=False
    )


def git(tree: Path, *words: str) -> str:
    done = run(tree, "git", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit(tree: Path) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "A state to release")


def change(file: Path, what: str, into: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert re.search(what, text)
    file.write_text(re.sub(what, into, text, count=1), encoding="utf-8")


def copied(files: Iterable[Path], tree: Path) -> Path:
    """A checkout of its own with these of our files, of which everything is ready to be released."""
    for file in files:
        copy = tree / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    change(tree / "CHANGELOG.md", r"(?m)^## .*$", f"## {__version__}, 2026-01-31")
    git(tree, "init", "--quiet")
    commit(tree)
    return tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """As much of the source as a refusal looks at."""
    return copied([ROOT / name for name in (*VERSIONED, *ASKED)], tmp_path)


def refusals(tree: Path, version: str = __version__) -> list[str]:
    """What `make release` answers; and that it has built and tagged nothing."""
    before = git(tree, "tag"), git(tree, "status", "--porcelain")
    done = run(tree, "make", "--no-print-directory", "release", f"VERSION={version}", "TAG=1")
    assert done.returncode != 0, "released"
    assert not (tree / "dist").exists() and not (tree / ".venv").exists()
    assert (git(tree, "tag"), git(tree, "status", "--porcelain")) == before
    return re.findall(r"^release: (.*)$", done.stderr, flags=re.MULTILINE)


def test_a_tree_with_changes_is_refused(tree: Path) -> None:
    (tree / "new.txt").write_text("not committed")
    assert refusals(tree) == ["the tree has changes; commit them or take them away:"]


@pytest.mark.parametrize("version", ["", "1", "v1.2.3", "1.2", "01.2.3", "1.2.3 4"])
def test_what_is_no_version_is_refused(tree: Path, version: str) -> None:
    assert (
        f"'{version}' is no version; say which one is meant: make release VERSION=1.2.3"
        in refusals(tree, version)
    )


def test_a_version_that_the_source_does_not_name_is_refused(tree: Path) -> None:
    found = refusals(tree, "9.8.7")
    for file in VERSIONED:
        assert any(
            each.startswith(f"{file} names version {__version__}, not 9.8.7") for each in found
        )


def test_an_image_of_another_version_is_refused(tree: Path) -> None:
    change(tree / "Dockerfile", r"ARG VERSION=.*", "ARG VERSION=0.0.1")
    commit(tree)
    assert [each.partition(";")[0] for each in refusals(tree)] == [
        f"Dockerfile names version 0.0.1, not {__version__}"
    ]


def test_a_version_that_is_released_already_is_refused(tree: Path) -> None:
    git(tree, "tag", f"v{__version__}")
    assert refusals(tree) == [
        f"{__version__} is released already (tag v{__version__}); raise __version__ in appliance/__init__.py"
    ]


def test_a_version_before_the_last_one_is_refused(tree: Path) -> None:
    git(tree, "tag", "v10.0.0")
    git(tree, "tag", "v9.0.0")
    assert refusals(tree) == [f"{__version__} comes before 10.0.0, which is released (tag v10.0.0)"]


@pytest.mark.parametrize("heading", [f"{__version__}, not released", "0.0.1, 2026-01-31", "Soon"])
def test_a_version_without_its_heading_in_the_changelog_is_refused(
    tree: Path, heading: str
) -> None:
    change(tree / "CHANGELOG.md", r"(?m)^## .*$", f"## {heading}")
    commit(tree)
    (found,) = refusals(tree)
    assert found.startswith(
        f"CHANGELOG.md begins with '## {heading}'; it should with '## {__version__}, 2"
    )


def test_all_reasons_come_at_once(tree: Path) -> None:
    git(tree, "tag", f"v{__version__}")
    change(tree / "CHANGELOG.md", r"(?m)^## .*$", "## Soon")
    assert len(refusals(tree)) == 3


def test_what_is_ready_is_built_and_tagged_only_when_asked(tmp_path: Path) -> None:
    tree = copied(tracked(), tmp_path)
    programs = tree / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "hatchling").symlink_to(Path(sys.executable).parent / "hatchling")
    (programs / "docker").write_text("#!/bin/sh\nexit 1\n")  # an engine that does not answer
    (programs / "docker").chmod(0o755)
    search = f"PATH={programs}:{WORLD['PATH']}"
    built = run(tree, "env", search, "setup/release.sh", "build", __version__)
    assert built.returncode == 0, built.stderr
    assert "no container engine answers: the image was not built" in built.stdout
    assert git(tree, "tag") == ""
    wheel = tree / "dist" / f"vgw_appliance-{__version__}-py3-none-any.whl"
    assert {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()} == {
        "appliance",
        f"vgw_appliance-{__version__}.dist-info",
    }
    checked = run(tree / "dist", "sha256sum", "--check", "SHA256SUMS")
    assert checked.returncode == 0 and checked.stdout.count(": OK") == 2
    assert run(tree, "setup/release.sh", "tag", __version__).returncode == 0
    assert git(tree, "tag").split() == [f"v{__version__}"]
