"""The gateway's YAML file to a checked Config, or every error in it at once, each with its place.

Text to data with places (`marks`), defaults filled in, types (`model`, told by `wording`), then what
only several values together show (`checks`). A wrong value does not hide the next one: UNKNOWN takes
its place, and whatever does not depend on it is checked all the same.
"""

import copy
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from appliance import ApplianceError
from appliance.config import error_messages, places
from appliance.config.checks import all_checks
from appliance.config.model import Config
from appliance.config.places import Finding, Path, Remark, Unreadable
from appliance.config.profiles import PROFILES
from appliance.config.schema import schema
from appliance.config.value_types import UNKNOWN

__all__ = ["ConfigErrors", "Finding", "parse", "parse_with_warnings", "schema"]

NAMED = ("nodes", "machines", "sysctl")  # the maps whose keys the operator chooses


class ConfigErrors(ApplianceError):
    """Everything wrong with the file, in the order of the file; warnings stand among the errors."""

    exit_code = 2
    before = ""  # an error begins with its place, as a compiler's does, for editors to jump to

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


def parse(text: str | bytes, name: str = "gateway.yaml") -> Config:
    """The configuration in a YAML text; `name` is the file's, for messages. Raises ConfigErrors."""
    return parse_with_warnings(text, name)[0]


def parse_with_warnings(
    text: str | bytes, name: str = "gateway.yaml"
) -> tuple[Config, tuple[Finding, ...]]:
    """The configuration, and what is allowed but worth a second thought. Raises ConfigErrors."""
    try:
        document = places.read(text)
    except Unreadable as error:
        finding = Finding(error.place.line, error.place.col, "", error.message, file=name)
        raise ConfigErrors((finding,)) from None
    config, remarks = _examine(document.data)
    findings = {replace(mistake, file=name) for mistake in document.mistakes}
    findings |= {document.finding(remark, name) for remark in remarks}
    ordered = tuple(sorted(findings))
    if config is None or any(finding.severity == "error" for finding in ordered):
        raise ConfigErrors(ordered)
    return config, ordered


def _examine(written: Any) -> tuple[Config | None, list[Remark]]:
    """The configuration, as far as it can be made out, and all that is to be said about it."""
    if not isinstance(written, dict):
        return None, [Remark((), "the file must be a map of vgw, lan, wan, sync, nodes and nat")]
    data, filled = _with_defaults(written)
    try:
        config = Config.model_validate(data, by_alias=True, by_name=False)
        remarks = []
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        remarks = [
            remark
            for details in wrong
            if _path(details) not in filled
            for remark in error_messages.remarks(details, _path(details), written)
        ]
        for details in wrong:
            _leave_out(data, _path(details), details["type"])
        config = Config.model_validate(data, by_alias=True, by_name=False)
    return config, [*remarks, *all_checks.run(config)]


def _path(details: ErrorDetails) -> Path:
    """Where the error is; pydantic adds "[key]" when it is the key that is wrong."""
    where = details["loc"]
    return where[:-1] if error_messages.is_about_key(details) else where


def _with_defaults(written: dict[str, Any]) -> tuple[dict[str, Any], set[Path]]:
    """A copy with what the operator may leave out, and the paths of what was filled in."""
    data = copy.deepcopy(written)
    filled: set[Path] = set()

    def fill(part: Any, path: Path, key: str, value: object) -> None:
        if isinstance(part, dict) and key not in part:
            part[key] = value
            filled.add((*path, key))

    vgw = data.get("vgw")
    for key, value in _profile(vgw).items():
        fill(vgw, ("vgw",), key, value)
    wan, nat = data.get("wan"), data.get("nat")
    address = wan.get("address") if isinstance(wan, dict) else None
    for index, rule in _entries(nat, "source"):
        fill(rule, ("nat", "source", index), "to", str(address).partition("/")[0])
    for index, rule in _entries(nat, "destination"):
        port = rule.get("port", UNKNOWN) if isinstance(rule, dict) else None
        fill(rule, ("nat", "destination", index), "to_port", port)
    return data, filled


def _profile(vgw: object) -> dict[str, Any]:
    """The values of the profile that is asked for; UNKNOWN ones where there is no such profile."""
    name = vgw.get("profile", "standard") if isinstance(vgw, dict) else "standard"
    if isinstance(name, str) and name in PROFILES:
        return PROFILES[name]
    return dict.fromkeys(PROFILES["standard"], UNKNOWN)


def _entries(part: object, key: str) -> list[tuple[int, Any]]:
    entries = part.get(key) if isinstance(part, dict) else None
    return list(enumerate(entries)) if isinstance(entries, list) else []


def _leave_out(data: dict[str, Any], path: Path, kind: str) -> None:
    """Put UNKNOWN at the field where the error is; drop a key that does not belong there."""
    while isinstance(path[-1], int) or (len(path) == 2 and path[0] in NAMED):
        path = path[:-1]
    part: Any = data
    for step in path[:-1]:
        if part is UNKNOWN:
            return
        part = part[step]
    if part is UNKNOWN:
        return
    if kind == "extra_forbidden":
        part.pop(path[-1], None)
    else:
        part[path[-1]] = UNKNOWN
