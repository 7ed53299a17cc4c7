"""The tiers and the two lanes of the test suite.

A test's directory says which tier it belongs to. Two lanes run one after the other: first all tests side by side,
where what must be so must be so however slow the machine; then those alone whose bound on a time did not hold
beside the others, for there alone it is judged.
A tier that does not run is never silent: the summary names each tier, why its tests were skipped, and which
times were not judged.
"""

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests import machine

# A busy machine is no error: what may take how long is said by a test's own timeout.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

HERE = Path(__file__).parent

# Tier: the seconds after which one test hangs. The order is that of running: what is quick to tell comes
# first, or last where tests run side by side, for then what takes long must not wait.
TIERS = {
    "architecture": 120,
    "unit": 120,
    "golden": 120,
    "kernel": 300,
    "lab": 600,
    "containers": 900,
    "drills": 600,
}
# What becomes of a bound on a time that does not hold: beside other tests it is put off to the next lane, and
# beside other users of the machine it is not judged.
PUT_OFF, NOT_JUDGED = "put off", "not judged"
OUTCOMES = ("passed", PUT_OFF, NOT_JUDGED, "failed", "error", "skipped", "xfailed", "xpassed")
FUNCTIONAL, TIMED = "functional", "timed"
CACHE = "lanes/put off"
# How often what a median decides is measured, where nobody says.
BESIDE_OTHERS, ALONE = 3, 5
# Tests that share what there is but once, or what is costly to make.
TOGETHER = (
    "tests/containers/",
    *(f"tests/lab/test_lab_{name}.py" for name in ("demo", "hot", "user", "versions")),
)
DESELECTED = pytest.StashKey[Counter[str]]()

# Takes what a test measured; the closing summary repeats it.
Figure = Callable[[str], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Records a sentence with a figure of this test."""
    return partial(record_property, "figure")


class Bound:
    """A block in which times are judged: what it asserts fails, unless there is a reason that excuses it.

    Then the test goes on, and the reason is noted with what did not hold.
    """

    def __init__(self, excuse: Callable[[], str], note: Callable[[str], None]) -> None:
        self._excuse = excuse
        self._note = note

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> bool:
        reason = self._excuse() if isinstance(error, AssertionError) else ""
        if reason:
            self._note(f"{reason}: {str(error).partition(chr(10))[0]}")
        return bool(reason)


@pytest.fixture
def bound(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[Bound]:
    """The block for all that a test asserts about times; what holds beside other tests holds alone as well."""
    if request.config.getoption("lane") == FUNCTIONAL:
        yield Bound(lambda: "other tests ran beside", partial(record_property, PUT_OFF))
        return
    with machine.Watch(os.getpid(), f"t{os.getpid()}-") as watch:
        yield Bound(watch.busy, partial(record_property, NOT_JUDGED))


@pytest.fixture
def repetitions(request: pytest.FixtureRequest) -> int:
    """How often to do what is judged by its median; whoever asks for it is among `make drills` too."""
    times: int | None = request.config.getoption("times")
    if times is not None:
        return times
    return BESIDE_OTHERS if request.config.getoption("lane") == FUNCTIONAL else ALONE


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--times", type=int, help="how often what is judged by its median")
    parser.addoption(
        "--lane",
        choices=(FUNCTIONAL, TIMED),
        help="functional: what does not hold its times is put off; timed: that alone, to be judged",
    )
    parser.addoption(
        "--update",
        action="store_true",
        help="rewrite the expected outputs under tests/golden; the difference in git is the review",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[DESELECTED] = Counter()
    have_children_hear_ctrl_c()
    measure_once(config)


def measure_once(config: pytest.Config) -> None:
    """End the first of two measurements in a worker, where each line is traced twice and `no_cover` ends but one.

    By a worker's arguments pytest-cov takes it for the controller, and begins; at the session's start it
    sees what it is, and begins again (7.1.0).
    """
    cov = config.pluginmanager.getplugin("_cov")
    if hasattr(config, "workerinput") and cov is not None and cov.cov_controller is not None:
        cov.cov_controller.cov.stop()


def have_children_hear_ctrl_c() -> None:
    """A script's `make test &` has Ctrl-C ignored, and a program inherits that; what a test interrupts must hear it.

    A handler, unlike the ignoring, ends where another program begins; ours goes on ignoring it here.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)


