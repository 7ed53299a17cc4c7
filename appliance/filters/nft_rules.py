"""What a rule of nftables does with a packet of which not all is known, step by step as the kernel runs it. Pure.

A step that is not known here, or that asks for what is not known, may hold and may not.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from appliance import netlink
from appliance.filters import extensions
from appliance.filters.packets import Octets, Packet, equal, named, native
from appliance.filters.verdicts import (
    ACCEPT,
    ANYTHING,
    CONTINUE,
    DROP,
    RETURN,
    Does,
    RuleVerdict,
    Step,
)
from appliance.nfnetlink import (
    DATA_VALUE,
    DATA_VERDICT,
    Expression,
    RuleProgram,
    SetElement,
    SetEntry,
    number,
    text,
)

# A set by its name; None where it may change without the rule.
Sets = Callable[[str], SetEntry | None]
# What a step comes to: it holds, or not, or that is not known; or the rule ends with one of these.
_Outcome = bool | None | frozenset[RuleVerdict]

# The attributes of each expression that are asked for (NFTA_*), and their values (NFT_*).
_META_TO, _META_KEY, _META_FROM = 1, 2, 3
_META_PROTOCOL, _META_MARK, _META_IIFNAME, _META_OIFNAME = 1, 3, 6, 7
_META_NFPROTO, _META_L4PROTO = 15, 16
_PAYLOAD_TO, _PAYLOAD_BASE, _PAYLOAD_OFFSET, _PAYLOAD_LENGTH = 1, 2, 3, 4
_NETWORK, _TRANSPORT = 1, 2
_CT_TO, _CT_KEY = 1, 2
_CT_STATE, _CT_STATUS = 0, 2
_BITWISE_FROM, _BITWISE_TO, _BITWISE_LENGTH = 1, 2, 3
_BITWISE_MASK, _BITWISE_FLIP, _BITWISE_DEED = 4, 5, 6
_CMP_FROM, _CMP_HOW, _CMP_DATA = 1, 2, 3
_EQUAL, _UNEQUAL = 0, 1
_LOOKUP_SET, _LOOKUP_FROM, _LOOKUP_TO, _LOOKUP_FLAGS = 1, 2, 3, 5
_INVERTED = 1
_IMMEDIATE_TO, _IMMEDIATE_DATA = 1, 2
_EXTENSION_NAME, _EXTENSION_REVISION, _EXTENSION_INFO = 1, 2, 3
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2

_IPV4, _ETHERTYPE = 2, (0x08, 0x00)
# Register 0 takes the verdict, 1 to 4 are long ones, and those from 8 on are the same room in short pieces.
_VERDICT_REGISTER, _FIRST_SHORT, _SHORT, _LONG, _ROOM = 0, 8, 4, 16, 64
_CODES = {0: DROP, 1: ACCEPT, 2**32 - 1: CONTINUE, 2**32 - 5: RETURN}
_LEADS = {2**32 - 3: Does.JUMP, 2**32 - 4: Does.GOTO}

# What ends a rule; a translation lets the packet pass.
_ENDINGS = {"reject": DROP, "masq": ACCEPT, "nat": ACCEPT, "redir": ACCEPT}
# What changes nothing about the way that a packet takes.
_IDLE = frozenset({"counter", "dup", "flow_offload", "last", "log"})


def steps(rules: Iterable[RuleProgram], packet: Packet, sets: Sets) -> Iterator[Step]:
    """The rules that take the packet, or may."""
    for rule in rules:
        if step := _Run(packet, sets).through(rule):
            yield step


class _Run:
    """One rule and one packet: what its registers hold, and whether all that it asked for so far surely holds."""

    def __init__(self, packet: Packet, sets: Sets) -> None:
        self.packet, self.sets = packet, sets
        self.room: list[int | None] = [None] * _ROOM
        self.surely = True
        # A mark of which nobody can tell whether it still has our bit.
        self.doubtful = False

    def through(self, rule: RuleProgram) -> Step | None:
        """What it does with the packet; None where it does not take it, or leaves its way as it is."""
        for one in rule.expressions:
            outcome = self._do(one)
            if outcome is False:
                return None
            if isinstance(outcome, frozenset):
                return Step(self.surely, outcome | self._doubt())
            self.surely = self.surely and outcome is not None
        return Step(False, frozenset({CONTINUE, DROP})) if self.doubtful else None

    def _doubt(self) -> frozenset[RuleVerdict]:
        return frozenset({DROP}) if self.doubtful else frozenset()

    def _do(self, one: Expression) -> _Outcome:
        if one.name in _IDLE:
            return True
        if one.name in _ENDINGS:
            return frozenset({_ENDINGS[one.name]})
        if deed := _DEEDS.get(one.name):
            return deed(self, one.told)
        self.room = [None] * _ROOM
        return None

    def load(self, register: bytes, octets: Octets) -> bool:
        """Have a register hold this; what is left of its last piece is zeros."""
        at = _place(register)
        padded = (*octets, *[0] * (-len(octets) % _SHORT))
        self.room[at : at + len(padded)] = padded
        return True

    def held(self, register: bytes, length: int) -> Octets:
        """What a register, and those that follow it, hold."""
        at = _place(register)
        return tuple(self.room[at : at + length])


def _place(register: bytes) -> int:
    which = number(register)
    return (which - 1) * _LONG if which < _FIRST_SHORT else (which - _FIRST_SHORT) * _SHORT


def _value(told: bytes) -> bytes:
    return netlink.attributes(told)[DATA_VALUE]


def _meta(run: _Run, told: dict[int, bytes]) -> _Outcome:
    key, packet = number(told[_META_KEY]), run.packet
    if _META_FROM in told:
        return _marked(run, run.held(told[_META_FROM], _SHORT)) if key == _META_MARK else True
    known: dict[int, Octets] = {
        _META_PROTOCOL: _ETHERTYPE,
        _META_IIFNAME: named(packet.enters),
        _META_OIFNAME: named(packet.leaves),
        _META_NFPROTO: (_IPV4,),
        _META_L4PROTO: (packet.protocol,),
    }
    return run.load(told[_META_TO], known.get(key, (None,) * _SHORT))


def _marked(run: _Run, mark: Octets) -> _Outcome:
    """What follows where the packet's mark becomes this: without our bit it is dropped later."""
    pairs = [
        (octet, bits) for octet, bits in zip(mark, native(run.packet.mark), strict=True) if bits
    ]
    if any(octet is not None and not octet & bits for octet, bits in pairs):
        return frozenset({DROP})
    run.doubtful = run.doubtful or any(octet is None for octet, _ in pairs)
    return True


