"""The shape of the file as it is written: its JSON Schema, and what can be looked up in it."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from appliance.config import model
from appliance.config.model import Config, Model
from appliance.config.places import Path
from appliance.config.profiles import PROFILES

Schema = dict[str, Any]

# Required in the model, but filled in for the operator: from the profile, or from a key beside it.
FILLED_IN = {
    "Vgw": frozenset(PROFILES["standard"]),
    "SourceNat": frozenset({"to"}),
    "DestinationNat": frozenset({"to_port"}),
}


def schema() -> Schema:
    """The JSON Schema of the file (draft 2020-12), so that an editor completes and checks it."""
    found = Config.model_json_schema()
    _describe({**found["$defs"], "Config": found})
    for name, filled_in in FILLED_IN.items():
        part = found["$defs"][name]
        part["required"] = [key for key in part["required"] if key not in filled_in]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **found,
        "title": "gateway.yaml",
    }


def keys(path: Path) -> list[str]:
    """The keys that the map at `path` knows."""
    return list(_at(path).get("properties", ()))


def example(path: Path) -> str:
    """What could stand at `path`."""
    return _example(_at(path))


@cache
def sections() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every map of the file and the keys it knows: ("nat.source[]", ("from", "to", ...))."""
    return tuple(_walk(_whole(), ""))


def _describe(parts: dict[str, Schema]) -> None:
    """Put what the model says of each key beside it."""
    words = _docstrings()
    for kind in vars(model).values():
        if not (isinstance(kind, type) and issubclass(kind, Model) and kind.__name__ in parts):
            continue
        for field, details in kind.model_fields.items():
            told = [
                words[one.__name__, field] for one in kind.__mro__ if (one.__name__, field) in words
            ]
            if told:
                parts[kind.__name__]["properties"][details.alias or field]["description"] = told[0]


def _docstrings() -> dict[tuple[str, str], str]:
    """What stands below each attribute of the model, by its class and name."""
    return {
        (part.name, attribute.target.id): inspect.cleandoc(words)
        for part in ast.parse(inspect.getsource(model)).body
        if isinstance(part, ast.ClassDef)
        for attribute, below in pairwise(part.body)
        if (words := _words(below)) and isinstance(attribute, ast.AnnAssign)
        if isinstance(attribute.target, ast.Name)
    }


def _words(line: ast.stmt) -> str:
    """The text of a line that is nothing but text."""
    match line:
        case ast.Expr(value=ast.Constant(value=str(words))):
            return words
    return ""


@cache
def _whole() -> Schema:
    return schema()


def _resolved(part: Schema) -> Schema:
    """What a part of the schema stands for: references followed, and null left out."""
    inner = part
    if "$ref" in part:
        inner = _whole()["$defs"][part["$ref"].rpartition("/")[2]]
    elif "anyOf" in part:
        inner = _resolved(part["anyOf"][0])
    return {**inner, **{key: part[key] for key in part if key not in ("$ref", "anyOf")}}


def _entry(part: Schema) -> Schema | None:
    """The schema of the values of a map whose keys the operator chooses."""
    entries = [*part.get("patternProperties", {}).values(), part.get("additionalProperties")]
    return next((entry for entry in entries if isinstance(entry, dict)), None)


def _at(path: Path) -> Schema:
    """The schema of the value at `path`; empty where there is no such path."""
    part = _whole()
    for step in path:
        inside = None if isinstance(step, int) else part.get("properties", {}).get(step)
        part = _resolved(inside or part.get("items") or _entry(part) or {})
    return part


def _walk(part: Schema, where: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    part = _resolved(part)
    properties = part.get("properties", {})
    if properties:
        yield where or "the top level", tuple(properties)
    for key, inner in properties.items():
        yield from _walk(inner, f"{where}.{key}".lstrip("."))
    if "items" in part:
        yield from _walk(part["items"], f"{where}[]")
    if entry := _entry(part):
        yield from _walk(entry, f"{where}.NAME")


def _example(part: Schema) -> str:
    part = _resolved(part)
    if "examples" in part:
        return str(part["examples"][0])
    if "enum" in part:
        return str(part["enum"][0])
    if "items" in part:
        return f"[{_example(part['items'])}]"
    if entry := _entry(part):
        return f"{{NAME: {_example(entry)}}}"
    properties = part.get("properties", {})
    wanted = part.get("required") or list(properties)[:1]
    inside = ", ".join(f"{key}: {_example(properties[key])}" for key in wanted)
    return f"{{{inside}}}" if properties else str(part.get("minimum", "..."))
