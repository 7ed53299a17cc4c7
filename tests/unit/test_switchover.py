"""A switchover refuses what would lose flows, waits for the barrier, and is taken back where nobody takes over."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance import ApplianceError, NotConverged, system
from appliance.commands import switchover
from appliance.pair.canaries import CANARY_STEP
from appliance.processes import notes
from appliance.run_dir import RunDir
from appliance.status import node_status
from appliance.status.node_status import PeerStatus, Snapshot
from appliance.vrrp import Role
from tests.unit.snapshots import SNAPSHOT, STANDBY, written

assert STANDBY.pair.peer is not None
PEER = STANDBY.pair.peer._replace(role=Role.BACKUP, seen=7)
MASTER = SNAPSHOT._replace(pair=STANDBY.pair._replace(aside=False, canary=8, peer=PEER))
SYNCED = MASTER._replace(pair=MASTER.pair._replace(canary=12, peer=PEER._replace(seen=12)))
MOVED = SYNCED._replace(
    role=Role.BACKUP, pair=SYNCED.pair._replace(peer=PEER._replace(role=Role.MASTER, seen=12))
)


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def tell(run_dir: RunDir, snapshot: Snapshot) -> None:
    system.replace(run_dir.status, node_status.to_json(written(snapshot)))


class Planting:
    """A MASTER that plants another canary for each word, and whose peer has seen them all."""

    def __init__(self) -> None:
        self.words = 0

    def __call__(self) -> Snapshot:
        self.words += 1
        number = MASTER.pair.canary + CANARY_STEP * self.words
        peer = PEER._replace(seen=number)
        return MASTER._replace(pair=MASTER.pair._replace(canary=number, peer=peer))


@contextmanager
def agent(run_dir: RunDir, says: Callable[[], Snapshot]) -> Iterator[None]:
    """Writes what the node is, again and again, as an agent does."""
    tell(run_dir, says())
    over = threading.Event()

    def live() -> None:
        while not over.wait(0.005):
            tell(run_dir, says())

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_peer_takes_over_once_it_has_all_flows(run_dir: RunDir) -> None:
    plants = Planting()

    def says() -> Snapshot:
        return MOVED if notes.is_asked_aside(run_dir) else plants()

    with agent(run_dir, says):
        told = switchover.switchover(run_dir, None)
    assert told.startswith("backup is MASTER and master is BACKUP: 12 entries, barrier ")
    assert told.endswith("`vgw switchover` on backup gives it back")
    assert notes.is_asked_aside(run_dir), "the agent needs the note until the VGW is given back"
    assert plants.words > 2, "the barrier was waited for: two canaries after the first one read"


def test_to_itself_there_is_nothing_to_do(run_dir: RunDir) -> None:
    tell(run_dir, MASTER)
    assert switchover.switchover(run_dir, "master") == "master is MASTER already"


def beside(peer: PeerStatus) -> Snapshot:
    return MASTER._replace(pair=MASTER.pair._replace(peer=peer))


@pytest.mark.parametrize(
    ("snapshot", "to", "told"),
    [
        (STANDBY, None, "master is BACKUP, and only the MASTER can hand over; backup is: run"),
        (
            STANDBY._replace(pair=STANDBY.pair._replace(peer=None)),
            None,
            "only the MASTER can hand over: run",
        ),
        (SNAPSHOT, None, "the peer is silent on the sync link: nobody is there to take over"),
        (MASTER, "other", "--to other: there is no such node; the peer is backup"),
        (MASTER._replace(failback="plain"), None, "the profile standard preempts by itself"),
        (
            beside(PEER._replace(ready=False, reason="listening")),
            None,
            "backup is not ready: listening",
        ),
        (
            beside(PEER._replace(replicas=False)),
            None,
            "backup lacks replicas: its `vgw status` tells why",
        ),
        (
            MASTER._replace(pair=MASTER.pair._replace(degraded="no room")),
            None,
            "replication is degraded: no room",
        ),
    ],
)
def test_what_would_lose_flows_is_refused(
    run_dir: RunDir, snapshot: Snapshot, to: str | None, told: str
) -> None:
    tell(run_dir, snapshot)
    with pytest.raises(ApplianceError) as caught:
        switchover.switchover(run_dir, to)
    assert told in str(caught.value)
    assert not notes.is_asked_aside(run_dir)


def test_without_a_word_of_the_agent_nothing_is_handed_over(run_dir: RunDir) -> None:
    stale = node_status.to_json(written(MASTER, ago=60))
    system.replace(run_dir.status, stale)
    with pytest.raises(ApplianceError, match="the agent of this node is silent"):
        switchover.switchover(run_dir, None)


@pytest.mark.parametrize("seen", [7, 7_000], ids=["none since", "a former agent's"])
def test_flows_that_do_not_arrive_keep_the_vgw_here(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch, seen: int
) -> None:
    monkeypatch.setattr(switchover, "BARRIER_SECONDS", 0.05)
    stays = MASTER._replace(pair=MASTER.pair._replace(peer=PEER._replace(seen=seen)))
    with agent(run_dir, lambda: stays), pytest.raises(NotConverged) as caught:
        switchover.switchover(run_dir, "backup")
    assert "backup did not tell that it has all flows" in str(caught.value)
    assert not notes.is_asked_aside(run_dir)


def test_an_order_that_nobody_follows_is_taken_back(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchover, "MOVE_SECONDS", 0.05)
    with agent(run_dir, Planting()), pytest.raises(NotConverged) as caught:
        switchover.switchover(run_dir, None)
    assert str(caught.value).startswith("backup did not take over; the order is taken back")
    assert not notes.is_asked_aside(run_dir)


def test_a_peer_that_has_just_fetched_its_replicas_takes_over_though_the_status_is_older(
    run_dir: RunDir,
) -> None:
    plants = Planting()

    def says() -> Snapshot:
        if notes.is_asked_aside(run_dir):
            return MOVED
        word = plants()
        assert word.pair.peer is not None
        peer = word.pair.peer._replace(replicas=plants.words >= 20)
        return word._replace(pair=word.pair._replace(peer=peer))

    with agent(run_dir, says):
        assert switchover.switchover(run_dir, None).startswith("backup is MASTER")
