"""Links, addresses, routes and routing rules by netlink (rtnetlink(7)).

Ours are those that bear a `protocol` number of ours.
"""

import contextlib
import errno
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from appliance import CommandFailed, rtnetlink
from appliance.addresses import Address, AddressAndLength
from appliance.planning.wanted import BLACKHOLE, Change, Route, RouteRule
from appliance.rtnetlink import RouteEntry, RuleEntry

_CARRIES = (0, 6)  # IF_OPER_UNKNOWN, which some drivers never leave, and IF_OPER_UP


@dataclass(frozen=True)
class Link:
    """An interface: its index, whether it is switched on, whether it carries too, its MAC and IPv4 addresses."""

    index: int
    enabled: bool
    up: bool
    mac: str
    addresses: tuple[AddressAndLength, ...]


def links() -> dict[str, Link]:
    """Every interface of this network namespace by name."""
    addresses: dict[int, list[AddressAndLength]] = {}
    for entry in rtnetlink.addresses():
        addresses.setdefault(entry.link, []).append(entry.address)
    return {
        link.name: Link(
            link.index,
            enabled := bool(link.flags & rtnetlink.IFF_UP),
            enabled and link.state in _CARRIES,
            link.mac,
            tuple(sorted(addresses.get(link.index, ()))),
        )
        for link in rtnetlink.links()
    }


def holds(address: Address) -> bool:
    """Whether this machine has the address on some interface now."""
    return any(entry.address.ip == address for entry in rtnetlink.addresses())


def drop(addresses: Collection[Address]) -> None:
    """Take these addresses away, wherever this machine has them; who was faster does no harm."""
    for entry in rtnetlink.addresses():
        if entry.address.ip in addresses:
            with contextlib.suppress(OSError):
                rtnetlink.remove_address(entry)


def interfaces(protocol: int) -> tuple[str, ...]:
    """The interfaces that our routes and rules name: those that a gateway of ours uses now."""
    routes, rules = _actual(protocol)
    named = {route.interface for route in routes} | {rule.interface for rule in rules}
    present = {name for _, name in socket.if_nameindex()}
    return tuple(sorted((named & present) - {"lo"}))


def _actual(protocol: int) -> tuple[list[Route], list[RouteRule]]:
    names = {link.index: link.name for link in rtnetlink.links()}
    routes = [_route(entry, names) for entry in rtnetlink.routes(protocol)]
    return routes, [_rule(entry) for entry in rtnetlink.rules(protocol)]


def diff(routes: Sequence[Route], rules: Sequence[RouteRule], protocol: int) -> tuple[Change, ...]:
    """What differs between our routes and rules and the wanted ones; additions first. Reads only."""
    actual_routes, actual_rules = _actual(protocol)
    # A route whose place is taken by a former one is replaced in one step: there is always a way.
    places = {(route.table, route.destination) for route in routes}
    unwanted = [
        r for r in actual_routes if r not in routes and (r.table, r.destination) not in places
    ]
    return (
        *(Change("+", str(route), route) for route in routes if route not in actual_routes),
        *(Change("+", str(rule), rule) for rule in rules if rule not in actual_rules),
        *(Change("-", str(rule), rule) for rule in sorted(actual_rules) if rule not in rules),
        *(Change("-", str(route), route) for route in sorted(unwanted)),
    )


def apply(changes: Sequence[Change], protocol: int) -> None:
    """Make the changes in their order. Raises CommandFailed with what the kernel said, at the end.

    A change that the kernel refuses does not stop the others.
    """
    refused = []
    for change in changes:
        try:
            _apply_one(change, protocol)
        except OSError as error:
            if not _already_so(change, error):
                refused.append(f"{change}: {error.strerror or error}")
    if refused:
        raise CommandFailed("the kernel refused " + "; ".join(refused))


def put(routes: Sequence[Route], protocol: int) -> None:
    """Have these routes in force, whatever there was before. Raises CommandFailed."""
    apply([Change("+", str(route), route) for route in routes], protocol)


def _already_so(change: Change, error: OSError) -> bool:
    if change.sign == "-":
        return error.errno in (errno.ESRCH, errno.ENOENT)
    return isinstance(change.payload, RouteRule) and error.errno == errno.EEXIST


def _apply_one(change: Change, protocol: int) -> None:
    wanted: Route | RouteRule = change.payload
    if isinstance(wanted, RouteRule):
        alter_rule = rtnetlink.add_rule if change.sign == "+" else rtnetlink.remove_rule
        alter_rule(_rule_entry(wanted), protocol)
    else:
        alter = rtnetlink.put_route if change.sign == "+" else rtnetlink.remove_route
        alter(_route_entry(wanted), protocol)


def _route_entry(route: Route) -> RouteEntry:
    try:
        index = socket.if_nametoindex(route.interface)
    except OSError:
        raise OSError(errno.ENODEV, f"there is no interface {route.interface}") from None
    return RouteEntry(route.table, route.destination, route.gateway, index, route.source)


def _route(entry: RouteEntry, names: dict[int, str]) -> Route:
    gateway, interface = entry.gateway or Address(0), names.get(entry.link, "")
    return Route(entry.table, entry.destination, gateway, interface, entry.source)


def _rule_entry(rule: RouteRule) -> RuleEntry:
    discards = rule.table == BLACKHOLE
    return RuleEntry(
        priority=rule.priority,
        action=rtnetlink.DISCARD if discards else rtnetlink.LOOKUP,
        table=0 if discards else rule.table,
        interface=rule.interface,
        mark=rule.mark,
        suppressed=0 if rule.specific_only else None,
    )


def _rule(entry: RuleEntry) -> RouteRule:
    return RouteRule(
        priority=entry.priority,
        table=BLACKHOLE if entry.action == rtnetlink.DISCARD else entry.table,
        interface=entry.interface,
        mark=entry.mark,
        specific_only=entry.suppressed == 0,
    )
