"""Drills: a fault, injected into the MASTER on purpose while a probe and a witness look on."""

import json
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from appliance import CommandFailed
from appliance.lab import faults, invariants, load, witness
from appliance.lab.faults import Fault
from appliance.lab.probe import Tally
from appliance.lab.running import Lab
from appliance.lab.world import wait_until

_BASELINE_SECONDS = 0.2
_SPARE_SECONDS = 5.0
_PROBE_SECONDS = 120.0
# Clocks that differ by more are those of two machines: an engine may be elsewhere.
_ONE_CLOCK_SECONDS = 1.0


@dataclass(frozen=True)
class Verdict:
    """What one drill cost, and whether the profile's promise was kept. Times in milliseconds.

    `gap` is the probe's longest outage, `takeover` VRRP's own: from the fault, or from the advert
    that announces it, to the new MASTER's first advert. `prediction` is what the formula says,
    `bar` what the gap may be. The `return_…` values are the same for the node's return. `flows` says
    how those fared that were asked for, at the takeover and at the return; `refused` how many
    packets of other people's flows a gateway answered itself, with a RST or an unreachable.
    """

    drill: str
    before: str
    after: str
    sent: int
    lost: int
    duplicates: int
    gap: float
    takeover: float | None
    prediction: float
    bar: float
    untranslated: int
    return_lost: int
    return_gap: float
    broken: tuple[str, ...]
    flows: dict[str, load.Tallies]
    refused: int

    @property
    def held(self) -> bool:
        """Whether all that was promised was kept."""
        return not self.broken


@dataclass
class Record:
    """What the probe and the witness have seen, once they are done.

    `ahead` is how many seconds the witness's clock is ahead of ours.
    """

    tally: Tally | None = None
    sights: list[witness.Sight] = field(default_factory=list)
    ahead: float = 0.0

    @property
    def train(self) -> Tally:
        """The probe's count. Raises CommandFailed when it never counted."""
        if self.tally is None:
            raise CommandFailed("the probe ended without a count; was its machine switched off?")
        return self.tally


def _await_start(child: "subprocess.Popen[str]", who: str, word: str) -> str:
    """What an instrument says after the word that it starts with."""
    assert child.stdout is not None
    said, _, more = child.stdout.readline().strip().partition(" ")
    if said != word:
        raise CommandFailed(f"{who} did not start; what it said stands above")
    return more


def _ahead(clock: str) -> float:
    """How far a clock that was just told is ahead of ours; 0 for one of this machine."""
    ahead = float(clock) - time.monotonic()
    return ahead if abs(ahead) > _ONE_CLOCK_SECONDS else 0.0


@contextmanager
def observe(
    lab: Lab, standby: str, machine: str | None = None, every: float = 1.0
) -> Iterator[Record]:
    """Run a probe on a machine and a witness on the LAN; the record is filled in at the end.

    `standby` is a gateway that the fault leaves alone; `every` is the probe's interval in milliseconds.
    """
    source = lab.node(machine or lab.topology.machines[0].name)
    words = ["--every", str(every), "--seconds", str(_PROBE_SECONDS)]
    watching = lab.witness(standby)
    probing = source.instrument("probe", words)
    record = Record()
    try:
        record.ahead = _ahead(_await_start(watching, "the witness on the LAN", "listening"))
        _await_start(probing, f"the probe on {source.spec.name}", "sending")
        yield record
    finally:
        # Both end when their input does; also when the drill was broken off.
        with _undisturbed():
            probed, _ = probing.communicate()
            watched, _ = watching.communicate()
    record.tally = Tally(**json.loads(probed)) if probed.startswith("{") else None
    record.sights = witness.read(watched.splitlines())


