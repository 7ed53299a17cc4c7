"""What must hold at every moment of a drill, judged after the looks that were taken meanwhile."""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vgw_lab.worlds import entry
from vgw_lab.worlds.entry import Child
from vgw_lab.worlds.running import Lab

# Two nodes may answer, and a role and the addresses differ, for no longer; in seconds.
TWO_SECONDS = 0.6
DIFFER_SECONDS = 1.5
# Who has not looked for so long is frozen with its node, and what it said is old; in seconds.
STILL_SECONDS = 1.0


@dataclass(frozen=True)
class Look:
    """The pair as it was from `at` on: who answers for the VGW (by MAC), who holds it, all roles."""

    at: float
    answering: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Violation:
    """What did not hold, in a sentence: from when, and for how long, if it is a matter of time.

    `kind` of what is seen by looking: `two` (both answer for the VGW), `held` (both hold it), `differs` (a role and
    what its node holds), `refused`, `missing` (the standby lacks an entry of the MASTER's), `leftover` (it
    alone has one). Of what is counted: `move`, `gap`, `leak`, and `takeover` and `return` for the flows.
    """

    kind: str
    sentence: str
    begin: float = 0.0
    seconds: float = 0.0


@dataclass
class Watch:
    """All that was seen: the looks that differ from those before, and each MAC's refusals.

    `names` has the nodes by MAC, where an engine chose those.
    """

    looks: list[Look] = field(default_factory=list)
    refusals: dict[str, list[str]] = field(default_factory=dict)
    end: float = 0.0
    names: dict[str, str] = field(default_factory=dict)

    @property
    def refused(self) -> int:
        """How many RSTs and unreachables the gateways sent of their own."""
        return sum(map(len, self.refusals.values()))


def lasting(
    watch: Watch, condition: Callable[[Look], bool], seconds: float
) -> list[tuple[float, float]]:
    """When a condition held for longer than so many seconds, and for how long it did."""
    found, begin = [], None
    for look in [*watch.looks, Look(watch.end)]:
        holds = condition(look) and look.at < watch.end
        if holds and begin is None:
            begin = look.at
        elif not holds and begin is not None:
            if look.at - begin > seconds:
                found.append((begin, look.at - begin))
            begin = None
    return found


def turns(watch: Watch) -> int:
    """How often the VGW has changed hands; a while in which two hold it, or nobody, is no holder's."""
    alone = [look.holders for look in watch.looks if len(look.holders) == 1]
    return sum(before != after for before, after in itertools.pairwise(alone))


def violations(watch: Watch, since: float, names: Mapping[str, str]) -> list[Violation]:
    """What did not hold. `since` is the fault; `names` has the nodes by MAC."""
    found = []
    for at, seconds in lasting(watch, lambda look: len(look.answering) > 1, TWO_SECONDS):
        both = next(look.answering for look in watch.looks if look.at == at)
        who = " and ".join(names.get(mac, mac) for mac in both)
        sentence = f"{who} both answered for the VGW for {seconds:.1f} s, {_when(at, since)}"
        found.append(Violation("two", sentence, at, seconds))
    for at, seconds in lasting(watch, lambda look: len(look.holders) > 1, TWO_SECONDS):
        both = next(look.holders for look in watch.looks if look.at == at)
        sentence = f"{' and '.join(both)} both held the VGW for {seconds:.1f} s, {_when(at, since)}"
        found.append(Violation("held", sentence, at, seconds))
    gateways = dict.fromkeys(node for look in watch.looks for node, _ in look.roles)
    for node in gateways:
        for at, seconds in lasting(watch, lambda look, n=node: _differs(look, n), DIFFER_SECONDS):  # type: ignore[misc]
            look = next(look for look in watch.looks if look.at == at)
            holds = "holds the VGW" if node in look.holders else "does not hold the VGW"
            sentence = (
                f"{node} says that it is {dict(look.roles)[node]} and {holds}, for {seconds:.1f} s, "
                f"{_when(at, since)}"
            )
            found.append(Violation("differs", sentence, at, seconds))
    for mac, refusals in sorted(watch.refusals.items()):
        if not refusals:
            continue
        sentence = (
            f"{names.get(mac, mac)} refused {len(refusals)} packets of flows that it forwards, "
            f"first with {refusals[0]}"
        )
        found.append(Violation("refused", sentence))
    return found


def judge(lab: Lab, watch: Watch, since: float) -> list[Violation]:
    """What did not hold in a lab."""
    names = {wire.mac: spec.name for spec in lab.topology.nodes for wire in spec.wires}
    return violations(watch, since, {**names, **watch.names})


