"""Each bad-* folder: a gateway.yaml with a mistake, and all that is said about it, word for word.

`observed.yaml`, where there is one, is what was seen on the node `master` before the start: then
the file is right, and the machine or the network is not. `--update` rewrites what is expected.
"""

from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
import yaml

from appliance.config import gateway_file
from appliance.site import preflight

BASE = Path(__file__).parent / "bad-base.yaml"
CASES = sorted(path.parent for path in Path(__file__).parent.glob("bad-*/gateway.yaml"))


def said(case: Path) -> str:
    """What a user reads about the file, or about the machine it is for."""
    try:
        wanted, warnings = gateway_file.parse_with_warnings((case / "gateway.yaml").read_bytes())
    except gateway_file.ConfigErrors as errors:
        return f"{errors}\n"
    problems = preflight.judge(wanted, "master", observed(case / "observed.yaml"))
    lines = [*warnings, *(f"exit {one.error.exit_code}: {one.message}" for one in problems)]
    return "".join(f"{line}\n" for line in lines)


def observed(path: Path) -> preflight.Observed:
    seen = yaml.safe_load(path.read_text()) if path.exists() else {}
    return preflight.Observed(
        interfaces={
            name: tuple(map(IPv4Interface, addresses))
            for name, addresses in seen["interfaces"].items()
        }
        if seen
        else None,
        arp={IPv4Address(ip): mac for ip, mac in seen.get("arp", {}).items()},
        vrids={
            number: frozenset(map(IPv4Address, senders))
            for number, senders in seen.get("vrids", {}).items()
        },
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_said(case: Path, request: pytest.FixtureRequest) -> None:
    actual = said(case)
    expected = case / "errors.txt"
    if request.config.getoption("--update"):
        expected.write_text(actual)
    assert actual, "nothing is wrong with this file"
    assert actual == expected.read_text()


def test_there_is_nothing_to_say_about_the_file_they_start_from() -> None:
    assert gateway_file.parse_with_warnings(BASE.read_bytes())[1] == ()
