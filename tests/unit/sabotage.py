"""Every call by which an agent reaches what is outside it, and a saboteur who has one of them fail.

The calls are read off the doors' own types and the drivers' own modules, so that a new one is among them.
"""

import errno
import inspect
import pkgutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import import_module
from types import ModuleType, NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from appliance import drivers
from appliance.agent.doors import AgentDoors

ERRORS: tuple[Callable[[], Exception], ...] = (
    lambda: KeyError("backup"),
    lambda: OSError(errno.EIO, "Input/output error"),
    lambda: TypeError("an integer is required (got type NoneType)"),
    lambda: ValueError("invalid literal for int() with base 10: ''"),
    lambda: struct.error("unpack requires a buffer of 4 bytes"),
    lambda: RecursionError("maximum recursion depth exceeded"),
    lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    MemoryError,
    AssertionError,
    StopIteration,
)
# Beside the drivers: what else of the product touches the machine, by its modules.
HANDS = (
    "rtnetlink",
    "netlink_door",
    "system",
    "processes.programs",
    "processes.notes",
    "status.events",
    "wires.neighbours",
    "site.accepted",
    "site.locate",
)
# A machine without a clock is no machine: the agent ends, and its deaths are counted.
NEEDED = frozenset({"doors.monotonic", "doors.pause", "system.monotonic", "system.wall"})


@dataclass
class Saboteur:
    """Has one call fail while he is active, and counts how often it did."""

    call: str = ""
    error: Callable[[], Exception] = ERRORS[0]
    active: bool = False
    hits: int = 0

    def lay_hands_on(self, name: str, deed: Callable[..., Any]) -> Callable[..., Any]:
        """That deed, which fails when it is its turn."""

        def tried(*args: Any, **words: Any) -> Any:
            if self.active and name == self.call:
                self.hits += 1
                raise self.error()
            return deed(*args, **words)

        return tried


class Behind:
    """A door behind which each call may be sabotaged; its other attributes are as they are."""

    def __init__(self, door: Any, kind: Any, name: str, saboteur: Saboteur) -> None:
        self.door = door
        for method, hints in methods(kind):
            deed = into(getattr(door, method), hints, f"{name}.{method}", saboteur)
            setattr(self, method, saboteur.lay_hands_on(f"{name}.{method}", deed))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.door, name)


def methods(kind: Any) -> Iterator[tuple[str, Any]]:
    """The public methods of a protocol, each with what it gives."""
    for name, member in vars(kind).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            yield name, get_type_hints(member).get("return")


def inner(kind: Any) -> Any:
    """The type behind `X | None` and `tuple[X, ...]`."""
    if get_origin(kind) in (UnionType, tuple):
        return next(one for one in get_args(kind) if one not in (NoneType, Ellipsis))
    return kind


def is_protocol(kind: Any) -> bool:
    """Whether it is one of ours."""
    return getattr(kind, "_is_protocol", False) and kind.__module__.startswith("appliance.")


def calls(kind: Any, name: str) -> Iterator[str]:
    """All calls behind a type: of a protocol its methods, of a dataclass its fields, of a function itself."""
    kind = inner(kind)
    if is_protocol(kind):
        for method, gives in methods(kind):
            yield f"{name}.{method}"
            yield from calls(gives, f"{name}.{method}")
    elif is_dataclass(kind) and kind.__module__.endswith(".doors"):
        for one, hint in get_type_hints(kind).items():
            yield from calls(hint, f"{name}.{one}")
    elif get_origin(kind) is Callable or getattr(get_origin(kind), "__name__", "") == "Callable":
        yield name
        yield from calls(get_args(kind)[1], name)


def into(door: Any, kind: Any, name: str, saboteur: Saboteur) -> Any:
    """The same door, behind which a saboteur sits."""
    if get_origin(kind) is tuple:
        return tuple(into(one, inner(kind), name, saboteur) for one in door)
    kind = inner(kind)
    if door is None:
        return None
    if is_protocol(kind):
        return Behind(door, kind, name, saboteur)
    if is_dataclass(kind) and kind.__module__.endswith(".doors"):
        hints = get_type_hints(kind)
        parts = {
            one.name: into(getattr(door, one.name), hints[one.name], f"{name}.{one.name}", saboteur)
            for one in fields(kind)
        }
        return replace(door, **parts)
    if getattr(get_origin(kind), "__name__", "") == "Callable":
        gives = get_args(kind)[1]
        return saboteur.lay_hands_on(name, lambda *args: into(door(*args), gives, name, saboteur))
    return door


def hands() -> tuple[ModuleType, ...]:
    """The modules whose functions change the machine, or look at it."""
    found = [one.name for one in pkgutil.iter_modules(drivers.__path__)]
    return tuple(
        import_module(f"appliance.{name}")
        for name in (*(f"drivers.{one}" for one in found), *HANDS)
    )


def functions(module: ModuleType) -> Iterator[tuple[Any, str]]:
    """The public functions of a module, and of its classes: each with where it is kept."""
    for name, member in vars(module).items():
        if name.startswith("_") or getattr(member, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(member) and not inspect.isgeneratorfunction(member):
            yield module, name
        elif inspect.isclass(member) and not is_protocol(member) and not is_dataclass(member):
            for method, one in vars(member).items():
                if inspect.isfunction(one) and not method.startswith("_"):
                    yield member, method


def named(place: Any, name: str) -> str:
    """A function by the name that a test bears."""
    if inspect.ismodule(place):
        return f"{place.__name__.removeprefix('appliance.')}.{name}"
    return f"{place.__module__.removeprefix('appliance.')}.{place.__name__}.{name}"


def lay_hands_on_all(monkeypatch: pytest.MonkeyPatch, saboteur: Saboteur) -> None:
    """Have each function of `hands` fail when it is its turn."""
    for module in hands():
        for place, name in functions(module):
            deed = getattr(place, name)
            monkeypatch.setattr(place, name, saboteur.lay_hands_on(named(place, name), deed))


def by_door() -> dict[str, list[str]]:
    """All calls there are, by the door or the module."""
    by_module = [named(*one) for module in hands() for one in functions(module)]
    found: dict[str, list[str]] = {}
    for one in (*calls(AgentDoors, "doors"), *by_module):
        if one not in NEEDED:
            found.setdefault(one.rpartition(".")[0], []).append(one)
    return found
