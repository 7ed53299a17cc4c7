"""One interface's own IPv4 settings by netlink, which a read-only /proc/sys does not forbid (rtnetlink(7)).

Inside a container the engine mounts /proc/sys read-only, and newer engines refuse settings that name an
interface; the kernel itself takes them from whoever has CAP_NET_ADMIN.
"""

import os
import socket
import struct

# The kernel's numbers of the settings we make (include/uapi/linux/ip.h, IPV4_DEVCONF_*).
_NUMBERS = {"forwarding": 1, "send_redirects": 6, "rp_filter": 8}
_RTM_SETLINK, _NLMSG_ERROR = 19, 2
_REQUEST_AND_ACK = 0x1 | 0x4
_IFLA_AF_SPEC, _IFLA_INET_CONF = 26, 1
_PREFIX = ["net", "ipv4", "conf"]


def knows(key: str) -> bool:
    """Whether a setting is one interface's own, and one that can be made this way."""
    parts = key.split(".")
    of_all = parts[3:4] in (["all"], ["default"])
    return parts[:3] == _PREFIX and not of_all and parts[-1] in _NUMBERS


def put(key: str, value: int) -> None:
    """Make one setting, such as `net.ipv4.conf.eth0.rp_filter`. Raises OSError with the kernel's word."""
    parts = key.split(".")
    index = socket.if_nametoindex(".".join(parts[3:-1]))
    setting = _attribute(_NUMBERS[parts[-1]], struct.pack("=I", value))
    inet = _attribute(socket.AF_INET, _attribute(_IFLA_INET_CONF, setting))
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0) + _attribute(
        _IFLA_AF_SPEC, inet
    )
    head = struct.pack("=IHHII", 16 + len(body), _RTM_SETLINK, _REQUEST_AND_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(head + body)
        answer = kernel.recv(4096)
    kind, code = struct.unpack_from("=4xH10xi", answer)
    if kind != _NLMSG_ERROR or code:
        raise OSError(-code, os.strerror(-code))


def _attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)
