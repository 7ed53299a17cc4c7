"""IPsec policies that discard unmarked packets before TCP or ICMP answers them (ip-xfrm(8), linux/xfrm.h).

A packet to an address of this machine that the ruleset has not marked is dropped by a `block` policy, so
the kernel sends no RST and no ICMP error for it.

In a network namespace of our own we also set the default for input to `block`, and add an allow-all
policy of the lowest priority. When the namespace is destroyed the kernel removes the nft rules first, then
the policies, then the interfaces; the default then drops what still arrives.
"""

import errno
import logging
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from appliance import CommandFailed, netlink
from appliance.addresses import Address, Family
from appliance.netlink_door import ask
from appliance.planning.wanted import AllowRest, Block, BlockByDefault, Change

_WEAKEST = 2**32 - 1
_NEW_POLICY, _DELETE_POLICY, _GET_POLICY = 0x13, 0x14, 0x15  # XFRM_MSG_*POLICY
_SET_DEFAULT, _GET_DEFAULT = 0x27, 0x28  # XFRM_MSG_*DEFAULT, since Linux 5.15
_MARK, _IN, _ALLOW, _BLOCK = 21, 0, 0, 1  # XFRMA_MARK, XFRM_POLICY_IN, _ALLOW and _BLOCK
_DEFAULT_BLOCK, _DEFAULT_ACCEPT = 1, 2  # XFRM_USERPOLICY_BLOCK and _ACCEPT
_FAMILY_NUMBERS = {Family.IPV4: int(socket.AF_INET), Family.IPV6: int(socket.AF_INET6)}
_FAMILY_OF = {number: family for family, number in _FAMILY_NUMBERS.items()}

_SELECTOR = struct.Struct("=16s16s4HHBBB3xiI")  # xfrm_selector: to, from, ports, family, prefixes
_FOR_EVER = struct.pack("=12Q", *[2**64 - 1] * 4, *[0] * 8)  # xfrm_lifetime_cfg and _cur
_REST = struct.Struct("=IIBBBB4x")  # priority, index, direction, action, flags, share
_INFO = _SELECTOR.size + len(_FOR_EVER) + _REST.size  # xfrm_userpolicy_info
_VALUE = struct.Struct("=II")  # in the attribute XFRMA_MARK: value and mask
_DEFAULTS = struct.Struct(
    "=BBB"
)  # xfrm_userpolicy_default: in, forwarded, out; 0 leaves one as it is
# Shown in the machine's own network alone; a network namespace shows somaxconn, but not this.
_OF_THE_MACHINE, _OF_ALL = Path("/proc/sys/net/core/netdev_budget"), "somaxconn"

log = logging.getLogger("vgw")


_Ours = Block | AllowRest | BlockByDefault


def own_network() -> bool:
    """Whether this network is a namespace, which may end, and not the machine's; False where unsure."""
    return _OF_THE_MACHINE.with_name(_OF_ALL).exists() and not _OF_THE_MACHINE.exists()


def diff(wanted: Sequence[Block], closed: bool, priority: int) -> tuple[Change, ...]:
    """What differs between our policies and the wanted ones. Reads only. Raises CommandFailed.

    A kernel without IPsec policies differs in nothing; that is logged once. The order of the changes keeps
    a closed namespace reachable: the default becomes `block` after the allow-all policy is added, and
    `accept` before it is removed.
    """
    try:
        actual = set(_actual(priority))
    except OSError as error:
        _tell(os.strerror(error.errno or 0))
        return ()
    discards = _discards()
    shut = discards and any(isinstance(one, AllowRest) for one in actual)
    passes = (
        [AllowRest(family) for family in _families()] if closed and discards is not None else []
    )
    mine: list[Block | AllowRest] = [*wanted, *passes]
    missing: list[_Ours] = [one for one in mine if one not in actual]
    surplus: list[_Ours] = sorted(actual - set(mine), key=str)
    if passes and not discards:
        missing.append(BlockByDefault())
    if shut and not passes:
        surplus.insert(0, BlockByDefault())
    return (
        *(Change("+", str(one), one) for one in missing),
        *(Change("-", str(one), one) for one in surplus),
    )


