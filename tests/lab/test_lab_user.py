"""The lab without root: a user namespace around it, and a sentence where there can be none."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE

from .conftest import REPOSITORY, Lab, judged

UID = "61234"


def closed_parent(path: Path) -> Path | None:
    """The outermost directory on the way to a path that other users may not pass."""
    parents = [*reversed(path.resolve().parents), path.resolve()]
    return next((parent for parent in parents if not parent.stat().st_mode & 0o001), None)


def as_user(holding: Path) -> tuple[str, ...]:
    """A command prefix that runs what follows as a user without any right, in our namespaces.

    Python may be installed where only its owner can go, so the way there is opened first, in a mount
    namespace that only the command sees.
    """
    needed = [Path(sys.base_prefix).resolve(), Path(sys.prefix), REPOSITORY]
    closed = {path: parent for path in needed if (parent := closed_parent(path))}
    script = []
    for number, path in enumerate(closed):
        script += [f"mkdir -p {holding}/{number}", f"mount --bind {path} {holding}/{number}"]
    script += [f"mount -t tmpfs -o mode=755 tmpfs {parent}" for parent in set(closed.values())]
    for number, path in enumerate(closed):
        script += [f"mkdir -p {path}", f"mount --bind {holding}/{number} {path}"]
    drop = f"exec setpriv --reuid {UID} --regid {UID} --clear-groups --inh-caps=-all"
    script.append(f'umask 022; {drop} --bounding-set=-all "$@"')
    return ("unshare", "--mount", "sh", "-ec", "\n".join(script), "sh")


@pytest.fixture(scope="module")
def user_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("the other tests of this tier run as this plain user already")
    lab = Lab("user", as_user(tmp_path_factory.mktemp("hold")))
    lab.must("up")
    yield from judged(lab)


def test_a_plain_user_has_a_lab(user_lab: Lab) -> None:
    uids = {Path(f"/proc/{pid}").stat().st_uid for pid in user_lab.processes()}
    assert uids == {int(UID)}
    assert user_lab.exec("noeud1", "ping", "-c", "1", "8.8.8.8").returncode == 0
    assert user_lab.json("status")["nodes"]["master"]["role"] == "MASTER"


def test_a_plain_users_drill_is_as_good(user_lab: Lab, bound: Bound) -> None:
    found = user_lab.json("drill", "power-off", "--times", "3")
    with bound:
        assert found["summary"]["power-off"]["gap"]["median"] <= 400


def test_a_kernel_that_forbids_it_is_named(free_lab: Lab) -> None:
    # A user namespace has a limit of its own that whoever made it may lower, which harms nobody else.
    vgw = shlex.join(free_lab.argv("up"))
    drop = "setpriv --securebits +noroot --inh-caps=-all --bounding-set=-all"
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "sh", "-ec"),
            f"echo 0 >/proc/sys/user/max_user_namespaces; exec {drop} {vgw}",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "user.max_user_namespaces is 0" in done.stderr
    assert "sysctl -w user.max_user_namespaces=" in done.stderr
