"""JSON read strictly into named tuples: each leaf has the type that is written beside it, or none is taken.

Named tuples, for dataclasses bring with them what costs the health check a third of its time.
"""

import json
from collections.abc import Iterator
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

_LARGEST = 2**63  # beyond this an integer is no figure of ours, and a float may not hold it
_LONGEST_VALUE = 40  # characters of a wrong value that are told
_TYPE_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


class Mismatch(ValueError):
    """What is not as it should be, and where: `pair.peer.entries is "many", not a whole number`."""


def read(kind: Any, value: Any, place: str = "") -> Any:
    """The value as `kind`: a NamedTuple class, `tuple[X, ...]`, `dict[str, X]`, `X | None`, or a leaf.

    Keys that the class does not know are passed over, and one that has a default may be missing.
    Raises Mismatch.
    """
    if get_origin(kind) is UnionType:
        (inner,) = (one for one in get_args(kind) if one is not NoneType)
        return None if value is None else read(inner, value, place)
    if get_origin(kind) is dict and isinstance(value, dict):
        inner = get_args(kind)[1]
        return {
            _text(key, place): read(inner, one, f"{place}.{_said(key)}")
            for key, one in value.items()
        }
    if get_origin(kind) is tuple and isinstance(value, list):
        inner = get_args(kind)[0]
        return tuple(read(inner, one, f"{place}[{at}]") for at, one in enumerate(value))
    if hasattr(kind, "_fields") and isinstance(value, dict):
        return kind(**dict(_fields(kind, value, place)))
    return _leaf(kind, value, place)


def _fields(kind: Any, value: dict[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    for name, inner in kind.__annotations__.items():
        where = f"{place}.{name}" if place else name
        if name in value:
            yield name, read(inner, value[name], where)
        elif name not in kind._field_defaults:
            raise Mismatch(f"{where} is missing")


def _leaf(kind: Any, value: Any, place: str) -> Any:
    if kind is str and isinstance(value, str):
        return _text(value, place)
    if kind is bool and isinstance(value, bool):
        return value
    if kind in (int, float) and type(value) in (int, kind) and abs(value) < _LARGEST:
        return kind(value)
    if isinstance(kind, type) and issubclass(kind, Enum) and value in tuple(kind):
        return kind(value)
    raise Mismatch(f"{place or 'the whole'} is {_said(value)}, not {_word(kind)}")


def _text(value: str, place: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which nobody can print
        raise Mismatch(f"{place} is {_said(value)}, not a text") from None
    return value


def _said(value: Any) -> str:
    """The value in one short line that a terminal can show."""
    text = json.dumps(value).replace("\x7f", "?")
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _word(kind: Any) -> str:
    """What belongs there, in words."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(one.value for one in kind)
    return _TYPE_WORDS.get(kind, "a list" if get_origin(kind) is tuple else "an object")


def plain(value: Any) -> Any:
    """The value as `json.dumps` writes it: a named tuple as an object with its names as keys."""
    if hasattr(value, "_asdict"):
        return {name: plain(one) for name, one in value._asdict().items()}
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    return value
