"""All processes of a MASTER frozen for 20 s, in each other profile: new connections work, no flow breaks, and both nodes tell it."""

import json
from typing import Any

import pytest

from tests.conftest import Bound
from tests.waiting import eventually

from .conftest import Lab
from .test_lab_replication import must


def standstills(lab: Lab, node: str) -> list[dict[str, Any]]:
    """The events of a node that tell of a MASTER which stood still."""
    lines = must(lab, node, "vgw", "events", "--json").splitlines()
    return [one for one in map(json.loads, lines) if one["kind"] == "standstill"]


@pytest.mark.parametrize("fixture", ["fast_lab", "hot_lab", "classic_lab"])
def test_a_frozen_master_is_in_nobodys_way(
    fixture: str, request: pytest.FixtureRequest, bound: Bound
) -> None:
    lab: Lab = request.getfixturevalue(fixture)
    before = {node: len(standstills(lab, node)) for node in ("master", "backup")}
    verdict = lab.drilled("freeze-node")
    tallies = [tally for phase in verdict["flows"].values() for tally in phase.values()]
    assert sum(tally["flows"] for tally in tallies) > 0
    for tally in tallies:
        assert tally["broken"] == {}
        assert tally["changed"] == 0
    with bound:
        assert [share for share in verdict["figures"].values() if share < 99] == [], verdict
    for node, word in (("master", "this MASTER stood still"), ("backup", "master is back")):
        assert eventually(lambda node=node: len(standstills(lab, node)) > before[node]), node  # type: ignore[misc]
        assert standstills(lab, node)[-1]["sentence"].startswith(word)
