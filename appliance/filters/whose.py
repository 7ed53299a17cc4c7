"""Whose a filter is that drops what has to pass, and the command that mends it, as a sentence. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from appliance.filters.crossings import Crossing, Passes
from appliance.filters.hindrances import ForeignChain, Hindrance
from appliance.filters.packets import HookPoint, Octets

_WHO_KNOWS = (
    "`nft list ruleset`, `iptables-legacy-save`, `tc filter show`, `ip xfrm policy` and "
    "`nstat -az TcpExtIPReversePathFilter` may tell what drops it"
)
_STRANGER = "a filter of another program"
# Who is known by how the chains of a table, or the table itself, begin.
_BY_CHAIN = {"ufw-": "ufw", "DOCKER": "Docker", "FORWARD_direct": "firewalld"}
_BY_TABLE = {"firewalld": "firewalld", "docker": "Docker"}
# The tables that iptables makes, by either firewall.
_IPTABLES = frozenset({"filter", "mangle", "raw", "security"})
_DOCKERS_DOOR = "DOCKER-USER"
_WITH_WAY_IN = frozenset(
    {HookPoint.INGRESS, HookPoint.PREROUTING, HookPoint.INPUT, HookPoint.FORWARD}
)
_WITH_WAY_OUT = frozenset(
    {HookPoint.FORWARD, HookPoint.OUTPUT, HookPoint.POSTROUTING, HookPoint.EGRESS}
)
# Where a filter can ask for what connection tracking knows, and for both interfaces.
_LATE = frozenset({HookPoint.FORWARD, HookPoint.POSTROUTING})


class Opening(NamedTuple):
    """What names a kind of packet, besides its interfaces: to iptables, to nft; and the whole command of ufw."""

    iptables: str = ""
    nft: str = ""
    ufw: str = ""


_ROUTED = "ufw route allow in on {enters} out on {leaves}"
_PORTS = Opening("-p udp --dport {port}:{next}", "udp dport {port}-{next}")
_ADVERTS = Opening("-p 112", "ip protocol 112")
_KNOWN_FLOWS = Opening("-m conntrack --ctstate RELATED,ESTABLISHED", "ct state established,related")
_REDIRECTED = Opening("-m conntrack --ctstate DNAT", "ct status dnat", _ROUTED)
_OPENINGS = {
    Passes.OUT: Opening(ufw=_ROUTED),
    Passes.BACK: _KNOWN_FLOWS,
    Passes.OPENED: _REDIRECTED,
    Passes.ADVERTS_IN: _ADVERTS._replace(ufw="ufw allow in on {enters} proto vrrp from {source}"),
    Passes.ADVERTS_OUT: _ADVERTS._replace(ufw="ufw allow out on {leaves} proto vrrp from {source}"),
    Passes.SYNC_IN: _PORTS._replace(
        ufw="ufw allow in on {enters} proto udp from {source} to any port {port}:{next}"
    ),
    Passes.SYNC_OUT: _PORTS._replace(
        ufw="ufw allow out on {leaves} proto udp to {destination} port {port}:{next}"
    ),
}


class Complaint(NamedTuple):
    """What a chain of somebody else's drops, and what lets it pass, as a sentence. `vital`: no MASTER can do without it."""

    sentence: str
    vital: bool


def complaints(found: Sequence[Hindrance], crossings: Sequence[Crossing]) -> tuple[Complaint, ...]:
    """One for each chain that surely drops something."""
    sure = [one for one in found if one.surely]
    chains = dict.fromkeys(one.chain for one in sure)
    return tuple(
        _complaint([one for one in sure if one.chain == chain], crossings) for chain in chains
    )


def _complaint(found: Sequence[Hindrance], crossings: Sequence[Crossing]) -> Complaint:
    chain = found[0].chain
    *others, last = _what(found, crossings)
    what = f"{', '.join(others)} and {last}" if others else last
    mends = "; ".join(dict.fromkeys(_mend(one) for one in found))
    sentence = f"{whose(chain)} drops {what} ({place(chain)}): `{mends}` lets it pass"
    return Complaint(_printable(sentence), any(one.crossing.vital for one in found))


def _printable(words: str) -> str:
    """Whoever names a chain may use any octet."""
    return "".join(one if one.isprintable() else "?" for one in words)