def _differs(look: Look, node: str) -> bool:
    role = dict(look.roles).get(node)
    return role is not None and (role == "MASTER") != (node in look.holders)


def _when(at: float, since: float) -> str:
    return f"{abs(at - since):.1f} s {'after' if at >= since else 'before'} the fault"


class Lookers:
    """Who looks at a lab meanwhile; what they see is in `watch` once they have ended."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.watch = Watch()
        self.children: list[tuple[str, Child]] = []
        self.ahead: dict[Child, float] = {}  # by how much their clocks are ahead of ours

    def begin(self) -> None:
        """Start those who are not there: all at first, later those whose node went off and came back."""
        there = {name for name, child in self.children if child.poll() is None}
        started = self.lab.look_on([*_words(self.lab)], there)
        self.children += started.items()
        for name, line in entry.first_lines(started):
            _, _, clock = line.partition(" ")
            self.ahead[started[name]] = entry.ahead(clock) if clock else 0.0

    def end(self) -> None:
        """Let them end, and take in what they saw."""
        events: list[Event] = []
        for name, child in self.children:
            assert child.stdin is not None and child.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            # Not communicate(): what came together with the first line would be lost.
            with child.stdout:
                seen = child.stdout.read()
            child.wait()
            lines = [json.loads(line) for line in seen.splitlines() if line.startswith("{")]
            if name in {spec.name for spec in self.lab.topology.gateways}:
                events += _events(name, lines, self.ahead.get(child, 0.0))
            else:
                for found in lines:
                    _take(self.watch, found)
        if events:
            merge(self.watch, events)


@contextlib.contextmanager
def watching(lab: Lab) -> Iterator[Lookers]:
    """Look on for a while."""
    lookers = Lookers(lab)
    try:
        lookers.begin()
        yield lookers
    finally:
        lookers.end()


def _words(lab: Lab) -> Iterator[str]:
    yield from ("--vgw", str(lab.topology.vgw.address.ip))
    for spec in lab.topology.gateways:
        yield from ("--gateway", spec.name)
        for wire in spec.wires:
            yield from ("--mac", f"{spec.name}={wire.mac}")
            if wire.address:
                yield from ("--own", str(wire.address.ip))


# When, on which node, and what has changed; nothing where the node has gone.
Event = tuple[float, str, Mapping[str, Any] | None]


def _events(node: str, lines: Sequence[Mapping[str, Any]], ahead: float) -> Iterator[Event]:
    """What was seen on one node, by our clock; who ends without a word has gone with the node."""
    for line in lines:
        yield line["at"] - ahead, node, line
    if lines and "end" not in lines[-1]:
        yield lines[-1]["at"] - ahead, node, None


def merge(watch: Watch, events: Iterable[Event]) -> None:
    """Make one view of the pair out of what was seen on each node."""
    now: dict[str, dict[str, Any]] = {}
    for at, node, news in sorted(events, key=lambda event: event[0]):
        watch.end = at
        if news is None:
            now.pop(node, None)
        else:
            state = now.setdefault(node, {})
            more = news.get("refused", 0) - state.get("refused", news.get("refused", 0))
            said = "what its kernel counts as a RST"
            watch.refusals.setdefault(node, []).extend([said] * more)
            if "mac" in news:
                watch.names[news["mac"]] = node
            state |= {**news, "seen": at}
        answering = _answering(now, at)
        # A network without processes is one that is being taken down: nobody's answer.
        answering -= {mac for mac, owner in watch.names.items() if owner not in now}
        holders = tuple(name for name, state in sorted(now.items()) if state.get("holds"))
        roles = tuple((name, state["role"]) for name, state in now.items() if state.get("role"))
        look = Look(at, tuple(sorted(answering)), holders, roles)
        if not watch.looks or replace(look, at=watch.looks[-1].at) != watch.looks[-1]:
            watch.looks.append(look)


def _answering(now: Mapping[str, Mapping[str, Any]], at: float) -> set[str]:
    """Who answers: whom another hears, and by its own word who holds the VGW where no other looks.

    A kernel may hold it and not answer (0053).
    """
    looking = [state for state in now.values() if at - state["seen"] <= STILL_SECONDS]
    alone = len(looking) == 1
    return {
        mac
        for state in looking
        for mac in state.get("answering", ())
        if alone or mac != state.get("mac")
    }


def _take(watch: Watch, found: Mapping[str, Any]) -> None:
    if "refusals" in found:
        watch.refusals, watch.end = dict(found["refusals"]), found["end"]
        return
    answering, holders = tuple(found["answering"]), tuple(found["holders"])
    roles = tuple((node, role) for node, role in found["roles"])
    watch.looks.append(Look(found["at"], answering, holders, roles))
