"""What both nodes must say alike, or one does not hear the other: so it changes on both together. Pure."""

from collections.abc import Iterator

from appliance.config.model import Config

_UNTOLD = "vgw.auth_pass"


def differing(former: Config, config: Config) -> tuple[str, ...]:
    """The words of that kind which two files say differently, as `vgw.virtual_router_id 51 -> 52`."""
    return tuple(
        name if name == _UNTOLD else f"{name} {before} -> {after}"
        for (name, before), (_, after) in zip(_alike(former), _alike(config), strict=True)
        if before != after
    )


def _alike(config: Config) -> Iterator[tuple[str, str]]:
    """By these a node knows its peer's adverts and beats.

    keepalived drops an advert of another router id, version, password or list of addresses, and in version 2 one of
    another interval, which it learns in version 3. The peer is known by its addresses; its name is in beats alone.
    """
    vgw, nodes = config.vgw, config.nodes.values()
    yield "vgw.address", str(vgw.address)
    yield "vgw.virtual_router_id", str(vgw.virtual_router_id)
    yield "vgw.vrrp_version", str(vgw.vrrp_version)
    yield "vgw.transport", vgw.transport
    yield _UNTOLD, vgw.auth_pass or ""
    yield "vgw.advert_interval", f"{vgw.advert_interval:g}" if vgw.vrrp_version == 2 else "learned"
    yield "nodes.*.lan", ", ".join(sorted(str(node.lan.ip) for node in nodes))
    yield "nodes.*.sync", ", ".join(sorted(str(node.sync.ip) for node in nodes))
    yield "sync.port", str(config.sync.port)