def drill(
    lab: Lab,
    fault: Fault,
    say: Callable[[str], None] = lambda _: None,
    burden: load.Load = load.NONE,
    every: float = 1.0,
) -> Verdict:
    """Inject a fault into the MASTER, measure, put it right, and judge.

    `every` is how many milliseconds are between two packets of the probe.

    Raises NotConverged when a node is off or the pair not healthy before, or not again afterwards.
    """
    lab.require_on()
    before = lab.wait_healthy()
    standby = lab.other(before)
    if burden.entries:
        load.fill(lab, before, burden.entries)
    seen = lab.capture().untranslated
    lab.arm(before)
    with (
        invariants.watching(lab) as watch,
        load.flowing(lab, burden) as flows,
        mended_when_broken_off(lab, fault, before),
    ):
        with observe(lab, standby, every=every) as record:
            # A fault has no respect for the advert timer: meet it at any phase.
            time.sleep(_BASELINE_SECONDS + random.uniform(0, lab.topology.advert_interval))
            say(f"{fault.name}: {fault.what} at {before}, which is MASTER")
            since = time.monotonic()
            with _undisturbed():
                fault.inject(lab, before)
            moved = _wait_for(lab, fault, standby)
            time.sleep(_BASELINE_SECONDS)
        flows.check("takeover")
        after = standby if moved else before
        say(f"{after} is MASTER; {before} is put right")
        with observe(lab, standby, every=every) as returning:
            fault.mend(lab, before)
            lab.wait_healthy(burden.healthy_seconds)
            time.sleep(_BASELINE_SECONDS)
        flows.check("return")
    untranslated = lab.capture().untranslated - seen
    verdict = _judge(lab, fault, (before, after), since, record, returning.train, untranslated)
    sentences = (*load.broken(flows.phases), *invariants.judge(lab, watch, since))
    return replace(
        verdict,
        broken=(*verdict.broken, *sentences),
        flows=flows.phases,
        refused=watch.refused,
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Puts Ctrl-C off until the block has ended: half a fault could not be put right."""
    came: list[int] = []
    former = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
    if came:
        raise KeyboardInterrupt


@contextmanager
def mended_when_broken_off(lab: Lab, fault: Fault, node: str) -> Iterator[None]:
    """Ctrl-C in the middle of a drill leaves no node switched off."""
    try:
        yield
    except BaseException:
        if lab.up:
            with _undisturbed():
                fault.mend(lab, node)
        raise


def _wait_for(lab: Lab, fault: Fault, standby: str) -> bool:
    """Whether the standby took over; returns when it did and a ping passes again."""
    machine = lab.topology.machines[0].name
    seconds = faults.prediction(lab, "silent", standby) + (_SPARE_SECONDS if fault.moves else 0.5)
    moved = wait_until(lambda: standby in lab.holders(), seconds)
    wait_until(lambda: lab.pings(machine), _SPARE_SECONDS)
    return moved


def _judge(
    lab: Lab,
    fault: Fault,
    masters: tuple[str, str],
    since: float,
    record: Record,
    back: Tally,
    untranslated: int,
) -> Verdict:
    standby = lab.other(masters[0])
    train = record.train
    bar = faults.bar(lab, fault, standby) * 1000
    broken = []
    if fault.moves and masters[1] != standby:
        broken.append(f"{standby} did not take over")
    if train.gap_ms > bar:
        broken.append(f"the longest gap was {train.gap_ms:.0f} ms, {bar:.0f} ms are allowed")
    if untranslated:
        broken.append(f"{untranslated} packets left by the WAN untranslated")
    return Verdict(
        drill=fault.name,
        before=masters[0],
        after=masters[1],
        sent=train.sent,
        lost=train.lost,
        duplicates=train.duplicates,
        gap=train.gap_ms,
        takeover=_takeover(lab, masters[0], since + record.ahead, record.sights),
        prediction=round(faults.prediction(lab, fault.kind, standby) * 1000, 1),
        bar=round(bar, 1),
        untranslated=untranslated,
        return_lost=back.lost,
        return_gap=back.gap_ms,
        broken=tuple(broken),
        flows={},
        refused=0,
    )


def _takeover(lab: Lab, old: str, since: float, sights: list[witness.Sight]) -> float | None:
    """VRRP's own takeover time in milliseconds, as heard on the LAN."""
    vrid = lab.topology.vrid
    address = {name: _lan_address(lab, name) for name in (old, lab.other(old))}
    leaving = [
        sight.at
        for sight in sights
        if (sight.kind, sight.source, sight.vrid) == ("advert", address[old], vrid)
        and sight.priority == 0
        and sight.at > since
    ]
    begin = leaving[0] if leaving else since
    seconds = witness.takeover(sights, address[lab.other(old)], vrid, begin)
    return None if seconds is None else round(seconds * 1000, 1)


def _lan_address(lab: Lab, node: str) -> str:
    wires = lab.topology.node(node).wires
    return next(str(wire.address.ip) for wire in wires if wire.bridge == "lan" and wire.address)


def summary(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest of some figures; empty for none."""
    if not values:
        return {}
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
