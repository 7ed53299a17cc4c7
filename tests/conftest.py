"""The tiers of the test suite: a test's directory says which it belongs to, and how long it may take.

A tier that does not run is never silent: the summary names each tier, and why its tests were skipped.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no error: what may take how long is said by a test's own timeout.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

HERE = Path(__file__).parent

# Tier: the seconds one test may take. The order is that of running: what is quick to tell comes first.
TIERS = {
    "architecture": 20,
    "unit": 20,
    "golden": 60,
    "kernel": 120,
    "lab": 300,
    "containers": 600,
    "drills": 300,
}


# Takes what a test measured; the closing summary repeats it.
Figure = Callable[[str], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Records a sentence with a figure of this test."""
    return partial(record_property, "figure")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update",
        action="store_true",
        help="rewrite the expected outputs under tests/golden; the difference in git is the review",
    )


def tier_of(path: Path) -> str:
    """The tier of a test file: its directory under tests/, or else the file's own name."""
    place = path.relative_to(HERE).parts[0]
    return place.removeprefix("test_").removesuffix(".py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = tier_of(item.path)
        if tier not in TIERS:
            known = ", ".join(f"tests/{name}/" for name in TIERS)
            raise pytest.UsageError(
                f"{item.path}: a test belongs to a tier; move it to one of {known}"
            )
        item.add_marker(tier)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIERS[tier]))
        # What chance finds must not move the coverage, and a property walks the same lines a hundred times.
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("no_cover")
    order = list(TIERS)
    items.sort(key=lambda item: order.index(tier_of(item.path)))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A line per tier, one more per figure that a test recorded, and per reason why tests did not run."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    figures: dict[str, list[object]] = defaultdict(list)
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in terminalreporter.stats.get(outcome, []):
            file = report.nodeid.split("::")[0]
            tier = tier_of(config.rootpath / file)
            counts[tier][outcome] += 1
            figures[tier] += [told for name, told in report.user_properties if name == "figure"]
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                reasons[tier][report.longrepr[2].removeprefix("Skipped: ")] += 1
    deselected: Counter[str] = Counter(
        tier_of(item.path) for item in terminalreporter.stats.get("deselected", [])
    )
    terminalreporter.section("tiers")
    for tier in TIERS:
        if counts[tier]:
            told = ", ".join(f"{number} {outcome}" for outcome, number in counts[tier].items())
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
        for figure in figures[tier]:
            terminalreporter.write_line(f"{'':<13} {figure}")
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