def _payload(run: _Run, told: dict[int, bytes]) -> _Outcome:
    if _PAYLOAD_TO not in told:
        return True  # it changes the packet
    offset, length = number(told[_PAYLOAD_OFFSET]), number(told[_PAYLOAD_LENGTH])
    headers = {_NETWORK: run.packet.network, _TRANSPORT: run.packet.transport}
    header = headers.get(number(told[_PAYLOAD_BASE]), ())
    found = header[offset : offset + length]
    return run.load(told[_PAYLOAD_TO], (*found, *[None] * (length - len(found))))


def _tracking(run: _Run, told: dict[int, bytes]) -> _Outcome:
    if _CT_TO not in told:
        return True  # it changes the flow's entry
    known = {_CT_STATE: run.packet.state, _CT_STATUS: run.packet.status}
    key = number(told[_CT_KEY])
    return run.load(told[_CT_TO], native(known[key]) if key in known else (None,) * _LONG)


def _bitwise(run: _Run, told: dict[int, bytes]) -> _Outcome:
    length = number(told[_BITWISE_LENGTH])
    octets: Octets = (None,) * length
    if not number(told.get(_BITWISE_DEED, bytes(4))):  # and, then exclusive or
        held = run.held(told[_BITWISE_FROM], length)
        masks, flips = _value(told[_BITWISE_MASK]), _value(told[_BITWISE_FLIP])
        octets = tuple(map(_masked, held, masks, flips))
    return run.load(told[_BITWISE_TO], octets)


def _masked(octet: int | None, mask: int, flip: int) -> int | None:
    if octet is None:
        return None if mask else flip
    return octet & mask ^ flip


