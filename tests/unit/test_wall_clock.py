"""The clock on the wall decides nothing: a node whose clock is wrong, or is set, judges as one whose clock is right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.conntrack import kept_ports, replica_refresh
from appliance.status import status_file
from appliance.vrrp import Role

from .node_doors import Node, config, connected
from .snapshots import SNAPSHOT, at

HOUR = 3600.0
Clock = Callable[[float], float]
CLOCKS: dict[str, Clock] = {
    "an hour behind": lambda now: now - HOUR,
    "an hour ahead": lambda now: now + HOUR,
    "set forward": lambda now: now + (HOUR if now > 8 else 0),
    "set back": lambda now: now - (HOUR if now > 8 else 0),
    "running backwards": lambda now: -now,
    "standing": lambda now: 0.0,
}


class Pairs:
    """Two nodes, one of whose agents is started anew; both hear each other, and adverts by the role."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        for name in ("master", "backup"):
            (directory / name).mkdir(parents=True)
        wanted = config()
        self.master = Node(wanted, "master", directory / "master")
        self.backup = Node(wanted, "backup", directory / "backup")
        self.master.clock = clock
        self.master.pair = self.master.agent()
        self.pass_on = connected(self.master, self.backup)
        self.leads = self.backup
        self.cut = False
        self.history: list[tuple[object, ...]] = []

    def live(self, seconds: float) -> None:
        """Have time pass for both, and take note of what each judges."""
        for _ in range(int(seconds * 4)):
            for node in (self.master, self.backup):
                node.now += 0.25
                node.pings.answered = node.now
                if node is not self.leads:
                    node.heard(100)
                node.look(Role.MASTER if node is self.leads else Role.BACKUP)
                node.pair.serve(node.now)
            entries = [set(node.table.canaries) for node in (self.master, self.backup)]
            self.pass_on()
            if self.cut:
                self.master.table.canaries, self.backup.table.canaries = entries
            for node in (self.master, self.backup):
                memory = node.pair.memory
                waited = round(memory.waited, 2)
                told = (memory.verdict, memory.degraded, memory.behind, waited, memory.contested)
                self.history.append((round(node.now, 2), node.name, *told))


def lived(directory: Path, clock: Clock) -> list[tuple[object, ...]]:
    """The story of a reboot: the node that comes back leads, and then no flow gets to the other one."""
    pair = Pairs(directory, clock)
    pair.live(6)
    pair.leads = pair.master
    pair.live(6)
    pair.master.pair = pair.master.agent()  # started anew while it leads
    pair.live(6)
    pair.cut = True
    pair.live(20)
    pair.cut = False
    pair.live(3)
    return pair.history


@pytest.fixture(scope="module")
def rightly(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    return lived(tmp_path_factory.mktemp("right"), lambda now: now)


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_the_same_story_with_another_clock_has_the_same_verdicts(
    tmp_path: Path, rightly: list[tuple[object, ...]], clock: Clock
) -> None:
    assert lived(tmp_path, clock) == rightly


def test_a_replication_that_is_cut_after_a_restart_is_told_of(
    rightly: list[tuple[object, ...]],
) -> None:
    cut = [(str(degraded), str(behind)) for _, _, _, degraded, behind, _, _ in rightly[18 * 8 :]]
    assert any("no flow" in degraded for degraded, _ in cut)
    assert any("lacks the flows of the last" in behind for _, behind in cut)


def test_an_age_is_never_negative_and_one_of_before_the_start_is_endless() -> None:
    assert at(1060.0).age(SNAPSHOT) == 1.0
    assert at(1000.0).age(SNAPSHOT) == 0.0
    assert at(1060.0, boot="another").age(SNAPSHOT) == float("inf")
    assert at(1060.0).in_role(SNAPSHOT) == 60.0
    older = SNAPSHOT._replace(boot="", written=5000.0)
    assert at(1060.0).age(older) == 0.0, "an older VGW tells the time of day alone"


def test_this_start_of_the_machine_has_an_id() -> None:
    assert len(status_file.moment().boot) == 36


def test_who_is_held_is_held_by_the_monotonic_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "held"
    assert not replica_refresh.held(str(file))
    kept_ports.hold(file)
    for wall in (0.0, 1e10):
        monkeypatch.setattr("time.time", lambda wall=wall: wall)
        assert replica_refresh.held(str(file))
    file.touch()
    assert not replica_refresh.held(str(file)), "a time of day holds nobody"
