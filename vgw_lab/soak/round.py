"""One round of a soak: its faults begin and end, the pair comes back, and what was seen meanwhile is judged."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from appliance import ApplianceError, NotConverged
from vgw_lab.drills import drill, verdict
from vgw_lab.instruments.probe import Tally
from vgw_lab.measures import invariants, load, tables
from vgw_lab.measures.invariants import Violation, Watch
from vgw_lab.soak import silence
from vgw_lab.soak.grammar import Fault, Round
from vgw_lab.soak.healths import Healths, asking
from vgw_lab.soak.kinds import KINDS, Kind
from vgw_lab.soak.silence import Outage, Struck
from vgw_lab.worlds.running import Lab
from vgw_lab.worlds.world import wait_until

# So much of the drills' flows; how often a machine asks, in milliseconds.
FLOWS = 0.05
PROBE_MS = 50.0
_BEFORE_SECONDS = 0.5
_AGAIN_SECONDS = 0.5
# A flow by TCP asks again only after as long as it was silent (RFC 6298), and has so long for that.
_MOST_PATIENCE = 20.0
_TRACEBACK = "Traceback (most recent call last)"
Say = Callable[[str], None]


@dataclass
class Course:
    """How a round went: when each fault was on, in what state the pair came back, who is MASTER, and what was counted."""

    began: float
    master: str = ""
    struck: dict[Fault, tuple[float, float]] = field(default_factory=dict)
    unsettled: list[Violation] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)


def live(lab: Lab, one: Round, say: Say) -> list[Violation]:
    """Live through a round; what did not hold. `say` hears what happens."""
    former, seen = tables.differences(lab), _counted(lab)
    with (
        invariants.watching(lab) as lookers,
        load.flowing(lab, load.Load(FLOWS)) as flows,
        asking(lab) as healths,
    ):
        course = Course(time.monotonic())
        with ExitStack() as probes:
            records = {
                spec.name: probes.enter_context(
                    drill.observe(lab, None, machine=spec.name, every=PROBE_MS)
                )
                for spec in lab.topology.machines
            }
            time.sleep(_BEFORE_SECONDS)
            _happen(lab, one, course, lookers, say)
            _settle(lab, one, course, healths, lookers, say)
        course.tallies = {name: record.train for name, record in records.items()}
        if not course.unsettled:
            time.sleep(_patience(course.tallies))
            flows.check("round")
    unequal = [] if course.unsettled else tables.unequal(lab, former)
    found = [
        *course.unsettled,
        *invariants.judge(lab, lookers.watch, course.began),
        *(Violation("flows", sentence) for _, sentence in load.broken(flows.phases)),
        *(verdict.difference(lack, lab.other(course.master)) for lack in unequal),
        *_silences(course, lookers.watch, healths),
        *_more(lab, seen),
    ]
    return [violation for violation in found if not _is_known(one, violation)]


def _happen(lab: Lab, one: Round, course: Course, lookers: invariants.Lookers, say: Say) -> None:
    """Begin and end each fault at its time."""
    due: list[tuple[float, Fault, bool]] = []
    for fault in one:
        begin = fault.beside or 0.0
        due += [(begin, fault, True), (begin + fault.seconds, fault, False)]
    start = time.monotonic()
    for at, fault, begins in sorted(due, key=lambda event: event[0]):
        time.sleep(max(start + at - time.monotonic(), 0.0))
        kind, node = KINDS[fault.kind], lab.topology.gateways[fault.node].name
        now = time.monotonic()
        if begins:
            course.struck[fault] = (now, now)
            say(kind.sentence.format(node=node))
            _do(kind.begin, lab, node, say)
        elif kind.end is not None:
            say(f"{node}: {fault.kind} is over")
            _do(kind.end, lab, node, say)
            lookers.begin()  # again, where a node went off with who looked there
        course.struck[fault] = (course.struck[fault][0], time.monotonic())


def _do(order: Callable[[Lab, str], None], lab: Lab, node: str, say: Say) -> bool:
    """Whether it could be done: beside another fault not everything can."""
    try:
        order(lab, node)
    except ApplianceError as error:
        say(f"{node}: refused: {error}")
        return False
    return True


def _settle(
    lab: Lab,
    one: Round,
    course: Course,
    healths: Healths,
    lookers: invariants.Lookers,
    say: Say,
) -> None:
    """Wait until the pair is well, and says so; start what has ended itself, as who runs it would."""
    kinds = [KINDS[fault.kind] for fault in one]
    end = time.monotonic() + max(kind.healthy for kind in kinds)
    problem = ""
    while time.monotonic() < end:
        _start_ended(lab, kinds, course, say)
        lookers.begin()
        try:
            course.master = lab.wait_healthy(max(end - time.monotonic(), 0.0))
        except NotConverged as error:
            problem = str(error)
            _mend_again(lab, one)
            continue
        if wait_until(lambda: not _ailing(healths), max(end - time.monotonic(), 0.0)):
            say("all is well again")
            return
        problem = f"it serves, and says all the same: {_ailing(healths)}"
    seconds = time.monotonic() - course.began
    course.unsettled.append(Violation("settled in the end", f"{problem}", course.began, seconds))


def _ailing(healths: Healths) -> str:
    now = silence.now(healths.words, time.monotonic())
    return "; ".join(f"{node}: {said}" for node, said in now.items() if said)


def _start_ended(lab: Lab, kinds: Sequence[Kind], course: Course, say: Say) -> None:
    for spec in lab.topology.gateways:
        if lab.node(spec.name).on:
            continue
        words = " / ".join(lab.log(spec.name, 3).splitlines())
        sentence = f"{spec.name} has ended itself: {words}"
        say(f"{sentence}; it is started again")
        if not any(kind.ends for kind in kinds):
            course.unsettled.append(Violation("ended", sentence, time.monotonic()))
        lab.node(spec.name).start()


def _mend_again(lab: Lab, one: Round) -> None:
    """What could not be mended beside another fault."""
    for fault in one:
        kind, node = KINDS[fault.kind], lab.topology.gateways[fault.node].name
        if kind.end is not None:
            _do(kind.end, lab, node, lambda _: None)


def _patience(tallies: dict[str, Tally]) -> float:
    """How long flows by TCP may take to ask again."""
    longest = max((tally.gap_ms / 1000 for tally in tallies.values()), default=0.0)
    return _AGAIN_SECONDS + min(longest, _MOST_PATIENCE)


def _silences(course: Course, watch: Watch, healths: Healths) -> Iterator[Violation]:
    struck = [
        Struck(span, KINDS[fault.kind].causes, KINDS[fault.kind].cuts)
        for fault, span in course.struck.items()
    ]
    outages = [
        Outage((begin, end), f"{machine} got no answer")
        for machine, tally in course.tallies.items()
        for begin, end in tally.silences
    ]
    outages += _two(watch, "both nodes answered for the VGW", lambda look: len(look.answering) > 1)
    if not any(KINDS[fault.kind].fenced for fault in course.struck):
        outages += _two(watch, "both nodes held the VGW", lambda look: len(look.holders) > 1)
    return silence.judge(outages, healths.words, struck, course.began)


def _two(watch: Watch, what: str, condition: Callable[[invariants.Look], bool]) -> list[Outage]:
    spans = invariants.lasting(watch, condition, silence.SILENT_SECONDS)
    return [Outage((at, at + seconds), what) for at, seconds in spans]


@dataclass(frozen=True)
class Counted:
    """What only ever grows: packets that left untranslated, and exceptions in the nodes' logs."""

    untranslated: int
    exceptions: dict[str, int]


def _counted(lab: Lab) -> Counted:
    logs = {spec.name: lab.log(spec.name).count(_TRACEBACK) for spec in lab.topology.gateways}
    return Counted(lab.capture().untranslated, logs)


def _more(lab: Lab, seen: Counted) -> Iterator[Violation]:
    now = _counted(lab)
    if more := now.untranslated - seen.untranslated:
        yield Violation("leak", f"{more} packets left by the WAN untranslated")
    for node, number in now.exceptions.items():
        if number > seen.exceptions[node]:
            yield Violation("exception", f"{node}: {lab.log(node).rpartition(_TRACEBACK)[2]}")


def _is_known(one: Round, violation: Violation) -> bool:
    """Whether a fault of the round is known to break this, or two of them together."""
    kinds = [KINDS[fault.kind] for fault in one]
    if violation.kind == "flows" and len({f.node for f in one if KINDS[f.kind].forgets}) > 1:
        return True
    return any(violation.kind in kind.known for kind in kinds)
