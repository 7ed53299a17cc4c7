"""What a fault costs each set-up: the silence that a probe meets, and the flows that live through it."""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from vgw_lab import faults
from vgw_lab.bench import pair, pulse
from vgw_lab.bench.setups import Setup
from vgw_lab.bench.silence import SILENT_DEATH
from vgw_lab.drills.drill import mended_when_broken_off, observe
from vgw_lab.faults.fault import Fault
from vgw_lab.measures import load
from vgw_lab.worlds.namespaces import NamespaceLab
from vgw_lab.worlds.running import HEALTHY_SECONDS
from vgw_lab.worlds.world import wait_until

POWER_OFF = "power-off"
FAULTS = {
    one.name: one for one in (SILENT_DEATH, faults.fault("clean-stop"), faults.fault(POWER_OFF))
}
# How many flows there are: half of a drill's usual ones.
SCALE = 0.5
_BASELINE_SECONDS = 0.5
_AFTER_SECONDS = 0.5
# A TCP that was cut off tries again after 0.2, 0.6, 1.4, 3 and 6.2 s (RFC 6298): twice the takeover.
_WATCHED_SECONDS = 3.0
# Half of what a commit was seen to bring into the kernel.
_COMMITTED_A_SECOND = 40_000
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Outage:
    """One fault of one set-up. Times in milliseconds, `began` from the moment of the fault.

    `flows` counts by kind how many there were and how many live on under the same outside address and
    port; `stall` is the longest that a TCP flow which lives waited for its answer, None where none lives. `pulse` is how many of so many flows were answered, by a bin's begin in seconds.
    """

    setup: str
    round: int
    fault: str
    entries: int
    gap: float
    began: float | None
    sent: int
    lost: int
    stall: float | None = None
    flows: dict[str, tuple[int, int]] = field(default_factory=dict)
    pulse: dict[str, int] = field(default_factory=dict)
    watched: int = 0


@dataclass(frozen=True)
class Episode:
    """One lab's life: a set-up, its round, the entries in its table, and the faults it meets in turn."""

    setup: Setup
    round: int
    entries: int
    faults: tuple[str, ...]


def empty(setups: Sequence[Setup], runs: int) -> list[Episode]:
    """The labs in which each fault is met with an empty table.

    The power cut comes last: nobody has to wait for the node's return.
    """
    return [Episode(setup, turn, 0, tuple(FAULTS)) for turn in range(runs) for setup in setups]


def filled(setups: Sequence[Setup], runs: int, sizes: Sequence[int]) -> list[Episode]:
    """The labs in which the power is cut while the table holds so many entries."""
    return [
        Episode(setup, turn, size, (POWER_OFF,))
        for turn in range(runs)
        for size in sizes
        for setup in setups
    ]


def by_rounds(episodes: Iterable[Episode]) -> list[Episode]:
    """Set-up after set-up within a round, then the next: a mood of the machine hits all alike."""
    return sorted(episodes, key=lambda episode: episode.round)


def run(name: str, episode: Episode, say: Callable[[str], None]) -> list[Outage]:
    """Make the lab, inject the faults one after the other, and take it down."""
    setup = episode.setup
    found = []
    with pair.lab_of(name, setup.topology()) as lab:
        for fault in episode.faults:
            say(f"{setup.name}, {fault}, {episode.entries} entries")
            learning = load.Load(entries=episode.entries).learning_seconds
            master = pair.await_rest(lab, setup, HEALTHY_SECONDS + learning)
            if episode.entries:
                pair.fill(lab, setup, master, episode.entries)
            found.append(_meet(lab, episode, FAULTS[fault], master))
    return found


def _meet(lab: NamespaceLab, episode: Episode, fault: Fault, master: str) -> Outage:
    standby = lab.other(master)
    lab.arm(master)
    burden = load.Load(SCALE) if fault.name == POWER_OFF else load.NONE
    last = fault.name == episode.faults[-1]
    with (
        mended_when_broken_off(lab, fault, master),
        load.flowing(lab, burden) as flows,
        pulse.beating(lab, bool(burden.scale)) as beat,
    ):
        with observe(lab, standby) as record:
            # A fault has no respect for the advert timer: meet it at any phase.
            time.sleep(_BASELINE_SECONDS + random.uniform(0, lab.topology.vgw.advert_interval))
            since = ended = time.monotonic()
            fault.inject(lab, master)
            wait_until(lambda: standby in lab.holders(), _PATIENCE_SECONDS)
            wait_until(lambda: lab.pings(lab.topology.machines[0].name), _PATIENCE_SECONDS)
            time.sleep(_AFTER_SECONDS)
        if flows.generators:
            until = since + _watched_seconds(lab, standby, episode.entries)
            time.sleep(max(until - time.monotonic(), 0))
            ended = time.monotonic()
            flows.check("takeover")
    if not last:
        fault.mend(lab, master)
    train, tallies = record.train, flows.phases.get("takeover", {})
    return Outage(
        setup=episode.setup.name,
        round=episode.round,
        fault=fault.name,
        entries=episode.entries,
        gap=train.gap_ms,
        began=None if train.gap_at is None else round((train.gap_at - since) * 1000, 1),
        sent=train.sent,
        lost=train.lost,
        stall=stall(tallies),
        flows=alive(tallies),
        pulse={f"{at:.2f}": number for at, number in beat.since(since, ended - since).items()},
        watched=beat.flows,
    )


def stall(tallies: load.Tallies) -> float | None:
    """The longest wait of a TCP flow whose client speaks, in milliseconds; None where none lives."""
    waits = [tally.stall_ms for kind, tally in tallies.items() if "client" in kind and tally.alive]
    return max(waits, default=None)


def _watched_seconds(lab: NamespaceLab, standby: str, entries: int) -> float:
    """How long the flows are looked at after a fault: until what lives has been seen to live."""
    commit = entries / _COMMITTED_A_SECOND
    return max(_WATCHED_SECONDS + commit, 2.2 * lab.topology.master_down_interval(standby))


def alive(tallies: load.Tallies) -> dict[str, tuple[int, int]]:
    """By kind: how many flows there were, and how many live on and are the same seen from outside."""
    return {
        kind: (tally.flows, max(tally.alive - tally.changed, 0)) for kind, tally in tallies.items()
    }
