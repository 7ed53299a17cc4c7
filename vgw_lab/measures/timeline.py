"""The course of a drill in seconds from the fault: when the probe was answered, and what happened when."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vgw_lab.instruments.probe import Tally
from vgw_lab.instruments.witness import Sight
from vgw_lab.measures.invariants import Watch

Span = tuple[float, float]


@dataclass(frozen=True)
class Timeline:
    """Everything in seconds from the fault.

    `trains` is from when to when the probe asked, `silences` when no answer came meanwhile; `held` who
    held the VGW from when on, nobody being an empty text; `mended` when the fault was put right;
    `end` when watching ended. `events` are sentences for people, in their order.
    """

    mended: float
    end: float
    trains: tuple[Span, ...]
    silences: tuple[Span, ...]
    held: tuple[tuple[float, str], ...]
    events: tuple[tuple[float, str], ...]


def of(
    since: float,
    mended: float,
    trains: Sequence[Tally],
    watch: Watch,
    adverts: Sequence[tuple[float, str]],
) -> Timeline:
    """The course of a drill whose fault came at `since`; `adverts` from `told`. Times are monotonic."""
    found = [*_looks(watch), *adverts]
    spans = [(train.began, train.ended) for train in trains]
    silences = [(begin, end) for train in trains for begin, end in train.silences]
    end = max([mended, watch.end, *(end for _, end in spans)])
    return Timeline(
        mended=round(mended - since, 3),
        end=round(end - since, 3),
        trains=_from(since, spans),
        silences=_from(since, silences),
        held=tuple((round(at - since, 3), who) for at, who in _held(watch)),
        events=tuple((round(at - since, 3), what) for at, what in sorted(found)),
    )


def _from(since: float, spans: Sequence[Span]) -> tuple[Span, ...]:
    return tuple((round(begin - since, 4), round(end - since, 4)) for begin, end in spans)


def _held(watch: Watch) -> Iterator[tuple[float, str]]:
    """Each change of who holds the VGW, and who does at first."""
    former = None
    for look in watch.looks:
        who = " and ".join(look.holders)
        if who != former:
            yield look.at, who
        former = who


def _looks(watch: Watch) -> Iterator[tuple[float, str]]:
    """What changed from look to look; all changes of one look stand in one sentence."""
    for before, now in itertools.pairwise(watch.looks):
        said = []
        if now.holders != before.holders:
            verb = "hold" if len(now.holders) > 1 else "holds"
            said.append(f"{' and '.join(now.holders) or 'nobody'} {verb} the VGW")
        roles, former = dict(now.roles), dict(before.roles)
        for node in dict.fromkeys((*former, *roles)):
            if roles.get(node) != former.get(node):
                says = f"says that it is {roles[node]}" if node in roles else "says nothing more"
                said.append(f"{node} {says}")
        if said:
            yield now.at, "; ".join(said)


def told(
    sights: Sequence[Sight], nodes: Mapping[str, str], vrid: int, vgw: str, quiet: float
) -> Iterator[tuple[float, str]]:
    """What the LAN was told: who begins and who ceases to be MASTER, and where the VGW is.

    `nodes` has names by address and by MAC. Who was silent for `quiet` seconds begins anew; the first
    that is heard is the MASTER of before.
    """
    first = True
    heard: dict[
        str, float
    ] = {}  # when who was heard last, of those that did not say that they leave
    at_mac = None
    for sight in sights:
        name = nodes.get(sight.source, sight.source)
        if sight.kind == "advert" and sight.vrid == vrid:
            if sight.priority == 0:
                if heard.pop(name, None) is not None:
                    yield sight.at, f"{name} says to the LAN that it leaves"
                continue
            if not first and (name not in heard or sight.at - heard[name] > quiet):
                yield sight.at, f"{name} begins to advertise"
            first, heard[name] = False, sight.at
        elif sight.kind == "arp" and sight.source == vgw and sight.mac != at_mac:
            whose = f", which is {nodes[sight.mac]}" if sight.mac in nodes else ""
            yield sight.at, f"the LAN is told that the VGW is at {sight.mac}{whose}"
            at_mac = sight.mac
