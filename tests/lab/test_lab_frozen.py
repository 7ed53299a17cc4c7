"""All processes of a MASTER frozen for 20 s, in each other profile: new connections work, no flow breaks, and both nodes tell it."""

import pytest

from tests.conftest import Bound
from tests.waiting import eventually

from .conftest import Lab
from .test_lab_replication import recorded


@pytest.mark.parametrize("fixture", ["fast_lab", "hot_lab", "classic_lab"])
def test_a_frozen_master_is_in_nobodys_way(
    fixture: str, request: pytest.FixtureRequest, bound: Bound
) -> None:
    lab: Lab = request.getfixturevalue(fixture)
    before = {node: len(recorded(lab, node, "standstill")) for node in ("master", "backup")}
    verdict = lab.drilled("freeze-node")
    tallies = [tally for phase in verdict["flows"].values() for tally in phase.values()]
    assert sum(tally["flows"] for tally in tallies) > 0
    for tally in tallies:
        assert (tally["broken"], tally["changed"]) == ({}, 0), verdict
    with bound:
        assert [share for share in verdict["figures"].values() if share < 99] == [], verdict
    for node, word in (("master", "this MASTER stood still"), ("backup", "master is back")):
        assert eventually(
            lambda node=node: len(recorded(lab, node, "standstill")) > before[node]  # type: ignore[misc]
        ), node
        assert recorded(lab, node, "standstill")[-1]["sentence"].startswith(word)
