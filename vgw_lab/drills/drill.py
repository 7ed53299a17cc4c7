"""Drills: a fault, injected into the MASTER on purpose while a probe and a witness look on."""

import json
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from appliance import ApplianceError, CommandFailed
from vgw_lab import faults
from vgw_lab.drills import verdict
from vgw_lab.drills.verdict import Record, Seen, Verdict
from vgw_lab.faults.fault import Fault
from vgw_lab.instruments import witness
from vgw_lab.instruments.probe import Tally
from vgw_lab.measures import invariants, load, tables
from vgw_lab.measures.checks import Findings
from vgw_lab.worlds import entry
from vgw_lab.worlds.running import Lab
from vgw_lab.worlds.world import wait_until

_BASELINE_SECONDS = 0.2
_SPARE_SECONDS = 5.0
_PROBE_SECONDS = 600.0
_WITNESS = "the witness on the LAN"


def _clocks(children: Mapping[str, entry.Child]) -> dict[str, float]:
    """By how much each instrument's clock is ahead of ours, once all have begun."""
    found = {}
    for who, line in entry.first_lines(children):
        word, _, clock = line.partition(" ")
        if word not in ("listening", "sending"):
            raise CommandFailed(f"{who} did not start; what it said stands above")
        found[who] = entry.ahead(clock)
    return found


@contextmanager
def observe(
    lab: Lab, standby: str | None, machine: str | None = None, every: float = 1.0
) -> Iterator[Record]:
    """Run a probe on a machine and a witness on the LAN; the record is filled in at the end.

    `standby` is a gateway that the fault leaves alone, or None for no witness; `every` is the probe's interval in milliseconds.
    """
    source = lab.node(machine or lab.topology.machines[0].name)
    words = ["--every", str(every), "--seconds", str(_PROBE_SECONDS)]
    watching = lab.witness(standby) if standby else None
    probing = source.instrument("probe", words)
    record, probe = Record(), f"the probe on {source.spec.name}"
    ahead: dict[str, float] = {}
    try:
        ahead = _clocks({probe: probing} | ({_WITNESS: watching} if watching else {}))
        record.ahead = ahead.get(_WITNESS, 0.0)
        yield record
    finally:
        # Both end when their input does; also when the drill was broken off.
        with undisturbed():
            probed, _ = probing.communicate()
            watched = watching.communicate()[0] if watching else ""
    if probed.startswith("{"):
        record.tally = Tally(**json.loads(probed)).earlier(ahead.get(probe, 0.0))
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
    burden = replace(burden, scale=max(burden.scale, fault.flows))
    found, former = Findings(burden.watch), tables.differences(lab)
    untranslated, ended = lab.capture().untranslated, verdict.ended(lab)
    lab.arm(before)
    with (
        invariants.watching(lab) as lookers,
        load.flowing(lab, burden) as flows,
        mended_when_broken_off(lab, fault, before),
        fault.scene(lab, before),
    ):
        lookers.begin()  # again, where the scene has switched a node off and on
        with observe(lab, standby, every=every) as record:
            # A fault has no respect for the advert timer: meet it at any phase.
            time.sleep(_BASELINE_SECONDS + random.uniform(0, lab.topology.vgw.advert_interval))
            say(f"{fault.name}: {fault.what} at {before}, which is MASTER")
            since = time.monotonic()
            with undisturbed():
                fault.inject(lab, before)
            moved = _wait_for(lab, fault, standby)
            fault.during(lab, before, found)
            time.sleep(_BASELINE_SECONDS)
        if not fault.cuts:
            flows.check("takeover")
        say(f"{standby if moved else before} is MASTER; {before} is put right")
        with observe(lab, None, every=every) as returning:
            fault.mend(lab, before)
            mended = time.monotonic()
            lookers.begin()
            fault.after(lab, before, found)
            lab.wait_healthy(fault.healthy + burden.learning_seconds)
            time.sleep(_BASELINE_SECONDS)
        flows.check("return")
    unequal = tables.unequal(lab, former)
    seen = Seen(
        masters=(before, standby if moved else before),
        fault_at=since,
        mended_at=mended,
        record=record,
        back=returning.train,
        watch=lookers.watch,
        flows=flows.phases,
        found=found,
        unequal=unequal,
        untranslated=lab.capture().untranslated - untranslated,
        restarts=verdict.anew(ended, verdict.ended(lab)),
    )
    return verdict.judge(lab, fault, seen)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Puts Ctrl-C off until the block has ended: half a fault could not be put right.

    A terminal tells the programs of the block too; that it ended one of them is Ctrl-C and no error.
    """
    came: list[int] = []
    former = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    except ApplianceError:
        if not came:
            raise
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
            with undisturbed():
                fault.mend(lab, node)
        raise


def _wait_for(lab: Lab, fault: Fault, standby: str) -> bool:
    """Whether the standby took over; returns when it did and a ping passes again."""
    machine = lab.topology.machines[0].name
    seconds = faults.prediction(lab, "silent", standby) + (_SPARE_SECONDS if fault.moves else 0.5)
    moved = wait_until(lambda: standby in lab.holders(), seconds)
    if not fault.cuts:
        wait_until(lambda: lab.pings(machine), _SPARE_SECONDS)
    return moved
