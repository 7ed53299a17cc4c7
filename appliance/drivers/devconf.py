"""One interface's own IPv4 settings by netlink, which a read-only /proc/sys does not forbid (rtnetlink(7)).

Inside a container the engine mounts /proc/sys read-only, and newer engines refuse settings that name an
interface; the kernel itself takes them from whoever has CAP_NET_ADMIN.
"""

import socket
import struct

from appliance import netlink, rtnetlink

# The kernel's numbers of the settings we make (include/uapi/linux/ip.h, IPV4_DEVCONF_*).
_SETTING_NUMBERS = {"forwarding": 1, "send_redirects": 6, "rp_filter": 8}
_IFLA_INET_CONF = 1
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
    rtnetlink.set_family(index, socket.AF_INET, netlink.attribute(_IFLA_INET_CONF, setting))
