"""The kernel's own word that something changed: a netlink socket to wait on (netlink(7))."""

import socket

from appliance import netlink
from appliance.wires import queue

_ROUTE_GROUPS = 0x1 | 0x10 | 0x40 | 0x80  # links, IPv4 addresses, routes and rules


def listen(*more: tuple[int, int]) -> tuple[socket.socket, ...]:
    """Sockets that turn readable when links, addresses or routes change, whoever did it.

    `more`: the netlink family and the groups, as a mask, of what else to hear of.
    """
    return tuple(_join(*source) for source in ((netlink.ROUTE, _ROUTE_GROUPS), *more))


def drain(source: socket.socket) -> None:
    """Read away what is queued: that something changed is known, what it was is read afresh."""
    # BlockingIOError: empty. ENOBUFS: the kernel dropped some, which says as much as one message.
    for _ in queue.waiting(lambda: source.recv(65536)):
        pass


def _join(family: int, groups: int) -> socket.socket:
    source = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, family)
    source.bind((0, groups))
    return source
