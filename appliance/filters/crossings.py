"""What has to pass a node for the pair to serve, and what it looks like where the kernel asks filters. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.addresses import Prefix
from appliance.config.model import Config, ForwardRule, Interfaces
from appliance.filters.packets import (
    CT_ESTABLISHED,
    CT_INVALID,
    CT_UNTRACKED,
    ECHO_REPLY,
    ICMP,
    REDIRECTED,
    TCP,
    UDP,
    VRRP,
    HookPoint,
    Packet,
    packet,
)
from appliance.planning import virtual_macs
from appliance.planning.ruleset import PROTOCOLS
from appliance.planning.virtual_macs import Sides
from appliance.planning.wanted import Names

_LET_OUT = ("icmp", "tcp", "udp")  # what `forward` can name
_LABELS = {ICMP: "ping", TCP: "TCP", UDP: "UDP"}
# IPS_DST_NAT_DONE: the destination of a flow's first packet has been looked at where it is forwarded.
_LOOKED_AT = 0x100


class Passes(StrEnum):
    """What passes, in words for an operator."""

    OUT = "what comes from inside"
    BACK = "the answers to what came from inside"
    OPENED = "what comes for a port that is opened"
    ADVERTS_IN = "the peer's VRRP adverts"
    ADVERTS_OUT = "this node's VRRP adverts"
    SYNC_IN = "what the peer says on the sync link"
    SYNC_OUT = "what this node says on the sync link"


@dataclass(frozen=True)
class Crossing:
    """Something that has to pass: the packet as it is at each place, in their order.

    `of`: which of its kind, where there are several. `vital`: without it a MASTER is of no use to the machines behind.
    """

    passes: Passes
    stations: tuple[tuple[HookPoint, Packet], ...]
    of: str = ""
    vital: bool = False


@dataclass(frozen=True)
class Subject:
    """Whose traffic it is: a node by its file, with its interfaces and what is called ours on it."""

    config: Config
    node: str
    interfaces: Interfaces
    names: Names


def crossings(what: Subject) -> tuple[Crossing, ...]:
    """All that has to pass a node."""
    config, mark = what.config, what.names.mark
    sides = virtual_macs.sides(config, what.interfaces, what.names)
    return (
        *_forwarded(config, sides, mark),
        *_opened(config, sides, mark),
        *_between_nodes(config, what.node, sides),
    )


def let_out(config: Config) -> tuple[int, ...]:
    """The protocols of which the file lets something out."""
    return tuple(PROTOCOLS[name] for name in _LET_OUT if _lets_out(config, name))


def _lets_out(config: Config, protocol: str) -> bool:
    for rule in config.forward.rules:
        if rule.protocol in (None, protocol):
            if rule.action == "accept":
                return True
            if _takes_all(rule):
                return False
    return config.forward.policy == "accept"


def _takes_all(rule: ForwardRule) -> bool:
    return not (rule.from_ or rule.to or rule.ports)


def _forwarded(config: Config, sides: Sides, mark: int) -> Iterator[Crossing]:
    """What comes from inside, and the answers to it, for each protocol.

    Packets come in by the interface that bears a virtual MAC, where there is one, and go out by the network's own.
    """
    inside = _inside(config)
    outside = Prefix(config.wan.address.ip)
    numbers = let_out(config)
    for number in numbers:
        vital = number != ICMP or numbers == (ICMP,)
        sent = packet(number, source=inside).going(sides.lan[-1], None)
        outgoing = _through(sent, sent, sides.wan[0], mark, _LOOKED_AT)
        yield Crossing(Passes.OUT, outgoing, _LABELS[number], vital)
        answer = replace(packet(number, echo=ECHO_REPLY), state=CT_ESTABLISHED).going(
            sides.wan[-1], None
        )
        arrives, goes_on = _to(answer, outside), _to(answer, inside)
        back = _through(arrives, goes_on, sides.lan[0], mark, None)
        yield Crossing(Passes.BACK, back, _LABELS[number], vital)


def _inside(config: Config) -> Prefix:
    """A network whose machines are translated: the LAN, where it is."""
    networks = [rule.from_ for rule in config.nat.source]
    lan = config.vgw.address.network
    return next((lan for one in networks if lan.subnet_of(one)), networks[0])


def _opened(config: Config, sides: Sides, mark: int) -> Iterator[Crossing]:
    outside = Prefix(config.wan.address.ip)
    for rule in config.nat.destination:
        number = PROTOCOLS[rule.protocol]
        asked = packet(number, destination=outside, port=rule.port).going(sides.wan[-1], None)
        led = packet(number, destination=Prefix(rule.to), port=rule.to_port)
        leaves = sides.lan[0]
        way = _through(asked, led.going(asked.enters, None), leaves, mark, _LOOKED_AT | REDIRECTED)
        yield Crossing(Passes.OPENED, way, f"{_LABELS[number]} {rule.port}")


def _through(
    arrives: Packet, goes_on: Packet, leaves: str | None, mark: int, status: int | None
) -> tuple[tuple[HookPoint, Packet], ...]:
    """The places of what is forwarded: before and after our ruleset, which may give it another end, has seen it."""
    crossing = replace(goes_on, leaves=leaves, status=status)
    return (
        (HookPoint.INGRESS, replace(arrives, state=CT_INVALID)),
        (HookPoint.PREROUTING, replace(arrives, mark=mark)),
        (HookPoint.FORWARD, crossing),
        (HookPoint.POSTROUTING, crossing),
        (HookPoint.EGRESS, crossing.from_anywhere()),
    )


def _between_nodes(config: Config, node: str, sides: Sides) -> Iterator[Crossing]:
    own, peer = config.nodes[node], config.nodes[config.peer_of(node)]
    (lan, *_), (sync,) = sides.lan, sides.sync
    adverts = packet(VRRP, source=Prefix(peer.lan.ip))
    yield Crossing(Passes.ADVERTS_IN, _into(adverts.going(lan, None)))
    adverts = packet(VRRP, source=Prefix(own.lan.ip))
    yield Crossing(Passes.ADVERTS_OUT, _out_of(adverts.going(None, lan)))
    port, there, here = config.sync.port, Prefix(peer.sync.ip), Prefix(own.sync.ip)
    said = packet(UDP, there, here, port)
    yield Crossing(Passes.SYNC_IN, _into(said.going(sync, None)))
    said = packet(UDP, here, there, port)
    yield Crossing(Passes.SYNC_OUT, _out_of(said.going(None, sync)))


def _into(sent: Packet) -> tuple[tuple[HookPoint, Packet], ...]:
    untracked = replace(sent, state=CT_UNTRACKED, status=0)
    return (
        (HookPoint.INGRESS, replace(sent, state=CT_INVALID)),
        (HookPoint.PREROUTING, untracked),
        (HookPoint.INPUT, untracked),
    )


def _out_of(sent: Packet) -> tuple[tuple[HookPoint, Packet], ...]:
    untracked = replace(sent, state=CT_UNTRACKED, status=0)
    return tuple(
        (place, untracked) for place in (HookPoint.OUTPUT, HookPoint.POSTROUTING, HookPoint.EGRESS)
    )


def _to(one: Packet, destination: Prefix) -> Packet:
    return replace(one, network=(*one.network[:16], *packet(0, None, destination).network[16:]))
