"""The firewall by nftables: the neutral ruleset as one table of ours, replaced whole (nft(8))."""

import hashlib
import json
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

from appliance import CommandFailed, MissingKernelFeature, system
from appliance.planning.ruleset import (
    Accept,
    Action,
    Admit,
    Chain,
    ChainKind,
    ClampMss,
    Dnat,
    Drop,
    Hook,
    Mark,
    Match,
    NoTrack,
    Rule,
    Ruleset,
    Snat,
)
from appliance.planning.wanted import Change

TABLE = "inet vgw"
# Type and priority of a base chain (nft(8), "CHAINS"); the guard comes after source NAT at 100.
_PLACE = {
    (ChainKind.RAW, Hook.PREROUTING): ("filter", "raw"),
    (ChainKind.RAW, Hook.OUTPUT): ("filter", "raw"),
    (ChainKind.FILTER, Hook.INPUT): ("filter", "filter"),
    (ChainKind.FILTER, Hook.FORWARD): ("filter", "filter"),
    (ChainKind.NAT, Hook.PREROUTING): ("nat", "dstnat"),
    (ChainKind.NAT, Hook.POSTROUTING): ("nat", "srcnat"),
    (ChainKind.GUARD, Hook.POSTROUTING): ("nat", "srcnat + 10"),
}
# By number, for nft looks names up in /etc/protocols, which a small machine may lack (IANA's list).
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "vrrp": 112}
# Of such a prefix nft loads three bytes; the kernel has a short way for one, two and four (nft_payload_fast_eval).
_THREE_BYTES = 24
# VRRP's first byte is version and type; 1, an advert, is the only type (RFC 3768, 5.3; RFC 9568, 5.2).
_ADVERT = 1
_UNSUPPORTED = ("Operation not supported", "Protocol not supported", "Unable to initialize Netlink")


def text(ruleset: Ruleset) -> str:
    """The ruleset as an nft script that puts our table in place of the former one, in one stroke."""
    lines = [f"table {TABLE}", f"delete table {TABLE}", f"table {TABLE} {{"]
    for chain in ruleset.chains:
        lines += [f"\t{line}".rstrip() for line in _chain(chain)]
    return "\n".join([*lines, "}", ""])


def _chain(chain: Chain) -> list[str]:
    kind, priority = _PLACE[chain.kind, chain.hook]
    policy = "drop" if chain.drop_rest else "accept"
    return [
        f"chain {chain.name} {{",
        f"\ttype {kind} hook {chain.hook} priority {priority}; policy {policy};",
        *(f"\t{_rule(rule)}" for rule in chain.rules),
        "}",
    ]


def _rule(rule: Rule) -> str:
    words = [*_match(rule.match), "counter" if rule.count else "", _action(rule.action)]
    if rule.why:
        words.append(f'comment "{rule.why}"')
    return " ".join(word for word in words if word)


def _match(match: Match) -> list[str]:
    words = [*_way(match), *_protocol(match), *_headers(match)]
    if match.no_return_route:
        words.append("meta nfproto ipv4 fib saddr . mark . iif oif missing")
    if match.ct_state:
        words.append(f"ct state {','.join(match.ct_state)}")
    if match.ct_redirected:
        words.append("ct status dnat")
    if match.ct_translated:
        words.append("ct status snat,dnat")
    if match.per_second:
        words.append(f"limit rate {match.per_second}/second burst {match.per_second} packets")
    return words


def _protocol(match: Match) -> list[str]:
    words = []
    if match.protocol and match.ports:
        words.append(f"{match.protocol} dport {_one_of([_span(p) for p in match.ports])}")
    elif match.protocol:
        words.append(f"meta l4proto {_PROTOCOLS[match.protocol]}")
    if match.protocol_not:
        words.append(f"meta l4proto != {_PROTOCOLS[match.protocol_not]}")
    return words


def _headers(match: Match) -> list[str]:
    """What stands in the headers of IP and of the protocol above it."""
    words = []
    if match.ttl is not None:
        words.append(f"ip ttl {match.ttl}")
    if match.vrrp_version is not None:
        words.append(f"@th,0,8 {match.vrrp_version << 4 | _ADVERT:#x}")
    if match.icmp_type:
        words.append(f"icmp type {match.icmp_type}")
    if match.icmp_code_not is not None:
        words.append(f"icmp code != {match.icmp_code_not}")
    return words


def _way(match: Match) -> list[str]:
    """From where to where; an interface last, for the kernel copies its name each time it is asked for."""
    words = _networks("saddr", "", match.source) + _networks("saddr", "!= ", match.source_not)
    words += _networks("daddr", "", match.destination)
    words += _networks("daddr", "!= ", match.destination_not)
    if match.in_interface:
        words.append(f"iifname {_one_of(_names(match.in_interface))}")
    if match.out_interface:
        words.append(f"oifname {_one_of(_names(match.out_interface))}")
    return words


