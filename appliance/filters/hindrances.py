"""Which chains of other programs drop what has to pass, surely or perhaps. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from appliance.filters.crossings import Crossing
from appliance.filters.packets import CT_INVALID, CT_UNTRACKED, HookPoint, Packet
from appliance.filters.verdicts import Called, Does, Step, Walk

Steps = Callable[[Called, Packet], Iterable[Step]]
# The priorities of our chain that marks packets, of connection tracking, and of our chain that translates the source.
_RAW, _TRACKING, _TRANSLATION = -300, -200, 99


@dataclass(frozen=True)
class ForeignChain:
    """A chain of somebody else's that the kernel itself calls.

    `family` is nft's word, or "legacy" for iptables-legacy. `devices`: whose packets it sees, where not all. `beside` are
    the chains of its table, which tell whose it is. `begins` and `steps` are for the walk through its rules.
    """

    family: str
    table: str
    name: str
    place: HookPoint
    priority: int
    policy: Does
    devices: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    begins: Called = field(default="", compare=False)
    steps: Steps = field(default=lambda _, __: (), compare=False, repr=False)


@dataclass(frozen=True)
class Hindrance:
    """A chain that drops what has to pass; `surely`: whatever is not known of the packet."""

    chain: ForeignChain
    crossing: Crossing
    packet: Packet
    surely: bool


def hindrances(
    crossings: Iterable[Crossing], chains: Sequence[ForeignChain]
) -> tuple[Hindrance, ...]:
    """All of them, in the order of what has to pass, and there of the kernel's."""
    return tuple(found for crossing in crossings for found in _of(crossing, chains))


def _of(crossing: Crossing, chains: Sequence[ForeignChain]) -> Iterator[Hindrance]:
    for place, packet in crossing.stations:
        there = [chain for chain in chains if chain.place is place and _sees(chain, packet)]
        for chain in sorted(there, key=lambda one: one.priority):
            met = _met(chain, packet)
            outcomes = _outcomes(chain, met)
            if Does.DROP in outcomes:
                yield Hindrance(chain, crossing, met, Does.ACCEPT not in outcomes)


def _outcomes(chain: ForeignChain, packet: Packet) -> frozenset[Does]:
    def steps(called: Called) -> Iterable[Step]:
        return chain.steps(called, packet)

    return Walk(steps).outcomes(chain.begins, chain.policy)


def _sees(chain: ForeignChain, packet: Packet) -> bool:
    """Whether a chain sees what passes there; one of devices sees theirs alone."""
    device = packet.leaves if chain.place is HookPoint.EGRESS else packet.enters
    return not chain.devices or device in chain.devices


def _met(chain: ForeignChain, packet: Packet) -> Packet:
    """The packet as a chain meets it: our marks, connection tracking and translation come at their priorities."""
    if chain.place is HookPoint.POSTROUTING and chain.priority >= _TRANSLATION:
        return packet.from_anywhere()
    if chain.place is not HookPoint.PREROUTING:
        return packet
    unseen = chain.priority <= _TRACKING and packet.state != CT_UNTRACKED
    return replace(
        packet,
        state=CT_INVALID if unseen else packet.state,
        mark=packet.mark if chain.priority > _RAW else 0,
    )
