"""Checks of translation and filtering: rules that would lose flows, loop, or never be reached."""

from collections.abc import Iterator

from appliance.addresses import Prefix
from appliance.config.fixed_sysctls import is_fixed
from appliance.config.model import Config, SourceNat
from appliance.config.owned_addresses import (
    all_addresses,
    known,
    node_addresses,
    subnet,
    upstream,
    vip,
)
from appliance.config.places import Path, Remark
from appliance.config.value_types import UNKNOWN

MIN_PORTS = 1024

# Settings that the gateway makes itself, and where the file says them instead.
OWN_SYSCTLS = {
    "net.ipv4.ip_forward": "the gateway forwards on its own interfaces only, once its ruleset is in force",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "write timeouts.tcp_established",
    "net.netfilter.nf_conntrack_udp_timeout": "write timeouts.udp",
    "net.netfilter.nf_conntrack_udp_timeout_stream": "write timeouts.udp_stream",
    "net.netfilter.nf_conntrack_icmp_timeout": "write timeouts.icmp",
}


def flows_leave_from_the_vip(config: Config) -> Iterator[Remark]:
    """A flow that leaves from an address which does not move ends at the takeover."""
    floating = config.wan.address.ip
    nodes = {owned.ip: owned for owned in node_addresses(config, "wan")}
    for index, rule in enumerate(config.nat.source):
        if rule.to is UNKNOWN or rule.to == floating:
            continue
        why = (
            f"is {nodes[rule.to]}, the node's own address: it does not move, and every session would "
            "end at a takeover"
            if rule.to in nodes
            else "is not the WAN VIP, so no answer would come back to the MASTER"
        )
        yield Remark(
            ("nat", "source", index, "to"), f"{rule.to} {why}; write {floating} or leave it out"
        )


def inside_is_inside(config: Config) -> Iterator[Remark]:
    """A node's own packets are not inside traffic: translated, they would no longer be its own."""
    home = subnet(config, "lan")
    lan = f"the LAN's prefix {home.network}" if home else "the LAN's prefix"
    for index, rule in _sources(config):
        if rule.from_ is UNKNOWN or (home and rule.from_ == home.network):
            continue
        if outside := _outside_in(config, rule.from_):
            yield Remark(
                ("nat", "source", index, "from"),
                f"{rule.from_} includes {outside}, and inside prefixes must not; write {lan}",
            )


def _outside_in(config: Config, prefix: Prefix) -> str:
    """What of the outside, or of the pair, a prefix takes in; empty for nothing."""
    if prefix.prefixlen == 0:
        return "every address, the nodes' own too"
    outside = [*node_addresses(config, "wan"), *node_addresses(config, "sync"), *upstream(config)]
    floating = vip(config, "wan")
    for owned in [*outside, *([floating] if floating else [])]:
        if owned.ip in prefix:
            return f"{owned} ({owned.ip})"
    for part in ("wan", "sync"):
        home = subnet(config, part)
        if home and home.network.overlaps(prefix):
            return f"a part of the {part} subnet {home.network}"
    return ""


def lan_gets_out(config: Config) -> Iterator[Remark]:
    """The ordinary case is that the LAN is translated."""
    home = subnet(config, "lan")
    if home and not any(rule.from_.overlaps(home.network) for rule in config.nat.source):
        yield Remark(
            ("nat", "source"),
            f"no entry covers the LAN {home.network}, so its machines have no way out; add "
            f"from: {home.network}",
            "warning",
        )


def port_ranges_suffice(config: Config) -> Iterator[Remark]:
    """A small range is soon used up, and a taken port makes the kernel choose another one."""
    sync_port = known(lambda: config.sync.port)
    for index, rule in _sources(config):
        if rule.ports is None or rule.ports is UNKNOWN:
            continue
        low, high = rule.ports
        path: Path = ("nat", "source", index, "ports")
        if high - low + 1 < MIN_PORTS:
            yield Remark(
                path,
                f"{low}-{high} has {high - low + 1} ports: each is one flow to one server and port, so "
                f"they run out; give at least {MIN_PORTS}, such as 20000-60000",
            )
        for name, taken in _taken(config, sync_port):
            if low <= taken <= high:
                yield Remark(
                    path,
                    f"{low}-{high} includes port {taken} of {name}, and a flow that got it would "
                    "shadow that service; choose a range without it",
                )


def _taken(config: Config, sync_port: int | None) -> Iterator[tuple[str, int]]:
    """The ports that services use, with the path of each."""
    if sync_port is not None:
        yield "sync.port", sync_port
    for index, rule in enumerate(known(lambda: config.nat.destination) or ()):
        if rule.port is not UNKNOWN:
            yield f"nat.destination[{index}]", rule.port


def redirects_reach_a_machine(config: Config) -> Iterator[Remark]:
    """A redirected port leads behind the gateway: to the pair it loops, elsewhere it is lost."""
    pair = {owned.ip: owned for owned in all_addresses(config) if owned.path[0] != "machines"}
    home = subnet(config, "lan")
    inside = [rule.from_ for rule in config.nat.source] + ([home.network] if home else [])
    for index, rule in enumerate(config.nat.destination):
        path: Path = ("nat", "destination", index, "to")
        if rule.to is UNKNOWN:
            continue
        if found := pair.get(rule.to):
            yield Remark(
                path,
                f"{rule.to} is {found} in {{see}}, so the packet would come back here; write the "
                "address of a machine behind the gateway",
                see=found.path,
            )
        elif not any(rule.to in prefix for prefix in inside):
            yield Remark(
                path,
                f"{rule.to} is not behind the gateway ({', '.join(sorted(set(map(str, inside))))}); "
                "write the address of a machine that is",
            )


def redirects_differ(config: Config) -> Iterator[Remark]:
    """The second rule for a port is never reached."""
    seen: dict[tuple[str, int], int] = {}
    for index, rule in enumerate(config.nat.destination):
        if rule.protocol is UNKNOWN or rule.port is UNKNOWN:
            continue
        first = seen.setdefault((rule.protocol, rule.port), index)
        if first != index:
            yield Remark(
                ("nat", "destination", index, "port"),
                f"{rule.protocol} port {rule.port} is already taken by nat.destination[{first}] in "
                "{see}; choose another port or remove one of the two",
                see=("nat", "destination", first),
            )


def ports_have_a_protocol(config: Config) -> Iterator[Remark]:
    """Only tcp and udp have ports."""
    for index, rule in enumerate(config.forward.rules):
        if rule.ports and rule.protocol not in ("tcp", "udp"):
            yield Remark(
                ("forward", "rules", index, "ports"),
                f"{rule.protocol or 'a rule without protocol'} has no ports; write protocol: tcp or "
                "protocol: udp",
            )


def sysctls_are_free(config: Config) -> Iterator[Remark]:
    """What the gateway sets itself is not for the file to set."""
    for name in config.sysctl:
        if name in OWN_SYSCTLS or is_fixed(name):
            reason = OWN_SYSCTLS.get(name, "it would not be a safe gateway with another value")
            yield Remark(
                ("sysctl", name),
                f"{name} is the gateway's own to set: {reason}; remove it here",
                on_key=True,
            )


def _sources(config: Config) -> Iterator[tuple[int, SourceNat]]:
    return enumerate(known(lambda: config.nat.source) or ())


NAT_CHECKS = (
    flows_leave_from_the_vip,
    inside_is_inside,
    lan_gets_out,
    port_ranges_suffice,
    redirects_reach_a_machine,
    redirects_differ,
    ports_have_a_protocol,
    sysctls_are_free,
)
