"""The whole wanted machine as data: a pure function of the configuration, the node and its role."""

from appliance.addresses import Address, Family, Prefix
from appliance.config.fixed_sysctls import FIXED
from appliance.config.model import Config, Interfaces, Node
from appliance.planning import daemon_files, firewall, virtual_macs
from appliance.planning.virtual_macs import Sides
from appliance.planning.wanted import (
    BLACKHOLE,
    MAIN_TABLE,
    Block,
    Names,
    Plan,
    Route,
    RouteRule,
    Site,
    VirtualLink,
)
from appliance.vrrp import Role

DEFAULT = Prefix(Family.IPV4.everybody)


def plan(config: Config, name: str, role: Role, site: Site) -> Plan:
    """The plan of node `name` in `role`. Same input, same output, byte for byte."""
    interfaces, names = site.interfaces, site.names
    links = virtual_macs.links(config, interfaces, names)
    sides = virtual_macs.sides(config, interfaces, names)
    settings = {**dict(sysctls(config, name, interfaces)), **_link_sysctls(links)}
    return Plan(
        ruleset=firewall.ruleset(config, name, sides, names.mark, leased=site.sees_frames),
        links=links,
        sysctls=tuple(sorted(settings.items())),
        routes=tuple(sorted(_routes(config, name, role, site))),
        rules=_rules(sides, names),
        # While the ruleset is flushed, replies of translated flows reach this node's TCP, which would
        # answer RST. This policy drops them.
        blocks=(Block(config.wan.address.ip, names.mark),),
        # Only in a namespace of our own. The machine's own network never ends, and a default of `block`
        # would cut it off when somebody flushes its IPsec policies.
        closed=site.own_network,
        files=daemon_files.files(config, name, site),
        forwarding=tuple(sorted({*sides.lan, *sides.wan, *sides.sync})),
        names=names,
    )


def _routes(config: Config, name: str, role: Role, site: Site) -> list[Route]:
    node, peer = config.nodes[name], config.nodes[config.peer_of(name)]
    interfaces, names = site.interfaces, site.names
    out = (DEFAULT, config.wan.gateway, interfaces.wan)
    routes = [Route(names.forward_table, *out)]
    own = _own_source(config, node, role)
    if own is not None:
        routes.append(Route(names.own_table, *out, own))
    else:
        routes.append(Route(names.own_table, DEFAULT, peer.sync.ip, interfaces.sync, node.sync.ip))
    return routes


def _own_source(config: Config, node: Node, role: Role) -> Address | None:
    """The node's own address outside: the WAN VIP for the MASTER, else its own where it has one."""
    if role is Role.MASTER:
        return config.wan.address.ip
    return node.wan.ip if node.wan else None


def _rules(sides: Sides, names: Names) -> tuple[RouteRule, ...]:
    """On-link routes first, then the node's own packets (`iif lo`), then marked packets; all else is discarded.

    The ruleset marks each packet that it has judged. An unmarked one is discarded before any route is
    looked up, also one to or from a neighbour on the WAN's own link. So not even `nft flush ruleset` lets a
    packet leave untranslated, or anybody in. The rule for the node's own packets stands before the one for
    marked packets, because the kernel also looks up by `iif lo`, with the mark, the way back of a packet
    for the node itself.
    """
    first, mark = names.first_rule, names.mark
    return (
        RouteRule(first, MAIN_TABLE, mark=mark, specific_only=True),
        RouteRule(first + 1, MAIN_TABLE, "lo", specific_only=True),
        RouteRule(first + 2, names.own_table, "lo"),
        RouteRule(first + 3, names.forward_table, mark=mark),
        *(RouteRule(first + 4, BLACKHOLE, name) for name in sides.lan),
        *(RouteRule(first + 5, BLACKHOLE, name) for name in sides.sync),
        *(RouteRule(first + 6, BLACKHOLE, name) for name in sides.wan),
    )


def sysctls(config: Config, name: str, interfaces: Interfaces) -> tuple[tuple[str, str], ...]:
    """The kernel's settings, but for forwarding and for links of ours, as key and value, sorted."""
    timeouts = config.timeouts
    conf, conntrack = "net.ipv4.conf", "net.netfilter.nf_conntrack"
    wanted = {
        **FIXED,
        f"{conntrack}_tcp_timeout_established": timeouts.tcp_established,
        f"{conntrack}_udp_timeout": timeouts.udp,
        f"{conntrack}_udp_timeout_stream": timeouts.udp_stream,
        f"{conntrack}_icmp_timeout": timeouts.icmp,
    }
    for interface in (interfaces.lan, interfaces.wan, interfaces.sync):
        # The kernel takes the larger of this and conf.all, so each must be 0 by itself.
        wanted[f"{conf}.{interface}.send_redirects"] = 0
    if config.nodes[name].wan is None:
        # While the BACKUP's own way out is its peer, an answer that comes in by the WAN is no forgery.
        wanted[f"{conf}.{interfaces.wan}.rp_filter"] = 2
    if config.vgw.virtual_mac:
        # The kernel takes the larger of `all` and an interface's own, and refuses whatever comes in by
        # an interface without an address but for 0. The ruleset checks the sources of all interfaces.
        wanted[f"{conf}.all.rp_filter"] = 0
        for interface in (interfaces.lan, interfaces.wan, interfaces.sync):
            wanted[f"{conf}.{interface}.rp_filter"] = 1
    wanted.update(config.sysctl)
    return tuple(sorted((key, str(value)) for key, value in wanted.items()))


def _link_sysctls(links: tuple[VirtualLink, ...]) -> dict[str, str]:
    """A standby's virtual MAC has neither address nor route, by which the kernel could check a source."""
    settings = ("rp_filter", "send_redirects")
    return {f"net.ipv4.conf.{link.name}.{setting}": "0" for link in links for setting in settings}
