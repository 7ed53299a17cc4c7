"""Whatever is written in the file, it is answered by a Config, or by errors with places in the file."""

import contextlib
import functools
import operator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from appliance.config import gateway_file, places

GOLDEN = Path(__file__).parent.parent / "golden"
GOOD = (GOLDEN / "bad-base.yaml").read_text()
FULL = (GOLDEN / "05-everything" / "gateway.yaml").read_text()
LINES = GOOD.splitlines()


def check(text: str | bytes) -> list[tuple[int, int]]:
    """Whatever the text, an answer; the places of what was found."""
    findings = answer(text)
    told = "\n".join(map(str, findings))
    assert all(line.isprintable() for line in told.split("\n"))
    assert len(told.split("\n")) == max(1, len(findings))
    return [(finding.line, finding.col) for finding in findings]


def answer(text: str | bytes) -> tuple[places.Finding, ...]:
    try:
        return gateway_file.parse_with_warnings(text)[1]
    except gateway_file.ConfigErrors as errors:
        return errors.findings


def assert_answered(text: str) -> None:
    places = check(text)
    assert places == check(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line, col in places:
        assert 1 <= line <= len(lines)
        assert 1 <= col <= len(lines[line - 1]) + 1


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert_answered(text)


@given(st.binary())
def test_any_bytes_are_answered(text: bytes) -> None:
    check(text)


@given(st.integers(0, len(GOOD)), st.integers(0, 30), st.text(max_size=12))
def test_any_cut_in_the_good_file_is_answered(start: int, length: int, between: str) -> None:
    assert_answered(GOOD[:start] + between + GOOD[start + length :])


@given(st.lists(st.sampled_from(LINES), max_size=len(LINES)))
def test_any_order_of_its_lines_is_answered(lines: list[str]) -> None:
    assert_answered("\n".join(lines))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["192.168.100.3/24", "203.0.113.1", "eth0", "1-2", "never", "fast", "hot"]),
    st.ip_addresses().map(str),
    st.ip_addresses(v=4).map(lambda ip: f"{ip}/24"),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from(["from", "to", "port", "lan", "x"]), SCALARS, max_size=3),
)


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(data, dict | list):
        return [path]
    inner = data.items() if isinstance(data, dict) else enumerate(data)
    return [path] * bool(path) + [p for key, value in inner for p in paths(value, (*path, key))]


PATHS = paths(yaml.safe_load(FULL))


@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3))
def test_any_value_in_any_place_is_answered(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    data = yaml.safe_load(FULL)
    for path, value in changes:
        with contextlib.suppress(TypeError, KeyError, IndexError):  # changed away before
            functools.reduce(operator.getitem, path[:-1], data)[path[-1]] = value
    # Written by a YAML library, so that the text is valid and the values are what is wrong.
    assert_answered(yaml.safe_dump(data, allow_unicode=False, sort_keys=False))


@given(st.sampled_from(PATHS))
def test_any_missing_part_is_answered(path: tuple[Any, ...]) -> None:
    data = yaml.safe_load(FULL)
    del functools.reduce(operator.getitem, path[:-1], data)[path[-1]]
    assert_answered(yaml.safe_dump(data, sort_keys=False))
