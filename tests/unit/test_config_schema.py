"""The JSON Schema is of the file as a user writes it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.config import gateway_file

GOLDEN = Path(__file__).parent.parent / "golden"
SCHEMA = gateway_file.schema()


def follow(part: dict[str, Any]) -> dict[str, Any]:
    return SCHEMA["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part


def fits(part: dict[str, Any], value: Any) -> bool:
    """As much of JSON Schema as ours uses."""
    part = follow(part)
    if "anyOf" in part:
        return any(fits(choice, value) for choice in part["anyOf"])
    if "enum" in part:
        return value in part["enum"]
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "null": type(None),
    }
    if not isinstance(value, kinds[part["type"]]):
        return False
    if isinstance(value, dict):
        known = part.get("properties", {})
        others = {**part.get("patternProperties", {})}
        return set(part.get("required", ())) <= value.keys() and all(
            fits(known[key], inner)
            if key in known
            else any(re.search(name, key) and fits(other, inner) for name, other in others.items())
            for key, inner in value.items()
        )
    if isinstance(value, list):
        return len(value) >= part.get("minItems", 0) and all(
            fits(part["items"], inner) for inner in value
        )
    if isinstance(value, str):
        return re.search(part.get("pattern", ""), value) is not None
    return value is None or part.get("minimum", value) <= value <= part.get("maximum", value)


@pytest.mark.parametrize("case", sorted(GOLDEN.glob("[0-9]*/gateway.yaml")), ids=str)
def test_the_examples_fit(case: Path) -> None:
    assert fits(SCHEMA, yaml.safe_load(case.read_text()))


@pytest.mark.parametrize(
    "name",
    [
        "08-priorities",
        "11-no-router-id",
        "11-router-id-256",
        "20-two-families",
        "30-unknown-keys",
        "45-random",
        "68-wrong-shapes",
        "69-names-that-inject",
    ],
)
def test_an_editor_sees_the_same_mistakes(name: str) -> None:
    text = (GOLDEN / f"bad-{name}" / "gateway.yaml").read_text()
    assert not fits(SCHEMA, yaml.safe_load(text))


def test_it_is_json() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_what_is_filled_in_need_not_be_written() -> None:
    parts = SCHEMA["$defs"]
    assert parts["Vgw"]["required"] == ["address", "virtual_router_id"]
    assert parts["SourceNat"]["required"] == ["from"]
    assert parts["DestinationNat"]["required"] == ["protocol", "port", "to"]


def test_every_part_says_what_it_is() -> None:
    assert all(part.get("description") for part in SCHEMA["$defs"].values())
    keys = {name: part.get("properties", {}) for name, part in SCHEMA["$defs"].items()}
    assert keys["Vgw"]["virtual_router_id"]["description"] == "Tells VRRP pairs on one LAN apart."
    assert keys["SourceNat"]["except"]["description"], "a key that has another name in the model"
    assert keys["Wan"]["subnet"]["description"], "a key that comes from the class above"
