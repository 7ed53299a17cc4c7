"""Whether this machine has an address, by one question to the routing table (rtnetlink(7)).

drivers.routes tells it too, but brings the plan and the file with it: too much for a process whose size counts.
"""

import socket
import struct

from appliance import CommandFailed, netlink

_GET_ROUTE, _ROUTE = 26, 24  # RTM_GETROUTE, RTM_NEWROUTE
_DESTINATION = 1  # RTA_DST
_LOCAL = 2  # RTN_LOCAL


def holds(address: str) -> bool:
    """Whether this machine takes packets for this IPv4 address as its own now. Raises CommandFailed.

    Asks the kernel how it would route a packet there: to itself, or not. (A trial bind(2) would be
    simpler, but net.ipv4.ip_nonlocal_bind makes it succeed anywhere.) On `lo` alone the kernel takes
    the whole prefix of an address as its own.
    """
    destination = netlink.attribute(_DESTINATION, socket.inet_aton(address))
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0) + destination
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
            kernel.settimeout(5.0)
            kernel.send(netlink.message(_GET_ROUTE, 0, body))
            answer = kernel.recv(4096)
    except OSError as error:
        raise CommandFailed(f"the kernel did not tell who has {address}: {error}") from None
    kind, local = struct.unpack_from("=4xH17xB", answer)
    # Any error means that there is no way to it: the table of our own addresses is asked first.
    return bool(kind == _ROUTE and local == _LOCAL)
