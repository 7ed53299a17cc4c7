"""nftables' chains, rules and sets, in the kernel's messages (linux/netfilter/nf_tables.h).

A rule comes as the kernel runs it: a row of expressions, each with its attributes. So it is the same whatever program
wrote it, and no program is started to read it. Everything raises OSError with the kernel's word.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from appliance import netlink
from appliance.netlink_door import ask

# NFPROTO_*: the families that IPv4 packets pass.
INET, IPV4, NETDEV = 1, 2, 5
# NF_INET_*, and for the family netdev NF_NETDEV_*.
PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING, INET_INGRESS = range(6)
NETDEV_INGRESS, NETDEV_EGRESS = range(2)

_NFTABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
# NFT_MSG_*
(
    _NFT_GET_TABLE,
    _NFT_GET_CHAIN,
    _NFT_GET_RULE,
    _NFT_GET_SET,
    _NFT_GET_ELEMENTS,
    _NFT_GET_GENERATION,
) = 1, 4, 7, 10, 13, 16
_GENMSG = struct.Struct("!BBH")  # nfgenmsg: family, version, resource
_BE32, _SIGNED_BE32, _BE64 = struct.Struct("!I"), struct.Struct("!i"), struct.Struct("!Q")

_GEN_ID = 1  # NFTA_GEN_ID
_TABLE_NAME, _TABLE_FLAGS, _DORMANT = 1, 2, 0x1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 1, 3, 4, 5, 7
_HOOK_NUMBER, _HOOK_PRIORITY, _HOOK_DEVICE, _HOOK_DEVICES = 1, 2, 3, 4
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USERDATA = 1, 2, 4, 7
_COMMENT = (
    0  # NFTNL_UDATA_RULE_COMMENT: what a program notes beside a rule, as kind, length and value
)
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_SET_TABLE, _SET_NAME, _SET_FLAGS = 1, 2, 3  # the first two also where elements are asked for
_ELEMENTS = 3
_ELEMENT_KEY, _ELEMENT_DATA, _ELEMENT_FLAGS = 1, 2, 3
DATA_VALUE, DATA_VERDICT = 1, 2
_COUNTER_PACKETS = 2
_ANONYMOUS, _INTERVAL, _CONCATENATED = 0x1, 0x4, 0x80  # NFT_SET_*
_INTERVAL_END = 0x1  # NFT_SET_ELEM_INTERVAL_END


@dataclass(frozen=True)
class ChainEntry:
    """A chain; without a hook it is called by others alone. `policy` is the verdict on what no rule took.

    `devices`: those whose packets it sees, where its hook is a device's.
    """

    family: int
    table: str
    name: str
    hook: int | None
    priority: int
    policy: int
    kind: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Expression:
    """One step of a rule: its name, and its attributes by their kinds."""

    name: str
    told: dict[int, bytes]


@dataclass(frozen=True)
class RuleProgram:
    """A rule as the kernel runs it, and its comment."""

    expressions: tuple[Expression, ...]
    comment: str


@dataclass(frozen=True)
class SetElement:
    """A member of a set, and what a map has for it; of an interval, where it begins, or ends."""

    key: bytes
    data: bytes
    ends: bool


@dataclass(frozen=True)
class SetEntry:
    """A set's members, in no order; `of_intervals`: these are their ends."""

    of_intervals: bool
    elements: tuple[SetElement, ...]


def generation() -> int:
    """The number of the ruleset that is in force: any change of anybody's makes it another one."""
    ((_, body),) = ask(netlink.NETFILTER, _message(_NFT_GET_GENERATION, netlink.ACK, 0, b""))
    return number(netlink.attributes(body, _GENMSG.size)[_GEN_ID])


def dormant_tables() -> frozenset[tuple[int, str]]:
    """The family and name of each table that is switched off: the kernel calls none of its chains."""
    told = (
        (body[0], netlink.attributes(body, _GENMSG.size)) for body in _list(_NFT_GET_TABLE, 0, b"")
    )
    return frozenset(
        (family, text(table[_TABLE_NAME]))
        for family, table in told
        if number(table.get(_TABLE_FLAGS, bytes(4))) & _DORMANT
    )


def chains() -> tuple[ChainEntry, ...]:
    """All chains, of every family that IPv4 packets pass."""
    found = (_chain(body) for body in _list(_NFT_GET_CHAIN, 0, b""))
    return tuple(one for one in found if one.family in (INET, IPV4, NETDEV))


