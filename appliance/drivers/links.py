"""The interfaces that bear virtual MACs: macvlan links of ours, known by their names (ip-link(8))."""

import contextlib
import socket
from collections.abc import Sequence
from typing import Any

from appliance import CommandFailed
from appliance.planning.wanted import Change, VirtualLink
from appliance.rtnetlink import IPRoute, NetlinkError

_UP = 1  # IFF_UP
_NO_ADDRESS = 1  # IN6_ADDR_GEN_MODE_NONE
_KIND = "macvlan"


def diff(wanted: Sequence[VirtualLink], ours: frozenset[str]) -> tuple[Change, ...]:
    """What differs between our virtual links and the wanted ones. Reads only. Raises CommandFailed."""
    actual, strangers = _actual(ours)
    names = {link.name for link in wanted}
    changes = []
    for link in wanted:
        if link.name in strangers:
            raise CommandFailed(
                f"the interface {link.name} is not ours, and we need its name: rename it, for "
                f"example `ip link set {link.name} name other0`"
            )
        found = actual.get(link.name)
        if found is None:
            changes.append(Change("+", str(link), link))
        elif found != (link, True):
            changes.append(Change("~", str(link), link))
    return (
        *changes,
        *(
            Change("-", str(link), link)
            for name, (link, _) in sorted(actual.items())
            if name not in names
        ),
    )


def apply(changes: Sequence[Change]) -> None:
    """Make the changes. Raises CommandFailed with what the kernel said."""
    with IPRoute() as ip:
        for change in changes:
            try:
                _apply_one(ip, change)
            except (NetlinkError, OSError) as error:
                raise CommandFailed(f"the kernel refused {change}: {error.args[-1]}") from None


def _apply_one(ip: IPRoute, change: Change) -> None:
    link: VirtualLink = change.payload
    there = _actual(frozenset({link.name}))[0].get(link.name)
    if there and (change.sign == "-" or there[0] != link):
        ip.link("del", index=socket.if_nametoindex(link.name))
    if change.sign == "-":
        return
    if not there or there[0] != link:
        ip.link(
            "add",
            ifname=link.name,
            kind=_KIND,
            link=socket.if_nametoindex(link.parent),
            # As keepalived's own: a frame between two interfaces of one node is no business of theirs.
            macvlan_mode="private",
            address=link.mac,
        )
    index = socket.if_nametoindex(link.name)
    # Before it is up: the standby must not say a word with this MAC, and IPv6 would announce itself.
    silent = {"attrs": [["AF_INET6", {"attrs": [["IFLA_INET6_ADDR_GEN_MODE", _NO_ADDRESS]]}]]}
    with contextlib.suppress(NetlinkError):  # no IPv6 here, nothing to silence
        ip.link("set", index=index, IFLA_AF_SPEC=silent)
    ip.link("set", index=index, state="up")


def _actual(ours: frozenset[str]) -> tuple[dict[str, tuple[VirtualLink, bool]], set[str]]:
    """Our links by name, each with whether it is up; and the names of ours that a stranger bears."""
    with IPRoute() as ip:
        items = list(ip.get_links())
    names = {item["index"]: item.get("IFLA_IFNAME") for item in items}
    found, strangers = {}, set()
    for item in items:
        name = item.get("IFLA_IFNAME")
        if name not in ours:
            continue
        if _kind(item) != _KIND:
            strangers.add(name)
            continue
        parent = names.get(item.get("IFLA_LINK"), "")
        link = VirtualLink(name, parent, item.get("IFLA_ADDRESS") or "")
        found[name] = (link, bool(item["flags"] & _UP))
    return found, strangers


def _kind(item: Any) -> str:
    info = item.get("IFLA_LINKINFO")
    return str(info.get("IFLA_INFO_KIND")) if info else ""
