"""Labs for tests, driven by the commands a user types; each is ended, and its capture judged."""

import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance import NotConverged
from tests.waiting import eventually
from vgw_lab.reports import report
from vgw_lab.worlds import entry, labs

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

    def read(self, node: str, path: str) -> str:
        """A file as a node sees it, by no program there; empty where there is none, or the node is off."""
        if self.prefix:
            return self("exec", node, "--", "cat", path).stdout
        try:
            return entry.text_of(entry.first(self.name, node), path)
        except OSError:
            return ""

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
    """A node's own status, as it is this moment. Raises ValueError while it has told nothing."""
    found: dict[str, Any] = json.loads(lab.read(node, "/run/vgw/status.json"))
    return found


@contextmanager
def pinging(lab: Lab, every: float, answers: Path) -> Iterator[None]:
    """A machine behind that asks the way out, every so many seconds, for as long as the block takes; its answers go to a file."""
    way = lab.argv("exec", "noeud1", "--", "ping", "-n", "-i", str(every), "8.8.8.8")
    with answers.open("wb") as file, subprocess.Popen(way, stdout=file, stderr=file) as asks:
        try:
            yield
        finally:
            asks.terminate()


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


class KeptLab:
    """The lab that tests use one after the other: of one profile at a time, and a new one after a failure."""

    def __init__(self) -> None:
        self._lab: Lab | None = None
        self._profile = ""

    def lend(self, profile: str, session: pytest.Session) -> Iterator[Lab]:
        """Hand out a lab of a profile; after the test nothing may have gone out untranslated."""
        if session.stash.get(FAILED, False) or profile != self._profile:
            session.stash[FAILED] = False
            self.end()
        elif self._lab is not None and not _at_rest(self._lab):
            self.end()
        if self._lab is None:
            self._lab, self._profile = Lab(profile), profile
            self._lab.must("up", "--profile", profile)
        yield self._lab
        if labs.open_lab(self._lab.name).capture().untranslated:
            self.end()

    def end(self) -> None:
        """End the lab, if there is one, and judge what it saw."""
        lab, self._lab, self._profile = self._lab, None, ""
        if lab is not None:
            for _ in judged(lab):
                pass


def _at_rest(lab: Lab) -> bool:
    """Whether the pair has come to rest after the test before, as one that was just made has."""
    try:
        labs.open_lab(lab.name).wait_healthy()
    except NotConverged:
        return False
    return True


FAILED = pytest.StashKey[bool]()
# In the order of running; before them come the tests with labs of their own, which take longer.
PROFILES = ("hot", "fast", "classic", "standard")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have tests of one profile come together."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """A test's place by its profile, whose fixture it names itself or by a parameter."""
    params = getattr(item, "callspec", None)
    names = {
        *getattr(item, "fixturenames", ()),
        *(map(str, params.params.values()) if params else ()),
    }
    places = (place for place, profile in enumerate(PROFILES, 1) if f"{profile}_lab" in names)
    return next(places, 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note that a test failed: the lab that it leaves is for no other."""
    report = yield
    if report.failed:
        item.session.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def kept_lab() -> Iterator[KeptLab]:
    kept = KeptLab()
    yield kept
    kept.end()


def _lent(profile: str) -> Any:
    """The fixture of a profile's lab."""

    @pytest.fixture(name=f"{profile}_lab")
    def lent(kept_lab: KeptLab, request: pytest.FixtureRequest) -> Iterator[Lab]:
        yield from kept_lab.lend(profile, request.session)

    return lent


hot_lab, fast_lab, classic_lab, standard_lab = map(_lent, PROFILES)
