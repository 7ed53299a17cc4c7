"""What must hold at every moment of a drill, judged after the looks that were taken meanwhile."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.lab.running import Lab

# Two nodes may answer, and a role and the addresses differ, for no longer; in seconds.
TWO_SECONDS = 0.6
DIFFER_SECONDS = 1.5


@dataclass(frozen=True)
class Look:
    """The pair as it was from `at` on: who answers for the VGW (by MAC), who holds it, all roles."""

    at: float
    answering: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()


@dataclass
class Watch:
    """All that was seen: the looks that differ from those before, and each MAC's refusals."""

    looks: list[Look] = field(default_factory=list)
    refusals: dict[str, list[str]] = field(default_factory=dict)
    end: float = 0.0

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


def violations(watch: Watch, since: float, names: Mapping[str, str]) -> list[str]:
    """What did not hold, a sentence each. `since` is the fault; `names` has the nodes by MAC."""
    found = []
    for at, seconds in lasting(watch, lambda look: len(look.answering) > 1, TWO_SECONDS):
        both = next(look.answering for look in watch.looks if look.at == at)
        who = " and ".join(names.get(mac, mac) for mac in both)
        found.append(f"{who} both answered for the VGW for {seconds:.1f} s, {_when(at, since)}")
    gateways = dict.fromkeys(node for look in watch.looks for node, _ in look.roles)
    for node in gateways:
        for at, seconds in lasting(watch, lambda look, n=node: _differs(look, n), DIFFER_SECONDS):  # type: ignore[misc]
            look = next(look for look in watch.looks if look.at == at)
            holds = "holds the VGW" if node in look.holders else "does not hold the VGW"
            found.append(
                f"{node} says that it is {dict(look.roles)[node]} and {holds}, for {seconds:.1f} s, "
                f"{_when(at, since)}"
            )
    for mac, refusals in sorted(watch.refusals.items()):
        if not refusals:
            continue
        found.append(
            f"{names.get(mac, mac)} refused {len(refusals)} packets of flows that it forwards, "
            f"first with {refusals[0]}"
        )
    return found


def judge(lab: Lab, watch: Watch, since: float) -> list[str]:
    """What did not hold in a lab, a sentence each."""
    names = {wire.mac: spec.name for spec in lab.topology.nodes for wire in spec.wires}
    return violations(watch, since, names)


def _differs(look: Look, node: str) -> bool:
    role = dict(look.roles).get(node)
    return role is not None and (role == "MASTER") != (node in look.holders)


def _when(at: float, since: float) -> str:
    return f"{abs(at - since):.1f} s {'after' if at >= since else 'before'} the fault"


@contextlib.contextmanager
def watching(lab: Lab) -> Iterator[Watch]:
    """Look on for a while; filled in at the end. Nothing is seen where an engine has no world."""
    watch = Watch()
    child = lab.look_on([*_words(lab)])
    if child is None:
        yield watch
        return
    assert child.stdout is not None
    try:
        child.stdout.readline()
        yield watch
    finally:
        seen, _ = child.communicate()
    for line in seen.splitlines():
        if line.startswith("{"):
            _take(watch, json.loads(line))


def _words(lab: Lab) -> Iterator[str]:
    yield from ("--vgw", str(lab.topology.vgw.ip))
    for spec in lab.topology.gateways:
        yield from ("--gateway", spec.name)
        for wire in spec.wires:
            yield from ("--mac", f"{spec.name}={wire.mac}")
            if wire.address:
                yield from ("--own", str(wire.address.ip))


def _take(watch: Watch, found: Mapping[str, Any]) -> None:
    if "refusals" in found:
        watch.refusals, watch.end = dict(found["refusals"]), found["end"]
        return
    answering, holders = tuple(found["answering"]), tuple(found["holders"])
    roles = tuple((node, role) for node, role in found["roles"])
    watch.looks.append(Look(found["at"], answering, holders, roles))