def tier_of(path: Path) -> str:
    """The tier of a test file: its directory under tests/, or else the file's own name."""
    place = path.relative_to(HERE).parts[0]
    return place.removeprefix("test_").removesuffix(".py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        tier = tier_of(item.path)
        if tier not in TIERS:
            known = ", ".join(f"tests/{name}/" for name in TIERS)
            raise pytest.UsageError(
                f"{item.path}: a test belongs to a tier; move it to one of {known}"
            )
        item.add_marker(tier)
        if "repetitions" in getattr(item, "fixturenames", ()):
            item.add_marker("repeated")
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIERS[tier]))
        # What chance finds must not move the coverage, and a property walks the same lines a hundred times.
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("no_cover")
    order = list(TIERS)
    side_by_side = hasattr(config, "workerinput")
    items.sort(key=lambda item: order.index(tier_of(item.path)), reverse=side_by_side)
    if config.getoption("lane") == TIMED:
        assert config.cache is not None
        put_off = config.cache.get(CACHE, [])
        config.hook.pytest_deselected(items=[one for one in items if one.nodeid not in put_off])
        items[:] = [one for one in items if one.nodeid in put_off]


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        item.config.stash[DESELECTED][tier_of(item.path)] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What a worker has left out is told by the process that it works for; that notes what was put off."""
    config = session.config
    if (
        config.getoption("lane") == TIMED
        and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
    ):
        session.exitstatus = pytest.ExitCode.OK  # there was nothing to put off
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["deselected"] = dict(config.stash[DESELECTED].items())
    elif config.getoption("lane") == FUNCTIONAL:
        reporter = config.pluginmanager.getplugin("terminalreporter")
        assert isinstance(reporter, pytest.TerminalReporter) and config.cache is not None
        config.cache.set(CACHE, [report.nodeid for report in reporter.stats.get(PUT_OFF, [])])


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker one test after the other, and those that belong together to one."""

    def _split_scope(self, nodeid: str) -> str:
        return next((front for front in TOGETHER if nodeid.startswith(front)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


class Worker(Protocol):
    """A process that pytest-xdist runs tests in, when it has ended."""

    config: pytest.Config
    workeroutput: Mapping[str, dict[str, int]]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Worker, error: object) -> None:
    # One that has crashed has said nothing; the others have left out the same.
    told = getattr(node, "workeroutput", {}).get("deselected", {})
    deselected = node.config.stash[DESELECTED]
    deselected |= Counter(told)


def recorded(report: pytest.TestReport | pytest.CollectReport, name: str) -> list[object]:
    """What a test has noted under a name."""
    return [told for key, told in getattr(report, "user_properties", ()) if key == name]


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    if report.when == "call" and report.passed:
        for outcome in (PUT_OFF, NOT_JUDGED):
            if recorded(report, outcome):
                return outcome, outcome[0], outcome.upper()
    return None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A line per tier, one more per figure, per reason why tests did not run, and per time not judged."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    notes: dict[str, list[object]] = defaultdict(list)
    for outcome in OUTCOMES:
        for report in terminalreporter.stats.get(outcome, []):
            file, _, test = report.nodeid.partition("::")
            tier = tier_of(config.rootpath / file)
            counts[tier][outcome] += 1
            notes[tier] += recorded(report, "figure")
            for what in (PUT_OFF, NOT_JUDGED):
                notes[tier] += [f"{what.upper()}: {test}: {why}" for why in recorded(report, what)]
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                reasons[tier][report.longrepr[2].removeprefix("Skipped: ")] += 1
    deselected = config.stash[DESELECTED]
    terminalreporter.section("tiers")
    for tier in TIERS:
        if counts[tier]:
            told = ", ".join(f"{number} {outcome}" for outcome, number in counts[tier].items())
            told += f"; {deselected[tier]} not asked for" if deselected[tier] else ""
        elif deselected[tier]:
            told = "not asked for"
        else:
            told = "NOT RUN: " + not_collected(tier, config)
        ran = sum(counts[tier].values()) > counts[tier]["skipped"]
        if counts[tier] and not ran:
            told = f"NOT RUN: {told}"
        elif counts[tier]["skipped"]:
            told = f"NOT ALL RUN: {told}"
        terminalreporter.write_line(f"{tier:<13} {told}")
        for note in notes[tier]:
            terminalreporter.write_line(f"{'':<13} {note}")
        for reason, number in reasons[tier].most_common():
            terminalreporter.write_line(f"{'':<13} {number} skipped: {reason}")


def not_collected(tier: str, config: pytest.Config) -> str:
    """Why pytest met no test of a tier."""
    directory = HERE / tier
    ignored = [Path(path).absolute() for path in config.getoption("ignore") or []]
    if directory in ignored:
        return f"this command leaves it out; run it with `make {directory.name}`"
    if not any(HERE.glob(f"{tier}/**/test_*.py")) and not (HERE / f"test_{tier}.py").exists():
        return "it has no tests yet"
    return "its files were not asked for, or could not be read (see above)"