def _cmp(run: _Run, told: dict[int, bytes]) -> _Outcome:
    wanted, how = _value(told[_CMP_DATA]), number(told[_CMP_HOW])
    same = equal(run.held(told[_CMP_FROM], len(wanted)), wanted)
    if same is None or how == _EQUAL:
        return same
    return not same if how == _UNEQUAL else None


def _lookup(run: _Run, told: dict[int, bytes]) -> _Outcome:
    entry = run.sets(text(told[_LOOKUP_SET]))
    found = _found(run, entry, told[_LOOKUP_FROM]) if entry else None
    if number(told.get(_LOOKUP_FLAGS, bytes(4))) & _INVERTED:
        return None if found is None else not found
    if found == ():
        return False
    run.surely = run.surely and found is not None
    goes_to = told.get(_LOOKUP_TO)
    if goes_to is None:
        return True
    if number(goes_to) != _VERDICT_REGISTER:
        return run.load(goes_to, tuple(_value(found[0].data)) if found else (None,) * _LONG)
    if entry is None:
        return ANYTHING
    verdicts = [_verdict(one.data) for one in found or entry.elements if one.data]
    return frozenset().union(*verdicts)


def _found(run: _Run, entry: SetEntry, register: bytes) -> tuple[SetElement, ...] | None:
    """The member that is what a register holds, or none; None where that is not known."""
    members = entry.elements
    held = run.held(register, len(members[0].key) if members else 0)
    if entry.of_intervals:
        return _interval(held, members)
    answers = [(equal(held, one.key), one) for one in members]
    if any(answer is None for answer, _ in answers):
        return None
    return tuple(one for answer, one in answers if answer)


def _interval(held: Octets, members: Sequence[SetElement]) -> tuple[SetElement, ...] | None:
    """The beginning of the interval that these octets lie in, or none; None where one of its ends may lie below them."""
    least, most = (bytes(end if one is None else one for one in held) for end in (0, 255))
    if any(least < one.key <= most for one in members):
        return None
    below = [one for one in members if one.key <= least]
    last = max(below, key=lambda one: (one.key, not one.ends), default=None)
    return (last,) if last and not last.ends else ()


def _immediate(run: _Run, told: dict[int, bytes]) -> _Outcome:
    goes_to, data = told[_IMMEDIATE_TO], told[_IMMEDIATE_DATA]
    if number(goes_to) == _VERDICT_REGISTER:
        return _verdict(data)
    return run.load(goes_to, tuple(_value(data)))


def _verdict(data: bytes) -> frozenset[RuleVerdict]:
    """The verdict in a piece of data; of one that leaves the packet to somebody else nothing is known."""
    told = netlink.attributes(netlink.attributes(data)[DATA_VERDICT])
    code = number(told[_VERDICT_CODE])
    if code in _LEADS:
        return frozenset({RuleVerdict(_LEADS[code], text(told[_VERDICT_CHAIN]))})
    return frozenset({_CODES[code]}) if code in _CODES else ANYTHING


def _no_tracking(run: _Run, _: dict[int, bytes]) -> _Outcome:
    return frozenset({extensions.left_alone(run.packet)})


def _match(run: _Run, told: dict[int, bytes]) -> _Outcome:
    revision = number(told[_EXTENSION_REVISION])
    return extensions.matches(
        text(told[_EXTENSION_NAME]), revision, told[_EXTENSION_INFO], run.packet
    )


def _target(run: _Run, told: dict[int, bytes]) -> _Outcome:
    return extensions.verdicts(text(told[_EXTENSION_NAME]), told[_EXTENSION_INFO], run.packet)


def _left_to_others(_: _Run, __: dict[int, bytes]) -> _Outcome:
    return ANYTHING


_DEEDS: dict[str, Callable[[_Run, dict[int, bytes]], _Outcome]] = {
    "bitwise": _bitwise,
    "cmp": _cmp,
    "ct": _tracking,
    "fwd": _left_to_others,
    "immediate": _immediate,
    "lookup": _lookup,
    "match": _match,
    "meta": _meta,
    "notrack": _no_tracking,
    "payload": _payload,
    "queue": _left_to_others,
    "synproxy": _left_to_others,
    "target": _target,
    "tproxy": _left_to_others,
}
