"""Is this node on its networks? A pure judgement of its interfaces and their addresses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from appliance import MissingInterface
from appliance.config.model import Config, Interfaces
from appliance.drivers.routes import Link
from appliance.site import locate


@dataclass(frozen=True)
class Footing:
    """What a node stands on: its interfaces, whether all carry that keepalived watches, and what is amiss.

    `lost` is a sentence about own addresses that are gone, which keepalived does not notice; `missing` one about
    interfaces that are. Either is empty where none is.
    """

    interfaces: Interfaces
    carries: bool
    lost: str
    missing: str


def footing(config: Config, node: str, former: Interfaces, links: Mapping[str, Link]) -> Footing:
    """What a node stands on now.

    A container engine renumbers interfaces, so each is looked for again. While one is away its former name stays:
    its return is then no change at all.
    """
    addresses = {name: link.addresses for name, link in links.items()}
    found = {
        part: getattr(former, part) if isinstance(interface, MissingInterface) else interface
        for part, _, interface in locate.networks(config, node, addresses)
    }
    interfaces = Interfaces(**found)
    own = config.nodes[node]
    homes = {"lan": own.lan, "wan": own.wan, "sync": own.sync}
    gone = [name for name in found.values() if name not in links]
    lost = (
        f"{found[part]} has lost this node's address {home}: "
        f"`ip addr add {home} dev {found[part]}` puts it back"
        for part, home in homes.items()
        if home and _carries(links, found[part])
        if home.ip not in {there.ip for there in links[found[part]].addresses}
    )
    return Footing(
        interfaces,
        carries=carry(config, interfaces, links),
        lost="; ".join(lost),
        missing=f"there is no interface {' and no '.join(gone)}" if gone else "",
    )


def carry(config: Config, interfaces: Interfaces, links: Mapping[str, Link]) -> bool:
    """Whether all interfaces carry without which keepalived is in FAULT."""
    return all(_carries(links, name) for name in _needed(config, interfaces))


def _needed(config: Config, interfaces: Interfaces) -> Iterator[str]:
    yield from (interfaces.lan, interfaces.wan)
    yield from (own.interface for own in config.vgw.track_interfaces if not own.weight)


def _carries(links: Mapping[str, Link], name: str) -> bool:
    return name in links and links[name].up