def unexplained(found: Iterable[Hindrance]) -> str:
    """That nothing leaves although no filter is sure to drop it; with those that may, where there are any."""
    may = (one.chain for one in found if one.crossing.passes in (Passes.OUT, Passes.BACK))
    chains = [f"{whose(chain)} ({place(chain)})" for chain in dict.fromkeys(may)]
    who = f"it may be {', or '.join(chains)}" if chains else _WHO_KNOWS
    return _printable(f"what comes from inside is let in, and does not leave: {who}")


def whose(chain: ForeignChain) -> str:
    """Which program's a chain is, as far as names tell."""
    owners = [
        *(owner for begin, owner in _BY_TABLE.items() if chain.table.startswith(begin)),
        *(
            owner
            for begin, owner in _BY_CHAIN.items()
            if any(name.startswith(begin) for name in chain.beside)
        ),
    ]
    return owners[0] if owners else _STRANGER


def place(chain: ForeignChain) -> str:
    """Where a chain is found."""
    if chain.family == "legacy":
        return f"chain {chain.name} of iptables-legacy's table {chain.table}"
    return f"chain {chain.name} of table {chain.family} {chain.table}"


def _what(found: Sequence[Hindrance], crossings: Sequence[Crossing]) -> Iterator[str]:
    """What is dropped; of which kinds, where it is not all."""
    for passes in dict.fromkeys(one.crossing.passes for one in found):
        dropped = dict.fromkeys(one.crossing.of for one in found if one.crossing.passes is passes)
        everything = {one.of for one in crossings if one.passes is passes}
        of = f" ({', '.join(dropped)})" if dropped.keys() != everything else ""
        yield f"{passes}{of}"


def _mend(found: Hindrance) -> str:
    """The command that lets it pass."""
    chain, words, fields = found.chain, _OPENINGS[found.crossing.passes], _fields(found)
    owner = whose(chain)
    if owner == "ufw" and words.ufw and "None" not in (line := words.ufw.format(**fields)):
        return line
    if owner == "firewalld" and fields["enters"]:
        zone = "firewall-cmd --permanent --zone=trusted --change-interface={enters}"
        return f"{zone.format(**fields)}; firewall-cmd --reload"
    if chain.family == "legacy" or (chain.family == "ip" and chain.table in _IPTABLES):
        return _by_iptables(found, words, fields)
    return _by_nft(found, words, fields)


def _by_iptables(found: Hindrance, words: Opening, fields: dict[str, object]) -> str:
    chain, to = found.chain, found.chain.name
    if chain.place is HookPoint.FORWARD and _DOCKERS_DOOR in chain.beside:
        to = _DOCKERS_DOOR
    program = "iptables-legacy" if chain.family == "legacy" else "iptables-nft"
    table = "" if chain.table == "filter" else f" -t {chain.table}"
    asked = [*_interfaces(found, "-i", "-o"), _more(found, words.iptables, fields)]
    return " ".join(filter(None, [f"{program}{table} -I {to}", *asked, "-j ACCEPT"]))


def _by_nft(found: Hindrance, words: Opening, fields: dict[str, object]) -> str:
    chain = found.chain
    asked = [*_interfaces(found, "iifname", "oifname"), _more(found, words.nft, fields)]
    insert = f"nft insert rule {chain.family} {chain.table} {chain.name}"
    return " ".join(filter(None, [insert, *asked, "accept"]))


def _interfaces(found: Hindrance, way_in: str, way_out: str) -> Iterator[str]:
    enters, leaves, where = found.packet.enters, found.packet.leaves, found.chain.place
    if enters and where in _WITH_WAY_IN:
        yield f"{way_in} {enters}"
    if leaves and where in _WITH_WAY_OUT:
        yield f"{way_out} {leaves}"


def _more(found: Hindrance, words: str, fields: dict[str, object]) -> str:
    """What else names the packet, where the chain can ask for it."""
    tracked = found.crossing.passes in (Passes.BACK, Passes.OPENED)
    return "" if tracked and found.chain.place not in _LATE else words.format(**fields)


def _fields(found: Hindrance) -> dict[str, object]:
    packet = found.packet
    high, low = packet.transport[2:4]
    port = 0 if high is None or low is None else high << 8 | low
    return {
        "enters": packet.enters,
        "leaves": packet.leaves,
        "source": _address(packet.network[12:16]),
        "destination": _address(packet.network[16:20]),
        "port": port,
        "next": port + 1,
    }


def _address(octets: Octets) -> str:
    return ".".join("0" if one is None else str(one) for one in octets)
