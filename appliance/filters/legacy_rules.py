"""The rules of the kernel's older firewall, iptables-legacy: a table as it lies in the kernel (linux/netfilter_ipv4/ip_tables.h).

Pure. A chain is the place of its first rule.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import and_

from appliance.filters import extensions
from appliance.filters.packets import HookPoint, Octets, Packet, equal, named
from appliance.filters.verdicts import (
    ACCEPT,
    ANYTHING,
    DROP,
    RETURN,
    Called,
    Does,
    RuleVerdict,
    Step,
)

HOOKS = (
    HookPoint.PREROUTING,
    HookPoint.INPUT,
    HookPoint.FORWARD,
    HookPoint.OUTPUT,
    HookPoint.POSTROUTING,
)
# ipt_entry: addresses and masks of source and destination, the names of the interfaces and their masks, protocol, flags,
# which tests are inverted; then where its target begins and the next rule.
_ENTRY = struct.Struct("=4s4s4s4s16s16s16s16sHBB4xHH4x16x")
_COUNTERS_AT = 96
_EXTENSION = struct.Struct("=H29sB")  # xt_entry_match and xt_entry_target: size, name, revision
_VERDICT = struct.Struct("=i")
_FLAG_GOTO = 0x2  # IPT_F_GOTO
_FLAG_FRAG = 0x1  # IPT_F_FRAG
# IPT_INV_*
_INV_VIA_IN, _INV_VIA_OUT, _INV_SRCIP, _INV_DSTIP, _INV_FRAG, _INV_PROTO = 1, 2, 8, 16, 32, 64
# -verdict - 1 of NF_DROP and NF_ACCEPT, and XT_RETURN.
_VERDICTS = {-1: DROP, -2: ACCEPT, -5: RETURN}
_HEAD = "ERROR"  # the target of what stands before each chain of a user's, and at the end


@dataclass(frozen=True)
class LegacyTable:
    """One table: its name, where each base chain begins, where its last rule stands, and all rules."""

    name: str
    begins: Mapping[HookPoint, int]
    ends: Mapping[HookPoint, int]
    rules: bytes

    def chains(self) -> tuple[str, ...]:
        """The names of the chains that users made."""
        found = (self._extension(target) for _, target, _ in self._from(0))
        names = [_text(info) for name, _, info in found if name == _HEAD]
        return tuple(names[:-1])  # the last one is the end

    def policy(self, place: HookPoint) -> Does:
        """What becomes of a packet that no rule of a base chain took, or that one sent back."""
        _, target, _ = next(self._from(self.ends[place]))
        code = _VERDICT.unpack_from(self._extension(target)[2])[0]
        return _VERDICTS[code].does

    def shape(self) -> bytes:
        """The rules without what they have counted: another one means that somebody changed them."""
        return b"".join(
            self.rules[at : at + _COUNTERS_AT] + self.rules[at + _ENTRY.size : following]
            for at, _, following in self._from(0)
        )

    def steps(self, chain: Called, packet: Packet) -> Iterator[Step]:
        """The rules of a chain that take the packet, or may."""
        for at, target, _ in self._from(int(chain)):
            if self._extension(target)[0] == _HEAD:
                return
            taken = self._takes(at, target, packet)
            if taken is not False:
                yield Step(taken is True, self._verdicts(at, target, packet))

    def _from(self, at: int) -> Iterator[tuple[int, int, int]]:
        """Each rule from a place on: where it begins, where its target does, and the next rule."""
        while at < len(self.rules):
            *_, target, size = _ENTRY.unpack_from(self.rules, at)
            yield at, at + target, at + size
            at += size

    def _extension(self, at: int) -> tuple[str, int, bytes]:
        """The match or target at a place: its name, its revision, and what it asks for."""
        size, name, revision = _EXTENSION.unpack_from(self.rules, at)
        return _text(name), revision, self.rules[at + _EXTENSION.size : at + size]

    def _takes(self, at: int, target: int, packet: Packet) -> bool | None:
        answers = [*_asked(self.rules, at, packet)]
        match = at + _ENTRY.size
        while match < target:
            answers.append(extensions.matches(*self._extension(match), packet))
            match += _EXTENSION.unpack_from(self.rules, match)[0]
        if False in answers:
            return False
        return None if None in answers else True

    def _verdicts(self, at: int, target: int, packet: Packet) -> frozenset[RuleVerdict]:
        name, _, info = self._extension(target)
        if name:
            return extensions.verdicts(name, info, packet)
        (code,) = _VERDICT.unpack_from(info)
        if code >= 0:
            flags = _ENTRY.unpack_from(self.rules, at)[9]
            return frozenset({RuleVerdict(Does.GOTO if flags & _FLAG_GOTO else Does.JUMP, code)})
        return frozenset({_VERDICTS[code]}) if code in _VERDICTS else ANYTHING


def _asked(rules: bytes, at: int, packet: Packet) -> Iterator[bool | None]:
    """What a rule itself asks for, without its matches: whether it holds for the packet."""
    *ends, protocol, flags, inverted, _, _ = _ENTRY.unpack_from(rules, at)
    source, destination, source_mask, destination_mask, enters, leaves, way_in, way_out = ends
    tests = (
        (packet.network[12:16], source_mask, source, _INV_SRCIP),
        (packet.network[16:20], destination_mask, destination, _INV_DSTIP),
        (named(packet.enters), way_in, enters, _INV_VIA_IN),
        (named(packet.leaves), way_out, leaves, _INV_VIA_OUT),
    )
    for octets, mask, wanted, inversion in tests:
        yield _same(octets, mask, wanted, inverted=bool(inverted & inversion))
    if protocol:
        yield (packet.protocol == protocol) != bool(inverted & _INV_PROTO)
    if flags & _FLAG_FRAG:
        yield bool(inverted & _INV_FRAG)


def _same(octets: Octets, mask: bytes, wanted: bytes, *, inverted: bool) -> bool | None:
    """Whether octets are the wanted ones under a mask; nothing is asked for where that is all zeros."""
    if not any(mask):
        return True
    masked = tuple(map(_masked, octets, mask))
    same = equal(masked, bytes(map(and_, wanted, mask)))
    return same if same is None else same != inverted


def _masked(octet: int | None, bits: int) -> int | None:
    return octet & bits if octet is not None else None if bits else 0


def _text(told: bytes) -> str:
    return told.partition(b"\0")[0].decode("utf-8", "surrogateescape")