def _networks(field: str, negation: str, networks: Sequence[IPv4Network]) -> list[str]:
    if not networks:
        return []
    if len(networks) == 1 and networks[0].prefixlen == _THREE_BYTES:
        mask, address = networks[0].netmask, networks[0].network_address
        return [f"ip {field} & {mask} {negation or '== '}{address}"]
    names = [str(n.network_address) if n.prefixlen == 32 else str(n) for n in networks]
    return [f"ip {field} {negation}{_one_of(names)}"]


def _names(interfaces: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in interfaces]


def _one_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "{ " + ", ".join(names) + " }"


def _span(ports: tuple[int, int]) -> str:
    low, high = ports
    return str(low) if low == high else f"{low}-{high}"


def _action(action: Action) -> str:
    match action:
        case Accept():
            return "accept"
        case Drop():
            return "drop"
        case NoTrack():
            return "notrack"
        case Mark(bit):
            return f"meta mark set meta mark or {bit:#x}"
        case Admit(bit):
            return f"{_action(Mark(bit))} accept"
        case ClampMss():
            return "tcp flags syn / syn,rst tcp option maxseg size set rt mtu"
        case Snat(to, ports):
            ports_bind = "meta l4proto { 6, 17 } " if ports else ""
            return f"{ports_bind}snat ip to {to}" + (f":{_span(ports)}" if ports else "")
        case Dnat(table):
            rows = ", ".join(
                f"{_PROTOCOLS[protocol]} . {port} : {to} . {to_port}"
                for protocol, port, to, to_port in table
            )
            return f"dnat ip to meta l4proto . th dport map {{ {rows} }}"


def diff(wanted: Ruleset | None, memory: Path) -> tuple[Change, ...]:
    """What stands between our table and the wanted one. Reads only.

    nft prints a table in words of its own, which change with its version; so the text that was
    loaded and what the kernel then listed are remembered in the file `memory`, as digests. Without
    that file the table is loaded again: a replacement costs no connection.
    """
    actual = listing()
    if wanted is None:
        return () if actual is None else (Change("-", f"table {TABLE}"),)
    script = text(wanted)
    if actual is None:
        return (Change("+", f"table {TABLE}", script),)
    try:
        remembered = json.loads(system.read(memory) or "{}")
    except ValueError:
        remembered = {}
    if remembered == {"loaded": _digest(script), "listed": _digest(actual)}:
        return ()
    return (Change("~", f"table {TABLE}", script),)


def apply(changes: Sequence[Change], memory: Path) -> None:
    """Load or remove our table whole. Raises MissingKernelFeature and CommandFailed."""
    for change in changes:
        if change.payload is None:
            _nft(["nft", "-f", "-"], f"table {TABLE}\ndelete table {TABLE}\n")
            system.remove(memory)
            continue
        _nft(["nft", "-f", "-"], change.payload)
        digests = {"loaded": _digest(change.payload), "listed": _digest(listing() or "")}
        system.replace(memory, json.dumps(digests))


def listing() -> str | None:
    """Our table as nft lists it, without counters' values; None where there is none."""
    result = system.attempt(["nft", "--stateless", "list", "table", *TABLE.split()])
    if result.returncode == 0:
        return result.stdout
    if "No such file or directory" in result.stderr:
        return None
    raise _explained(result.output)


def counters() -> dict[str, tuple[int, int]]:
    """Packets and bytes of each counting rule of ours, by its comment; same comments are added up."""
    result = system.attempt(["nft", "--json", "list", "table", *TABLE.split()])
    totals: dict[str, tuple[int, int]] = {}
    if result.returncode != 0:
        return totals
    for item in json.loads(result.stdout).get("nftables", ()):
        rule = item.get("rule", {})
        for part in rule.get("expr", ()):
            if "counter" in part:
                name = f"{rule['chain']}: {rule.get('comment', '')}"
                packets, octets = totals.get(name, (0, 0))
                count = part["counter"]
                totals[name] = (packets + count["packets"], octets + count["bytes"])
    return totals


def _nft(argv: Sequence[str], script: str) -> None:
    result = system.attempt(argv, script)
    if result.returncode != 0:
        raise _explained(result.output)


def _explained(output: str) -> CommandFailed | MissingKernelFeature:
    if any(phrase in output for phrase in _UNSUPPORTED):
        return MissingKernelFeature(
            f"nft: {output}: this kernel has no nf_tables, or not for us; "
            "load it on the host with `modprobe nf_tables nf_nat nft_chain_nat nft_fib_inet`"
        )
    return CommandFailed(f"nft refused our table: {output}")


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()
