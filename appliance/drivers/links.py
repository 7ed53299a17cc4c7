"""The interfaces that bear virtual MACs: macvlan links of ours, known by their names (ip-link(8))."""

import contextlib
import socket
from collections.abc import Sequence

from appliance import CommandFailed, rtnetlink, system
from appliance.planning.wanted import Change, VirtualLink

_KIND = "macvlan"
# Seconds for keepalived to take its addresses to where its new file has them; it loses the VGW with a link that goes before.
_LEAVE_SECONDS, _LEAVE_STEP = 0.5, 0.01


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
    for change in changes:
        try:
            _apply_one(change)
        except OSError as error:
            raise CommandFailed(f"the kernel refused {change}: {error.strerror or error}") from None


def _apply_one(change: Change) -> None:
    link: VirtualLink = change.payload
    if change.sign == "-":
        _wait_until_left(link.name)
    there = _actual(frozenset({link.name}))[0].get(link.name)
    if there and (change.sign == "-" or there[0] != link):
        rtnetlink.remove_link(socket.if_nametoindex(link.name))
    if change.sign == "-":
        return
    if not there or there[0] != link:
        # Private, as keepalived's own: a frame between two interfaces of one node is no business of theirs.
        rtnetlink.add_macvlan(link.name, socket.if_nametoindex(link.parent), link.mac)
    index = socket.if_nametoindex(link.name)
    # Before it is up: the standby must not say a word with this MAC, and IPv6 would announce itself.
    with contextlib.suppress(OSError):  # no IPv6 here, nothing to silence
        rtnetlink.silence_ipv6(index)
    rtnetlink.raise_link(index)


def _wait_until_left(name: str) -> None:
    """Wait a little for whoever has addresses there to take them away."""
    deadline = system.monotonic() + _LEAVE_SECONDS
    index = socket.if_nametoindex(name)
    while any(entry.link == index for entry in rtnetlink.addresses()):
        if system.monotonic() > deadline:
            return
        system.pause(_LEAVE_STEP)


def _actual(ours: frozenset[str]) -> tuple[dict[str, tuple[VirtualLink, bool]], set[str]]:
    """Our links by name, each with whether it is up; and the names of ours that a stranger bears."""
    entries = rtnetlink.links()
    names = {entry.index: entry.name for entry in entries}
    found, strangers = {}, set()
    for entry in entries:
        if entry.name not in ours:
            continue
        if entry.kind != _KIND:
            strangers.add(entry.name)
            continue
        link = VirtualLink(entry.name, names.get(entry.parent, ""), entry.mac)
        found[entry.name] = (link, bool(entry.flags & rtnetlink.IFF_UP))
    return found, strangers
