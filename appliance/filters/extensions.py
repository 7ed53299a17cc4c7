"""iptables' matches and targets, as the kernel keeps them for both its firewalls (linux/netfilter/x_tables.h). Pure.

Those that are not known here may match, and may do anything; so nothing is concluded from them.
"""

import struct

from appliance.filters.packets import CT_INVALID, CT_UNTRACKED, ICMP, Packet
from appliance.filters.verdicts import ACCEPT, ANYTHING, CONTINUE, DROP, RuleVerdict

# xt_conntrack_mtinfo3: behind eight addresses, times and ports; the same in revision 2.
_CONNTRACK_MATCH = struct.Struct("=146xHHHH")  # flags, which of them are inverted, states, status
_BY_STATE = 0x1  # XT_CONNTRACK_STATE
_UNTRACKED = 1 << 8  # XT_CONNTRACK_STATE_UNTRACKED; the other states have the same numbers
_ANY_ICMP = 0xFF
_NO_TRACKING = 0x1  # XT_CT_NOTRACK
_MARK_TARGET = struct.Struct("=II")  # xt_mark_tginfo2: value, mask

_GO_ON = frozenset(
    {"AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "DSCP", "HL", "LOG", "NFLOG"}
    | {"SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL", "ULOG"}
)
_TRANSLATE = frozenset({"DNAT", "MASQUERADE", "NETMAP", "REDIRECT", "SNAT"})


def matches(name: str, revision: int, info: bytes, packet: Packet) -> bool | None:
    """Whether a match takes the packet; None where that is not known."""
    if name == "comment":
        return True
    if name == "conntrack" and revision >= 2:
        return _conntrack(info, packet.state)
    return _icmp(info, packet) if name == "icmp" else None


def _conntrack(info: bytes, state: int) -> bool | None:
    flags, inverted, states, _ = _CONNTRACK_MATCH.unpack_from(info)
    if flags != _BY_STATE:
        return None
    bit = _UNTRACKED if state == CT_UNTRACKED else state
    return bool(states & bit) != bool(inverted & _BY_STATE)


def _icmp(info: bytes, packet: Packet) -> bool | None:
    """struct ipt_icmp: type, codes from and to, whether inverted."""
    wanted, first, last, inverted = info[:4]
    kind, code = packet.transport[:2]
    if packet.protocol != ICMP or kind is None or code is None:
        return None
    return (wanted in (_ANY_ICMP, kind) and first <= code <= last) != bool(inverted)


def verdicts(name: str, info: bytes, packet: Packet) -> frozenset[RuleVerdict]:
    """What a target does with the packet."""
    if name in _GO_ON:
        return frozenset({CONTINUE})
    if name == "REJECT":
        return frozenset({DROP})
    if name in _TRANSLATE:
        return frozenset({ACCEPT})
    if name in ("CT", "NOTRACK"):
        untracks = name == "NOTRACK" or bool(info[0] & _NO_TRACKING)
        return frozenset({left_alone(packet) if untracks else CONTINUE})
    if name == "MARK":
        value, mask = _MARK_TARGET.unpack_from(info)
        return frozenset({DROP if mask & ~value & packet.mark else CONTINUE})
    return ANYTHING


def left_alone(packet: Packet) -> RuleVerdict:
    """What follows for a packet that is kept out of connection tracking: of one that is new to it, our ruleset drops it."""
    return DROP if packet.state == CT_INVALID else CONTINUE