def _chain(body: bytes) -> ChainEntry:
    told = netlink.attributes(body, _GENMSG.size)
    hook = netlink.attributes(told.get(_CHAIN_HOOK, b""))
    devices = netlink.listed(hook.get(_HOOK_DEVICES, b"")) or (hook.get(_HOOK_DEVICE, b""),)
    return ChainEntry(
        family=body[0],
        table=text(told[_CHAIN_TABLE]),
        name=text(told[_CHAIN_NAME]),
        hook=number(hook[_HOOK_NUMBER]) if _HOOK_NUMBER in hook else None,
        priority=_SIGNED_BE32.unpack(hook[_HOOK_PRIORITY])[0] if _HOOK_PRIORITY in hook else 0,
        policy=number(told.get(_CHAIN_POLICY, b"\0\0\0\1")),
        kind=text(told.get(_CHAIN_TYPE, b"")),
        devices=tuple(filter(None, map(text, devices))),
    )


def rules(family: int, table: str, chain: str) -> tuple[RuleProgram, ...]:
    """The rules of a chain in their order; none where there is no such chain."""
    wanted = netlink.attribute(_RULE_TABLE, _named(table))
    wanted += netlink.attribute(_RULE_CHAIN, _named(chain))
    bodies = _list(_NFT_GET_RULE, family, wanted)
    found = (netlink.attributes(body, _GENMSG.size) for body in bodies)
    # An older kernel tells those of all chains.
    return tuple(
        _rule(told)
        for told in found
        if (told[_RULE_TABLE], told[_RULE_CHAIN]) == (_named(table), _named(chain))
    )


def _rule(told: dict[int, bytes]) -> RuleProgram:
    steps = map(netlink.attributes, netlink.listed(told.get(_RULE_EXPRESSIONS, b"")))
    return RuleProgram(
        tuple(
            Expression(
                text(step[_EXPRESSION_NAME]), netlink.attributes(step.get(_EXPRESSION_DATA, b""))
            )
            for step in steps
        ),
        _comment(told.get(_RULE_USERDATA, b"")),
    )


def _comment(notes: bytes) -> str:
    at = 0
    while at + 2 <= len(notes):
        kind, length = notes[at], notes[at + 1]
        if kind == _COMMENT:
            return text(notes[at + 2 : at + 2 + length])
        at += 2 + length
    return ""


def own_set(family: int, table: str, name: str) -> SetEntry | None:
    """A set or map that is a rule's own, so that it cannot change without the rule; None of one with a life of its own.

    None also of one that is more than a row of keys: intervals of several fields at once, or a member for all the rest.
    """
    named = _named(name)
    wanted = netlink.attribute(_SET_TABLE, _named(table)) + netlink.attribute(_SET_NAME, named)
    ((_, body),) = ask(netlink.NETFILTER, _message(_NFT_GET_SET, netlink.ACK, family, wanted))
    flags = number(netlink.attributes(body, _GENMSG.size).get(_SET_FLAGS, bytes(4)))
    of_intervals = bool(flags & _INTERVAL)
    if not flags & _ANONYMOUS or (of_intervals and flags & _CONCATENATED):
        return None
    elements = _elements(family, wanted)
    return SetEntry(of_intervals, elements) if all(one.key for one in elements) else None


def _elements(family: int, wanted: bytes) -> tuple[SetElement, ...]:
    return tuple(
        _element(netlink.attributes(member))
        for body in _list(_NFT_GET_ELEMENTS, family, wanted)
        for member in netlink.listed(netlink.attributes(body, _GENMSG.size).get(_ELEMENTS, b""))
    )


def _element(told: dict[int, bytes]) -> SetElement:
    key = netlink.attributes(told.get(_ELEMENT_KEY, b"")).get(DATA_VALUE, b"")
    flags = number(told.get(_ELEMENT_FLAGS, bytes(4)))
    return SetElement(key, told.get(_ELEMENT_DATA, b""), bool(flags & _INTERVAL_END))


def packets(rule: RuleProgram) -> int | None:
    """What a rule has counted; None where it does not count."""
    for one in rule.expressions:
        if one.name == "counter":
            return int(_BE64.unpack(one.told[_COUNTER_PACKETS])[0])
    return None


def number(told: bytes) -> int:
    """A number as nftables writes it into its attributes."""
    return int(_BE32.unpack(told)[0])


def text(told: bytes) -> str:
    """A name as nftables writes it."""
    return told.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _list(kind: int, family: int, wanted: bytes) -> Iterator[bytes]:
    request = _message(kind, netlink.DUMP, family, wanted)
    return (body for _, body in ask(netlink.NETFILTER, request))


def _message(kind: int, flags: int, family: int, wanted: bytes) -> bytes:
    return netlink.message(_NFTABLES | kind, flags, _GENMSG.pack(family, 0, 0) + wanted)


def _named(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape") + b"\0"
