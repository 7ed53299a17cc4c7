"""A MASTER whose adverts stop for a moment while it lives: both nodes tell that the takeover was false."""

from tests.waiting import PATIENCE, eventually
from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import Lab
from .test_lab_replication import must, recorded

FALSE = "false takeover"


def test_a_master_that_is_not_let_run_for_a_moment_is_told_of_by_both_nodes(
    standard_lab: Lab,
) -> None:
    wires = NamespaceLab(standard_lab.name)
    wires.wait_healthy(PATIENCE)
    before = {node: len(recorded(standard_lab, node, FALSE)) for node in ("master", "backup")}
    process = must(standard_lab, "master", "cat", "/run/vgw/vrrp.pid").strip()
    must(standard_lab, "master", "kill", "-STOP", process)
    try:
        assert eventually(lambda: len(wires.holders()) == 2), wires.log("backup", 40)
    finally:
        must(standard_lab, "master", "kill", "-CONT", process)
    assert eventually(lambda: wires.holders() == ("master",))
    for node, word in (("backup", "the takeover was false"), ("master", "took over beside")):
        assert eventually(
            lambda node=node: len(recorded(standard_lab, node, FALSE)) == before[node] + 1  # type: ignore[misc]
        ), recorded(standard_lab, node)[-8:]
        event = recorded(standard_lab, node, FALSE)[-1]
        assert word in event["sentence"]
    assert (
        "none of its adverts had come in for"
        in recorded(standard_lab, "backup", FALSE)[-1]["sentence"]
    )
    wires.wait_healthy(PATIENCE)
