"""What a node makes of several words of its peer's at once, and when it says none itself."""

from dataclasses import replace
from pathlib import Path

from appliance.pair import terms
from appliance.pair.beat import BEAT_INTERVAL
from appliance.status import events
from appliance.vrrp import Role

from .node_doors import Node, config
from .snapshots import PEER

STANDARD = config()
MASTER = replace(PEER, digest=terms.terms(STANDARD, "master").digest)


def test_a_peer_that_was_master_between_two_looks_is_told_of_once(tmp_path: Path) -> None:
    node = Node(STANDARD, "master", tmp_path)
    node.look(Role.MASTER)
    for role in ("BACKUP", "MASTER", "BACKUP"):
        node.told(replace(MASTER, role=role))
    node.serve()
    node.look()
    node.look()
    kinds = [one.kind for one in events.read(node.run_dir)]
    assert kinds.count("false takeover") == 1


def test_a_master_that_stood_still_is_hushed_until_keepalived_has_let_go(tmp_path: Path) -> None:
    node = Node(STANDARD, "master", tmp_path)
    node.look(Role.MASTER)
    node.serve(BEAT_INTERVAL)
    node.beats()
    node.told(MASTER)
    node.serve(10.0)
    assert node.ready() == "0 1"
    assert not node.beats(), "its word would open the way for its adverts"
    node.look(Role.FAULT)
    (said,) = node.beats()
    assert (said.role, said.stood) == ("FAULT", 10.0)
