"""What counts as covered, and when a part is below its floor."""

import sys

import pytest

from tests import covered


def test_lines_of_all_modules_of_a_part_count_together() -> None:
    modules = {"pair.beat": (90, 0), "pair.side": (10, 10), "vrrp": (5, 5)}
    assert covered.percent(modules, "pair.*") == 90
    assert covered.percent(modules, "unheard_of.*") is None
    assert list(covered.rows(modules)) == [
        "vrrp            0 %",
        "pair           90 %  floor 80 %, goal 85 %",
        "all            86 %  floor 60 %, goal 90 %",
    ]


@pytest.fixture(autouse=True)
def _two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covered, "PARTS", {"pair": ("pair.*", 80, 85), "all": ("*", 60, 90)})


@pytest.mark.parametrize(
    ("missed", "told"), [(20, []), (21, ["pair: the tests without root reach 79.0 %"])]
)
def test_a_part_below_its_floor_is_told(missed: int, told: list[str]) -> None:
    found = covered.problems({"pair.beat": (100, missed)})
    assert [problem.partition(" of its")[0] for problem in found] == told


def test_a_floor_under_nothing_is_told() -> None:
    assert next(covered.problems({"vrrp": (1, 0)})).startswith("pair: no module is called pair.*")


@pytest.mark.no_cover
def test_what_is_not_to_be_measured_is_not_traced() -> None:
    assert sys.gettrace() is None
