"""Who else has filters on this machine, as the kernel tells it; no program is started."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import cache

from appliance import nfnetlink
from appliance.filters import legacy_kernel, nft_rules
from appliance.filters.hindrances import ForeignChain
from appliance.filters.legacy_rules import LegacyTable
from appliance.filters.packets import HookPoint, Packet
from appliance.filters.verdicts import Called, Does, Step
from appliance.nfnetlink import ChainEntry

# The priority of each table of iptables-legacy where packets arrive; elsewhere none of ours is at stake.
_LEGACY = {"raw": -300, "mangle": -150, "nat": -100}
_OF_IP = {
    nfnetlink.INET_INGRESS: HookPoint.INGRESS,
    nfnetlink.PREROUTING: HookPoint.PREROUTING,
    nfnetlink.INPUT: HookPoint.INPUT,
    nfnetlink.FORWARD: HookPoint.FORWARD,
    nfnetlink.OUTPUT: HookPoint.OUTPUT,
    nfnetlink.POSTROUTING: HookPoint.POSTROUTING,
}
_OF_DEVICES = {
    nfnetlink.NETDEV_INGRESS: HookPoint.INGRESS,
    nfnetlink.NETDEV_EGRESS: HookPoint.EGRESS,
}
_FAMILY_WORDS = {nfnetlink.INET: "inet", nfnetlink.IPV4: "ip", nfnetlink.NETDEV: "netdev"}
_POLICIES = {0: Does.DROP, 1: Does.ACCEPT}

# What is another one once anybody has changed a filter.
Version = tuple[int, tuple[tuple[str, int], ...]]


def version() -> Version:
    """The filters' version: the ruleset's number, and each legacy table's name and shape. Raises OSError."""
    legacy = tuple((table.name, hash(table.shape())) for table in legacy_kernel.tables())
    return nfnetlink.generation(), legacy


def foreign_chains(ours: AbstractSet[tuple[str, str]]) -> tuple[ForeignChain, ...]:
    """The base chains of all tables but ours (family and name); their rules are read as they are asked for.

    Raises OSError, then and later.
    """
    legacy = [chain for table in legacy_kernel.tables() for chain in _legacy(table)]
    return (*_nft(ours), *legacy)


def _nft(ours: AbstractSet[tuple[str, str]]) -> Iterator[ForeignChain]:
    entries, asleep = nfnetlink.chains(), nfnetlink.dormant_tables()
    for one in entries:
        table, place, family = (one.family, one.table), _place(one), _FAMILY_WORDS[one.family]
        if (
            place
            and table not in asleep
            and not _only_translates(one)
            and (family, one.table) not in ours
        ):
            yield ForeignChain(
                family,
                one.table,
                one.name,
                place,
                one.priority,
                _POLICIES.get(one.policy, Does.ACCEPT),
                one.devices,
                tuple(other.name for other in entries if (other.family, other.table) == table),
                one.name,
                _Table(*table).steps,
            )


def _place(one: ChainEntry) -> HookPoint | None:
    """Where the kernel calls a chain; None where it does not."""
    if one.hook is None:
        return None
    place = (_OF_DEVICES if one.family == nfnetlink.NETDEV else _OF_IP).get(one.hook)
    return None if place in (HookPoint.INGRESS, HookPoint.EGRESS) and not one.devices else place


def _only_translates(one: ChainEntry) -> bool:
    """Whether a chain is one of those that can be long, and whose business is not to drop."""
    return one.kind == "nat" and _POLICIES.get(one.policy) is Does.ACCEPT


class _Table:
    """A table of nftables, each of whose chains and sets is read once."""

    def __init__(self, family: int, name: str) -> None:
        self._rules = cache(lambda chain: nfnetlink.rules(family, name, chain))
        self._sets = cache(lambda wanted: nfnetlink.own_set(family, name, wanted))

    def steps(self, chain: Called, packet: Packet) -> Iterable[Step]:
        """The rules of a chain that take a packet, or may."""
        return nft_rules.steps(self._rules(str(chain)), packet, self._sets)


def _legacy(table: LegacyTable) -> Iterator[ForeignChain]:
    if table.name == "nat":
        return
    beside = table.chains()
    for place, begins in table.begins.items():
        yield ForeignChain(
            "legacy",
            table.name,
            place.upper(),
            place,
            _LEGACY.get(table.name, 0),
            table.policy(place),
            (),
            beside,
            begins,
            table.steps,
        )
