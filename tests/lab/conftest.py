"""Labs for tests, driven by the commands a user types; each is ended, and its capture judged."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import eventually
from vgw_lab.reports import report
from vgw_lab.worlds import labs

REPOSITORY = Path(__file__).resolve().parents[2]
# So that neither a lab of the user's nor another run of the tests is met.
MARK = f"t{os.getpid()}"


class Lab:
    """One lab by its name, and `python -m appliance lab …` for it."""

    def __init__(self, name: str, prefix: tuple[str, ...] = ()) -> None:
        self.name = f"{MARK}-{name}"
        self.prefix = prefix

    def argv(self, verb: str, *words: str) -> list[str]:
        """The command; --name stands before the words, which may end in `-- COMMAND`."""
        vgw = [*self.prefix, sys.executable, "-m", "appliance", "lab"]
        return [*vgw, verb, "--name", self.name, *words]

    def __call__(
        self, verb: str, *words: str, seconds: float = 300, text: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.argv(verb, *words),
            cwd=REPOSITORY,
            input=text,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def must(self, verb: str, *words: str, seconds: float = 300) -> str:
        """What a verb that has to succeed printed."""
        done = self(verb, *words, seconds=seconds)
        assert done.returncode == 0, f"{verb} {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, verb: str, *words: str, seconds: float = 300) -> Any:
        """What a verb printed as JSON, whatever its exit code."""
        done = self(verb, *words, "--json", seconds=seconds)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return json.loads(done.stdout)

    def drilled(self, drill: str, *words: str) -> dict[str, Any]:
        """The verdict of one drill, which must have moved the VGW and let nothing out; its times are not judged."""
        (verdict,) = self.json("drill", drill, *words)["verdicts"]
        assert (verdict["before"], verdict["after"]) == ("master", "backup"), verdict
        assert verdict["untranslated"] == 0, verdict
        found: dict[str, Any] = verdict
        return found

    def exec(self, node: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a program on a node, as `vgw lab exec` does, without a process of its own for the way there."""
        if self.prefix:
            return self("exec", node, "--", *command)
        way = labs.open_lab(self.name).enter(node, command)
        return subprocess.run(
            way.argv,
            env=way.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def nodes(self) -> dict[str, dict[str, Any]]:
        """How each node is doing, as `vgw lab status --json` says."""
        found: dict[str, dict[str, Any]] = report.status(labs.open_lab(self.name))["nodes"]
        return found

    def processes(self) -> dict[int, str]:
        """All processes that carry the lab's tag, whoever's child they are, with their command."""
        tag = f"VGW_LAB={self.name}".encode()
        found = {}
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                if tag in (directory / "environ").read_bytes().split(b"\0"):
                    command = (directory / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[int(directory.name)] = command.decode()
            except OSError:
                continue
        return found


def told(lab: Lab, node: str) -> dict[str, Any]:
    """A node's own status, as it is this moment."""
    found: dict[str, Any] = json.loads(lab.exec(node, "cat", "/run/vgw/status.json").stdout)
    return found


def judged(lab: Lab) -> Iterator[Lab]:
    """Hand out a lab that is up; then end it, with nothing left and nothing leaked."""
    try:
        yield lab
        seen = lab.json("capture")
    finally:
        lab("down")
    assert eventually(lambda: not lab.processes()), lab.processes()
    assert seen["untranslated"] == 0, seen
    assert seen["translated"] > 0, "the capture saw nothing at all, so it proves nothing"


@pytest.fixture(scope="session", autouse=True)
def namespaces() -> None:
    done = subprocess.run(
        [
            *("unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork"),
            *(() if os.geteuid() == 0 else ("--user", "--map-root-user")),
            "true",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"this machine lets us make no namespaces: {done.stderr.strip()}")


@pytest.fixture
def free_lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A name that no lab has; whatever the test makes of it is ended."""
    lab = Lab(str(abs(hash(request.node.nodeid)) % 10**6))
    yield lab
    lab("down")
    assert eventually(lambda: not lab.processes()), lab.processes()


@pytest.fixture(scope="module")
def standard_lab() -> Iterator[Lab]:
    lab = Lab("standard")
    lab.must("up")
    yield from judged(lab)


@pytest.fixture(scope="module")
def fast_lab() -> Iterator[Lab]:
    lab = Lab("fast")
    lab.must("up", "--profile", "fast")
    yield from judged(lab)


@pytest.fixture(scope="module")
def hot_lab() -> Iterator[Lab]:
    lab = Lab("hot")
    lab.must("up", "--profile", "hot")
    yield from judged(lab)


@pytest.fixture(scope="module")
def classic_lab() -> Iterator[Lab]:
    lab = Lab("classic")
    lab.must("up", "--profile", "classic")
    yield from judged(lab)
