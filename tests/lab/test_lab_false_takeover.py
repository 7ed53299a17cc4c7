"""A MASTER whose adverts stop for a moment while it lives: both nodes tell that the takeover was false."""

from tests.waiting import PATIENCE, eventually
from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import Lab
from .test_lab_changes import NODES
from .test_lab_replication import must, recorded

FALSE = "false takeover"


def test_a_master_that_is_not_let_run_for_a_moment_is_told_of_by_both_nodes(
    standard_lab: Lab,
) -> None:
    wires = NamespaceLab(standard_lab.name)
    wires.wait_healthy(PATIENCE)

    def counts() -> list[int]:
        """The takeovers of backup, and the false ones that each node tells of."""
        led = [one for one in recorded(standard_lab, "backup", "role") if one["now"] == "MASTER"]
        return [len(led), *(len(recorded(standard_lab, node, FALSE)) for node in NODES)]

    def all_told() -> bool:
        """Whether each node tells of each takeover since then; a busy machine may bring one more."""
        since = [now - then for now, then in zip(counts(), before, strict=True)]
        return since[0] > 0 and set(since) == {since[0]}

    before = counts()
    process = must(standard_lab, "master", "cat", "/run/vgw/vrrp.pid").strip()
    must(standard_lab, "master", "kill", "-STOP", process)
    try:
        assert eventually(lambda: len(wires.holders()) == 2), wires.log("backup", 40)
    finally:
        must(standard_lab, "master", "kill", "-CONT", process)
    assert eventually(lambda: wires.holders() == ("master",))
    assert eventually(all_told), [must(standard_lab, node, "vgw", "events") for node in NODES]
    for node, word in (("backup", "the takeover was false"), ("master", "took over beside")):
        assert word in recorded(standard_lab, node, FALSE)[-1]["sentence"]
    assert (
        "none of its adverts had come in for"
        in recorded(standard_lab, "backup", FALSE)[-1]["sentence"]
    )
    wires.wait_healthy(PATIENCE)
