"""How much of the product the tests without root reach: `make check` prints it, and fails below a floor.

Lines, not branches. A part's floor is what was reached when it was last written down, in whole per cent; who
adds tests raises it.
"""

import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch

import coverage

from tests.architecture import PRODUCT, PRODUCT_ORDER, ROOT

# Part: its modules, the floor, and where it is to come to, in per cent.
PARTS = {
    "agent": ("agent.*", 98, 85),
    "commands": ("commands.*", 98, 85),
    "converge": ("converge", 99, 85),
    "pair": ("pair.*", 98, 85),
    "replication": ("pair.repli*", 98, 85),
    "site": ("site.*", 98, 85),
    "switchover": ("commands.switchover", 99, 85),
    "all": ("*", 98, 90),
}

# A module: its lines, and those of them that no test met.
Lines = Mapping[str, tuple[int, int]]


def measured() -> Lines:
    """What pytest-cov left in .coverage."""
    data = coverage.Coverage(data_file=str(ROOT / ".coverage"), config_file=False)
    data.load()
    found = {}
    for path in sorted((ROOT / PRODUCT).rglob("*.py")):
        _, lines, _, missed, _ = data.analysis2(str(path))
        name = ".".join(path.relative_to(ROOT / PRODUCT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = (len(lines), len(missed))
    return found


def percent(modules: Lines, pattern: str) -> float | None:
    """Of the lines of all modules that a pattern names, how many per cent were met; None without a line."""
    chosen = [lines for name, lines in modules.items() if fnmatch(name, pattern)]
    whole, missed = sum(lines for lines, _ in chosen), sum(missed for _, missed in chosen)
    return 100 * (whole - missed) / whole if whole else None


def rows(modules: Lines) -> Iterator[str]:
    """Each package, and each part that has a floor."""
    packages = {f"{name.partition('.')[0]}.*" for name in modules if "." in name}
    for name in PRODUCT_ORDER:
        reached = percent(modules, f"{name}.*" if f"{name}.*" in packages else name)
        if reached is not None and name not in PARTS:
            yield f"{name:<12} {reached:4.0f} %"
    for name, (pattern, floor, goal) in PARTS.items():
        reached = percent(modules, pattern)
        if reached is not None:
            yield f"{name:<12} {reached:4.0f} %  floor {floor} %, goal {goal} %"


def problems(modules: Lines) -> Iterator[str]:
    """Which parts are below their floor."""
    for name, (pattern, floor, _) in PARTS.items():
        reached = percent(modules, pattern)
        if reached is None:
            yield f"{name}: no module is called {pattern}; tests/covered.py names one that is there"
        elif reached < floor:
            yield (
                f"{name}: the tests without root reach {reached:.1f} % of its lines, the floor is {floor} %; "
                "add a test, or take out what nothing needs"
            )


def main() -> None:
    """Print the table, and end with 1 where a part is below its floor."""
    modules = measured()
    print("\n".join(rows(modules)))
    if found := list(problems(modules)):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
