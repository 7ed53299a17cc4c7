"""Blocks for the kernel's own programs, as policies of the IPsec database (ip-xfrm(8), linux/xfrm.h).

What is sent to an address of this machine, and was not marked by the ruleset, is discarded before TCP
or ICMP could answer it. Unlike the ruleset such a policy stays until the machine's interfaces have gone.
"""

import errno
import logging
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from ipaddress import IPv4Address

from appliance import CommandFailed
from appliance.change import Change
from appliance.plan import Block

# Ours among all policies of incoming packets that block.
PRIORITY = 31500
_XFRM = 6  # NETLINK_XFRM
_NEW, _DELETE, _GET = 0x13, 0x14, 0x15  # XFRM_MSG_*POLICY
_MARK, _IN, _BLOCK = 21, 0, 1  # XFRMA_MARK, XFRM_POLICY_IN, XFRM_POLICY_BLOCK
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300  # NLM_F_*
_ERROR, _DONE = 2, 3  # NLMSG_*
_SECONDS = 5.0

_HEAD = struct.Struct("=IHHII")
_SELECTOR = struct.Struct("=16s16s4HHBBB3xiI")  # xfrm_selector: to, from, ports, family, prefixes
_FOR_EVER = struct.pack("=12Q", *[2**64 - 1] * 4, *[0] * 8)  # xfrm_lifetime_cfg and _cur
_REST = struct.Struct("=IIBBBB4x")  # priority, index, direction, action, flags, share
_INFO = _SELECTOR.size + len(_FOR_EVER) + _REST.size  # xfrm_userpolicy_info
_VALUE = struct.Struct("=HHII")  # the attribute XFRMA_MARK: value and mask
_ATTRIBUTE = struct.Struct("=HH")
_CODE = struct.Struct("=i")

log = logging.getLogger("vgw")


def diff(wanted: Sequence[Block]) -> tuple[Change, ...]:
    """What differs between our policies and the wanted ones. Reads only. Raises CommandFailed.

    Nothing, where the kernel has no such policies; that is logged once.
    """
    try:
        actual = set(_actual())
    except OSError as error:
        _tell(os.strerror(error.errno or 0))
        return ()
    missing = [Change("+", say(block), block) for block in wanted if block not in actual]
    return (*missing, *(Change("-", say(one), one) for one in sorted(actual - set(wanted))))


def apply(changes: Sequence[Change]) -> None:
    """Make the changes. Raises CommandFailed with what the kernel said."""
    for change in changes:
        request = _addition if change.sign == "+" else _removal
        try:
            list(_ask(request(change.payload)))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOENT):
                why = os.strerror(error.errno or 0)
                raise CommandFailed(f"the kernel refused {change}: {why}") from None


def say(block: Block) -> str:
    """A block in ip-xfrm(8)'s words."""
    return f"policy dst {block.address}/32 dir in mark 0/{block.mark:#x} action block"


@cache
def _tell(why: str) -> None:
    log.warning(
        "the kernel has no IPsec policies (%s): while a ruleset is flushed, it may reset flows "
        "(`modprobe xfrm_user` on the host, or nothing if it lacks CONFIG_XFRM)",
        why,
    )


def _actual() -> Iterator[Block]:
    for body in _ask(_message(_GET, _DUMP, b"")):
        to, _, *_, prefix, _, _, _, _ = _SELECTOR.unpack_from(body)
        priority, _, direction, action, _, _ = _REST.unpack_from(body, _INFO - _REST.size)
        mark = _mark(body)
        if (priority, direction, action, prefix) == (PRIORITY, _IN, _BLOCK, 32) and mark:
            yield Block(IPv4Address(to[:4]), mark)


def _mark(body: bytes) -> int:
    """The mask of the mark that must be absent; 0 where no such is asked for."""
    at = _INFO
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if kind == _MARK:
            _, _, value, mask = _VALUE.unpack_from(body, at)
            return 0 if value else int(mask)
        at += (length + 3) & ~3
    return 0


def _selector(block: Block) -> bytes:
    ends = (block.address.packed.ljust(16, b"\0"), bytes(16))
    return _SELECTOR.pack(*ends, 0, 0, 0, 0, socket.AF_INET, 32, 0, 0, 0, 0)


def _addition(block: Block) -> bytes:
    rest = _REST.pack(PRIORITY, 0, _IN, _BLOCK, 0, 0)
    mark = _VALUE.pack(_VALUE.size, _MARK, 0, block.mark)
    return _message(_NEW, _ACK, _selector(block) + _FOR_EVER + rest + mark)


def _removal(block: Block) -> bytes:
    named = _selector(block) + struct.pack("=IB3x", 0, _IN)  # xfrm_userpolicy_id
    return _message(_DELETE, _ACK, named + _VALUE.pack(_VALUE.size, _MARK, 0, block.mark))


def _message(kind: int, flags: int, payload: bytes) -> bytes:
    return _HEAD.pack(_HEAD.size + len(payload), kind, _REQUEST | flags, 0, 0) + payload


def _ask(request: bytes) -> Iterator[bytes]:
    """The policies that the kernel sends until it is done. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _XFRM) as kernel:
        kernel.settimeout(_SECONDS)
        kernel.send(request)
        while True:
            buffer, at = kernel.recv(65536), 0
            while at < len(buffer):
                length, kind, *_ = _HEAD.unpack_from(buffer, at)
                body = buffer[at + _HEAD.size : at + length]
                if kind in (_ERROR, _DONE):
                    code = -_CODE.unpack_from(body)[0]
                    if kind == _ERROR and code:
                        raise OSError(code, os.strerror(code))
                    return
                yield body
                at += (length + 3) & ~3