def apply(changes: Sequence[Change], priority: int) -> None:
    """Make the changes. Raises CommandFailed with what the kernel said."""
    for change in changes:
        one = change.payload
        request = _addition(one, priority) if change.sign == "+" else _removal(one)
        try:
            ask(netlink.XFRM, request)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOENT):
                why = os.strerror(error.errno or 0)
                raise CommandFailed(f"the kernel refused {change}: {why}") from None


@cache
def _tell(why: str) -> None:
    log.warning(
        "the kernel has no IPsec policies (%s): while a ruleset is flushed, it may reset flows "
        "(`modprobe xfrm_user` on the host, or nothing if it lacks CONFIG_XFRM)",
        why,
    )


def _families() -> tuple[Family, ...]:
    """A closed network closes for IPv6 too, so that one needs its policy where the kernel has it."""
    return tuple(Family) if Path("/proc/sys/net/ipv6").exists() else (Family.IPV4,)


def _discards() -> bool | None:
    """Whether what comes in and meets no policy is discarded; None where the kernel has no such default."""
    try:
        wanted = netlink.message(_GET_DEFAULT, netlink.ACK, bytes(_DEFAULTS.size))
        ((_, answer),) = ask(netlink.XFRM, wanted)
    except OSError:
        return None
    return bool(_DEFAULTS.unpack_from(answer)[0] == _DEFAULT_BLOCK)


def _actual(ours: int) -> Iterator[Block | AllowRest]:
    for _, body in ask(netlink.XFRM, netlink.message(_GET_POLICY, netlink.DUMP, b"")):
        to, _, *_, family, prefix, source_prefix, _, _, _ = _SELECTOR.unpack_from(body)
        priority, _, direction, action, _, _ = _REST.unpack_from(body, _INFO - _REST.size)
        mark = _mark(body)
        if (priority, direction, action, prefix) == (ours, _IN, _BLOCK, 32) and mark:
            yield Block(Address(to[:4]), mark)
        elif (priority, direction, action) == (_WEAKEST, _IN, _ALLOW) and not (
            prefix or source_prefix or mark
        ):
            yield AllowRest(_FAMILY_OF[family])


def _mark(body: bytes) -> int:
    """The mask of the mark that must be absent; 0 where no such is asked for."""
    told = netlink.attributes(body, _INFO).get(_MARK)
    value, mask = _VALUE.unpack(told) if told else (0, 0)
    return 0 if value else int(mask)


def _selector(one: Block | AllowRest) -> bytes:
    if isinstance(one, AllowRest):
        return _SELECTOR.pack(
            bytes(16), bytes(16), 0, 0, 0, 0, _FAMILY_NUMBERS[one.family], 0, 0, 0, 0, 0
        )
    ends = (one.address.packed.ljust(16, b"\0"), bytes(16))
    return _SELECTOR.pack(*ends, 0, 0, 0, 0, socket.AF_INET, 32, 0, 0, 0, 0)


def _absent(one: Block | AllowRest) -> bytes:
    """The attribute for a mark that must be absent, where one must."""
    if isinstance(one, AllowRest):
        return b""
    return netlink.attribute(_MARK, _VALUE.pack(0, one.mark))


def _addition(one: _Ours, priority: int) -> bytes:
    if isinstance(one, BlockByDefault):
        return netlink.message(_SET_DEFAULT, netlink.ACK, _DEFAULTS.pack(_DEFAULT_BLOCK, 0, 0))
    strength, action = (_WEAKEST, _ALLOW) if isinstance(one, AllowRest) else (priority, _BLOCK)
    rest = _REST.pack(strength, 0, _IN, action, 0, 0)
    return netlink.message(
        _NEW_POLICY, netlink.ACK, _selector(one) + _FOR_EVER + rest + _absent(one)
    )


def _removal(one: _Ours) -> bytes:
    if isinstance(one, BlockByDefault):
        return netlink.message(_SET_DEFAULT, netlink.ACK, _DEFAULTS.pack(_DEFAULT_ACCEPT, 0, 0))
    named = _selector(one) + struct.pack("=IB3x", 0, _IN)  # xfrm_userpolicy_id
    return netlink.message(_DELETE_POLICY, netlink.ACK, named + _absent(one))
