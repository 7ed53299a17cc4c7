"""Would the kernel send a packet from inside to the upstream router? A pure judgement of what it answers."""

from collections.abc import Callable, Iterator, Sequence

from appliance.addresses import Address
from appliance.config.model import Config, Interfaces
from appliance.drivers.passage import Passage, Question
from appliance.planning.wanted import Names
from appliance.rtnetlink import Ruling, WayEntry

Rulings = Callable[[], Sequence[Ruling]]
# One of each half of all addresses, for a full tunnel comes as two routes; no packet is sent to them.
HALVES = (Address("8.8.8.8"), Address("198.41.0.4"))
_TABLES = {254: "main", 255: "local", 253: "default"}
_WHOSE = {2: "the kernel", 3: "boot", 4: "static", 9: "ra", 16: "dhcp", 186: "bgp", 188: "ospf"}


def _destinations(config: Config) -> tuple[Address, ...]:
    """Where to ask the way to: addresses outside, among them those that the file has probed."""
    outside = (*config.wan.probes, *HALVES)
    return tuple(dict.fromkeys(one for one in outside if one not in config.wan.address.network))


def _machine(config: Config) -> Address:
    """An inside address that is nobody's of the pair: a packet from there is asked about."""
    pair = {config.vgw.address.ip, *(node.lan.ip for node in config.nodes.values())}
    return next(one for one in config.vgw.address.network.hosts() if one not in pair)


def question(config: Config, interfaces: Interfaces, names: Names) -> Question:
    """What to ask the kernel."""
    return Question(
        _machine(config),
        _destinations(config),
        interfaces.lan,
        interfaces.wan,
        names.mark,
        names.first_rule,
    )


def stolen(
    config: Config, question: Question, passages: Sequence[Passage], rulings: Rulings
) -> str:
    """Why packets from inside would not leave by the upstream router, in a sentence; empty where they would.

    `rulings` are asked for only where one leads astray. One destination is named: what leads it there leads
    others too.
    """
    for passage in passages:
        if problem := "".join(_astray(config, question, passage, rulings)):
            return problem
    return ""


def _astray(
    config: Config, question: Question, passage: Passage, rulings: Rulings
) -> Iterator[str]:
    way, gateway, wan = passage.way, config.wan.gateway, question.wan
    if way is None:
        yield f"the kernel would drop packets from inside to {passage.destination} ({passage.refused}): "
        ahead = _ahead(rulings(), question)
        yield _told(ahead[0]) if ahead else "`ip rule` and `ip route` show what leads them nowhere"
        return
    if (passage.interface, way.gateway) == (wan, gateway):
        return
    by = f" via {way.gateway}" if way.gateway else ""
    yield f"packets from inside to {passage.destination} would leave by {passage.interface}{by}, "
    yield f"not by {wan} via {gateway}: "
    yield _culprit(way, passage.interface, _ahead(rulings(), question))


def _culprit(way: WayEntry, interface: str, ahead: Sequence[Ruling]) -> str:
    """What leads there, whose it is, and how to take it away."""
    for rule in ahead:
        if rule.table == way.table:
            return _told(rule)
    place = f"{way.destination} dev {interface} table {_table(way.table)}"
    return (
        f"the route {way.destination} of table {_table(way.table)} ({_whose(way.protocol)}) comes before ours; "
        f"`ip route del {place}` takes it away"
    )


def _ahead(rulings: Sequence[Ruling], question: Question) -> list[Ruling]:
    """Other people's rules that count before ours; the kernel's own of priority 0 finds local addresses."""
    return [one for one in rulings if 0 < one.priority < question.first_rule]


def _told(rule: Ruling) -> str:
    return (
        f"the routing rule {rule.priority} to table {_table(rule.table)} ({_whose(rule.protocol)}) comes before "
        f"ours; `ip rule del pref {rule.priority}` takes it away"
    )


def _table(number: int) -> str:
    return _TABLES.get(number, str(number))


def _whose(protocol: int) -> str:
    return f"protocol {_WHOSE.get(protocol, protocol)}"
