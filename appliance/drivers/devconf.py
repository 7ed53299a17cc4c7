"""One interface's own IPv4 settings by netlink, which a read-only /proc/sys does not forbid (rtnetlink(7)).

Inside a container the engine mounts /proc/sys read-only, and newer engines refuse settings that name an
interface; the kernel itself takes them from whoever has CAP_NET_ADMIN.
"""

import errno
import os
import socket
import struct

from appliance import netlink

# The kernel's numbers of the settings we make (include/uapi/linux/ip.h, IPV4_DEVCONF_*).
_SETTING_NUMBERS = {"forwarding": 1, "send_redirects": 6, "rp_filter": 8}
_RTM_SETLINK = 19
_IFLA_AF_SPEC, _IFLA_INET_CONF = 26, 1
_PREFIX = ["net", "ipv4", "conf"]


def knows(key: str) -> bool:
    """Whether a setting is one interface's own, and one that can be made this way."""
    parts = key.split(".")
    of_all = parts[3:4] in (["all"], ["default"])
    return parts[:3] == _PREFIX and not of_all and parts[-1] in _SETTING_NUMBERS


def put(key: str, value: int) -> None:
    """Make one setting, such as `net.ipv4.conf.eth0.rp_filter`. Raises OSError with the kernel's word."""
    parts = key.split(".")
    index = socket.if_nametoindex(".".join(parts[3:-1]))
    setting = netlink.attribute(_SETTING_NUMBERS[parts[-1]], struct.pack("=I", value))
    inet = netlink.attribute(socket.AF_INET, netlink.attribute(_IFLA_INET_CONF, setting))
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0) + netlink.attribute(
        _IFLA_AF_SPEC, inet
    )
    request = netlink.message(_RTM_SETLINK, netlink.ACK, body)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(request)
        answer = kernel.recv(4096)
    ((kind, at, _),) = netlink.messages(answer)
    code = netlink.refusal(answer, at) if kind == netlink.ERROR else errno.EPROTO
    if code:
        raise OSError(code, os.strerror(code))
