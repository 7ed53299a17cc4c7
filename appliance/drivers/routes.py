"""Links, addresses, routes and routing rules by netlink (rtnetlink(7)).

Ours are those that bear a `protocol` number of ours.
"""

import contextlib
import errno
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from appliance import CommandFailed
from appliance.addresses import Address, AddressAndLength, Prefix
from appliance.planning.wanted import BLACKHOLE, Change, Route, RouteRule
from appliance.rtnetlink import IPRoute, NetlinkError

_ONLINK = 4  # RTNH_F_ONLINK: the gateway is on this link although no address says so
_LOOKUP = 1  # FR_ACT_TO_TBL
_DISCARD = 6  # FR_ACT_BLACKHOLE
_UP = 1  # IFF_UP


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
    with IPRoute() as ip:
        addresses: dict[int, list[AddressAndLength]] = {}
        for item in ip.get_addr(family=socket.AF_INET):
            address = AddressAndLength(f"{item.get('IFA_LOCAL')}/{item['prefixlen']}")
            addresses.setdefault(item["index"], []).append(address)
        return {
            link.get("IFLA_IFNAME"): Link(
                link["index"],
                bool(link["flags"] & _UP),
                bool(link["flags"] & _UP) and link.get("IFLA_OPERSTATE") in ("UP", "UNKNOWN"),
                link.get("IFLA_ADDRESS") or "",
                tuple(sorted(addresses.get(link["index"], ()))),
            )
            for link in ip.get_links()
        }


def holds(address: Address) -> bool:
    """Whether this machine has the address on some interface now."""
    with IPRoute() as ip:
        found = ip.get_addr(family=socket.AF_INET)
        return any(item.get("IFA_LOCAL") == str(address) for item in found)


def drop(addresses: Collection[Address]) -> None:
    """Take these addresses away, wherever this machine has them; who was faster does no harm."""
    unwanted = set(map(str, addresses))
    with IPRoute() as ip:
        for item in list(ip.get_addr(family=socket.AF_INET)):
            own = item.get("IFA_LOCAL")
            if own not in unwanted:
                continue
            with contextlib.suppress(NetlinkError):
                ip.addr("del", index=item["index"], address=own, prefixlen=item["prefixlen"])


def interfaces(protocol: int) -> tuple[str, ...]:
    """The interfaces that our routes and rules name: those that a gateway of ours uses now."""
    routes, rules = _actual(protocol)
    named = {route.interface for route in routes} | {rule.interface for rule in rules}
    present = {name for _, name in socket.if_nameindex()}
    return tuple(sorted((named & present) - {"lo"}))


def _actual(protocol: int) -> tuple[list[Route], list[RouteRule]]:
    with IPRoute() as ip:
        names = {link["index"]: link.get("IFLA_IFNAME") for link in ip.get_links()}
        routes = [_route(item, names) for item in _ours(ip.get_routes(proto=protocol), protocol)]
        return routes, [
            _rule(item) for item in _ours(ip.get_rules(family=socket.AF_INET), protocol)
        ]


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
    with IPRoute() as ip:
        for change in changes:
            try:
                _apply_one(ip, change, protocol)
            except NetlinkError as error:
                if not _already_so(change, error):
                    refused.append(f"{change}: {error.args[1] if error.args[1:] else error}")
    if refused:
        raise CommandFailed("the kernel refused " + "; ".join(refused))


def put(routes: Sequence[Route], protocol: int) -> None:
    """Have these routes in force, whatever there was before. Raises CommandFailed."""
    apply([Change("+", str(route), route) for route in routes], protocol)


def _already_so(change: Change, error: NetlinkError) -> bool:
    if change.sign == "-":
        return error.code in (errno.ESRCH, errno.ENOENT)
    return isinstance(change.payload, RouteRule) and error.code == errno.EEXIST


def _apply_one(ip: IPRoute, change: Change, protocol: int) -> None:
    wanted = change.payload
    if isinstance(wanted, RouteRule):
        ip.rule("add" if change.sign == "+" else "del", **_rule_fields(wanted, protocol))
    else:
        ip.route("replace" if change.sign == "+" else "del", **_route_fields(wanted, protocol))


def _route_fields(route: Route, protocol: int) -> dict[str, Any]:
    try:
        index = socket.if_nametoindex(route.interface)
    except OSError:
        raise NetlinkError(errno.ENODEV, f"there is no interface {route.interface}") from None
    fields: dict[str, Any] = {
        "dst": str(route.destination),
        "gateway": str(route.gateway),
        "oif": index,
        "table": route.table,
        "proto": protocol,
        "flags": _ONLINK,
    }
    if route.source:
        fields["prefsrc"] = str(route.source)
    return fields


def _rule_fields(rule: RouteRule, protocol: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "family": socket.AF_INET,
        "priority": rule.priority,
        "protocol": protocol,
        "action": _DISCARD if rule.table == BLACKHOLE else _LOOKUP,
    }
    if rule.table != BLACKHOLE:
        fields["table"] = rule.table
    if rule.mark:
        fields |= {"fwmark": rule.mark, "fwmask": rule.mark}
    if rule.interface:
        fields["iifname"] = rule.interface
    if rule.specific_only:
        fields["FRA_SUPPRESS_PREFIXLEN"] = 0
    return fields


def _ours(items: Any, protocol: int) -> list[Any]:
    return [
        item
        for item in items
        if item.get("FRA_PROTOCOL") == protocol or item.get("proto") == protocol
    ]


def _route(item: Any, names: dict[int, str]) -> Route:
    length = item["dst_len"]
    source = item.get("RTA_PREFSRC")
    return Route(
        table=item.get("RTA_TABLE") or item["table"],
        destination=Prefix(f"{item.get('RTA_DST') or '0.0.0.0'}/{length}"),
        gateway=Address(item.get("RTA_GATEWAY") or "0.0.0.0"),
        interface=names.get(item.get("RTA_OIF"), ""),
        source=Address(source) if source else None,
    )


def _rule(item: Any) -> RouteRule:
    return RouteRule(
        priority=item.get("FRA_PRIORITY") or 0,
        table=BLACKHOLE if item["action"] == _DISCARD else item.get("FRA_TABLE") or item["table"],
        interface=item.get("FRA_IIFNAME") or "",
        mark=item.get("FRA_FWMARK") or 0,
        specific_only=item.get("FRA_SUPPRESS_PREFIXLEN") == 0,
    )
