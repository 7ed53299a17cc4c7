"""What a drill came to: its figures against what was promised, and every promise that was broken."""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from appliance import CommandFailed
from vgw_lab import faults
from vgw_lab.faults.fault import Fault
from vgw_lab.instruments import witness
from vgw_lab.instruments.probe import Tally
from vgw_lab.measures import invariants, load, tables, timeline
from vgw_lab.measures.checks import Findings
from vgw_lab.measures.invariants import Violation, Watch
from vgw_lab.measures.tables import Difference
from vgw_lab.measures.timeline import Timeline
from vgw_lab.worlds.running import Lab

_ENDED = re.compile(r" exited: (\w+) ")
# How long after a fault was put right its known limits may show: two adverts, and a look.
_LOOKS_SECONDS = 0.3
# Who misses so many of his adverts has ceased to be MASTER in the eyes of the other (RFC 9568).
_QUIET_ADVERTS = 3


@dataclass(frozen=True)
class Verdict:
    """What one drill cost, and whether the profile's promise was kept. Times in milliseconds.

    `gap` is the probe's longest outage, `takeover` VRRP's own: from the fault, or from the advert
    that announces it, to the new MASTER's first advert. `prediction` is what the formula says,
    `bar` what the gap may be; None where no traffic could pass. The `return_…` values are the same for
    the node's return. `turns` says how often the VGW changed hands; None where nobody could look.
    `flows` says how those fared that were asked for, at the takeover and at the return; `refused` how
    many packets of other people's flows a gateway answered itself, with a RST or an unreachable.
    `figures` has what the fault's own checks measured; `limits` what was broken as is known and said;
    `restarts` the programs that ended by themselves and were started anew, by node; `timeline` when
    what was seen, from the fault on.
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
    bar: float | None
    untranslated: int
    return_lost: int
    return_gap: float
    turns: int | None
    broken: tuple[str, ...]
    limits: tuple[str, ...]
    figures: dict[str, float]
    restarts: dict[str, dict[str, int]]
    flows: dict[str, load.Tallies]
    refused: int
    timeline: Timeline

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


@dataclass(frozen=True)
class Seen:
    """All that was seen of a drill, to be judged. Times are monotonic, in seconds.

    `masters` is who was MASTER before and after the fault; `fault_at` and `mended_at` are when it was
    injected and put right; `restarts` and `untranslated` are counted over the whole drill.
    """

    masters: tuple[str, str]
    fault_at: float
    mended_at: float
    record: Record
    back: Tally
    watch: Watch
    flows: dict[str, load.Tallies]
    found: Findings
    unequal: list[Difference]
    untranslated: int
    restarts: dict[str, dict[str, int]]


def judge(lab: Lab, fault: Fault, seen: Seen) -> Verdict:
    """What a drill cost, and which promises it broke."""
    standby = lab.other(seen.masters[0])
    bar = None if fault.cuts else faults.bar(lab, fault, standby) * 1000
    train = seen.record.train
    turns = invariants.turns(seen.watch) if seen.watch.looks else None
    violations = [
        *_broken(fault, seen, bar, turns),
        *(Violation(phase, sentence) for phase, sentence in load.broken(seen.flows)),
        *invariants.judge(lab, seen.watch, seen.fault_at),
        *(difference(one, lab.other(seen.masters[0])) for one in seen.unequal),
    ]
    until = seen.mended_at + 2 * lab.topology.vgw.advert_interval + _LOOKS_SECONDS
    limits = [one for one in violations if is_known(fault, one, until)]
    return Verdict(
        drill=fault.name,
        before=seen.masters[0],
        after=seen.masters[1],
        sent=train.sent,
        lost=train.lost,
        duplicates=train.duplicates,
        gap=train.gap_ms,
        takeover=_takeover(lab, seen),
        prediction=round(faults.prediction(lab, fault.kind, standby) * 1000, 1),
        bar=None if bar is None else round(bar, 1),
        untranslated=seen.untranslated,
        return_lost=seen.back.lost,
        return_gap=seen.back.gap_ms,
        turns=turns,
        broken=(
            *(one.sentence for one in violations if one not in limits),
            *seen.found.broken,
        ),
        limits=tuple(f"{one.sentence}: {fault.known[one.kind]}" for one in limits),
        figures=seen.found.figures,
        restarts=seen.restarts,
        flows=seen.flows,
        refused=seen.watch.refused,
        timeline=_timeline(lab, seen),
    )


def _timeline(lab: Lab, seen: Seen) -> Timeline:
    gateways = lab.topology.gateways
    nodes = {_lan_address(lab, spec.name): spec.name for spec in gateways}
    nodes |= {wire.mac: spec.name for spec in gateways for wire in spec.wires}
    nodes |= seen.watch.names
    vrid, vgw = lab.topology.vgw.virtual_router_id, str(lab.topology.vgw.address.ip)
    quiet = _QUIET_ADVERTS * lab.topology.vgw.advert_interval
    heard = timeline.told(seen.record.sights, nodes, vrid, vgw, quiet)
    adverts = [(at - seen.record.ahead, what) for at, what in heard]
    trains = (seen.record.train, seen.back)
    return timeline.of(seen.fault_at, seen.mended_at, trains, seen.watch, adverts)


def difference(found: Difference, standby: str) -> Violation:
    """What is wrong with it: a flow that the standby does not know breaks at a takeover; one that is over keeps a port."""
    kind = "leftover" if found.here == standby else "missing"
    return Violation(kind, f"{found}, {tables.QUIET_SECONDS:g} s after the traffic")


def is_known(fault: Fault, violation: Violation, until: float) -> bool:
    """Whether a fault is known to break this; it has to be well again at `until`."""
    return violation.kind in fault.known and violation.begin + violation.seconds <= until


def _broken(fault: Fault, seen: Seen, bar: float | None, turns: int | None) -> Iterator[Violation]:
    before, after = seen.masters
    train = seen.record.train
    if fault.moves and before == after:
        yield Violation("move", "the standby did not take over")
    if fault.moves is False and before != after:
        yield Violation("move", f"{after} took over, which this fault is no reason for")
    if turns is not None and turns > fault.turns:
        sentence = f"the VGW changed hands {turns} times, {fault.turns} are allowed"
        yield Violation("move", sentence)
    if bar is not None and train.gap_ms > bar:
        sentence = f"the longest gap was {train.gap_ms:.0f} ms, {bar:.0f} ms are allowed"
        yield Violation("gap", sentence)
    if fault.back is not None and seen.back.gap_ms > fault.back * 1000:
        sentence = (
            f"the longest gap after it was put right was {seen.back.gap_ms:.0f} ms, "
            f"{fault.back * 1000:.0f} ms are allowed"
        )
        yield Violation("return", sentence)
    if seen.untranslated:
        yield Violation("leak", f"{seen.untranslated} packets left by the WAN untranslated")


def _takeover(lab: Lab, seen: Seen) -> float | None:
    """VRRP's own takeover time in milliseconds, as heard on the LAN."""
    vrid, old = lab.topology.vgw.virtual_router_id, seen.masters[0]
    since, sights = seen.fault_at + seen.record.ahead, seen.record.sights
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


Ends = Mapping[str, Counter[str]]


def ended(lab: Lab) -> Ends:
    """How often each program has ended without being told to, by node, since the lab came up."""
    return {spec.name: ends(lab.log(spec.name)) for spec in lab.topology.gateways}


def ends(log: str) -> Counter[str]:
    """The same, in what supervisord printed."""
    return Counter(_ENDED.findall(log))


def anew(before: Ends, after: Ends) -> dict[str, dict[str, int]]:
    """What was started anew in between; nodes and programs without any are left out."""
    more = {node: dict(after[node] - before[node]) for node in after}
    return {node: programs for node, programs in more.items() if programs}


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of some figures; empty for none."""
    if not values:
        return {}
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
