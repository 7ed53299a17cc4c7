"""Faults of a link: a cable, the way out, VRRP's adverts, and a LAN that falls in two."""

import time

from vgw_lab.faults.fault import Fault
from vgw_lab.faults.orders import cable, lasting, lose, lose_nothing, lose_nothing_at_all
from vgw_lab.measures import checks
from vgw_lab.measures.checks import Findings
from vgw_lab.worlds.running import Lab
from vgw_lab.worlds.topology import INTERNET

_FLAPS, _FLAPPING_SECONDS = 10, 5.0
_PROBE_SECONDS = 3.0
_LASTING_SECONDS = 5.0
_GONE_SECONDS = 2.0
_TOLD_SECONDS = 15.0
_TWO_ALONE = "who hears no adverts takes over, and the other goes on: VRRP alone decides the role"
_TWO_COMPARE = "two are MASTER until their agents have compared for how long the LAN was silent"
_ADVERTS = "ip protocol 112"


def _flap(lab: Lab, node: str) -> None:
    half = _FLAPPING_SECONDS / _FLAPS / 2
    for number in range(2 * _FLAPS):
        lab.cable(node, "lan", "up" if number % 2 else "down")
        time.sleep(half)


def _black_hole(lab: Lab, node: str) -> None:
    lose(lab, node, "wan", way="egress")
    lose(lab, node, "wan")


def _cut_internet(lab: Lab, node: str) -> None:
    lose(lab, INTERNET, "wan")


def _way_out_told(lab: Lab, node: str, found: Findings) -> None:
    for spec in lab.topology.gateways:
        found.within(
            _TOLD_SECONDS,
            f"{spec.name} tells that the way out is dead",
            lambda name=spec.name: checks.tells(lab, name, lambda pair: pair.uplink is False),  # type: ignore[misc]
        )
    found.require(len(lab.holders()) == 1, f"held by {lab.holders()}: one node must go on")


def _deafen_standby(lab: Lab, node: str) -> None:
    lose(lab, lab.other(node), "lan", _ADVERTS)


def _deafen_both(lab: Lab, node: str) -> None:
    for spec in lab.topology.gateways:
        lose(lab, spec.name, "lan", _ADVERTS)


def _part(lab: Lab, node: str) -> None:
    """The node alone on one side of the LAN, everybody else on the other; its carrier stays up."""
    lab.part(node, "lan", parted=True)


def _join(lab: Lab, node: str) -> None:
    if lab.node(node).on:
        lab.part(node, "lan", parted=False)


def _take_away(lab: Lab, node: str) -> None:
    lab.wire(node, "lan", there=False)


def _make_anew(lab: Lab, node: str) -> None:
    if lab.node(node).on:
        lab.wire(node, "lan", there=True)


def _bridges_elsewhere(lab: Lab) -> str | None:
    return None if lab.bridged else "its bridges are the engine's own, and may be on another host"


FAULTS = (
    Fault(
        "lan-down",
        "its LAN cable is pulled",
        "silent",
        cable("lan", "down"),
        cable("lan", "up"),
        (8,),
    ),
    Fault(
        "lan-anew",
        "its LAN interface is deleted, and made anew under its old name",
        "silent",
        _take_away,
        _make_anew,
        (8,),
        during=lasting(_GONE_SECONDS),
        lacks=_bridges_elsewhere,
    ),
    Fault(
        "lan-flaps",
        f"its LAN cable goes down and up {_FLAPS} times in {_FLAPPING_SECONDS:g} s",
        "silent",
        _flap,
        cable("lan", "up"),
        (9,),
        moves=None,
    ),
    Fault(
        "wan-down",
        "its WAN cable is pulled",
        "announced",
        cable("wan", "down"),
        cable("wan", "up"),
        (10,),
    ),
    Fault(
        "wan-black-hole",
        "its WAN loses all packets, and the carrier stays",
        "announced",
        _black_hole,
        lose_nothing,
        (11,),
        gap=_PROBE_SECONDS,
    ),
    Fault(
        "internet-dead",
        "the internet answers neither node",
        "silent",
        _cut_internet,
        lose_nothing_at_all,
        (12,),
        moves=False,
        cuts=True,
        turns=0,
        during=_way_out_told,
    ),
    Fault(
        "adverts-one-way",
        "the standby hears none of its adverts",
        "silent",
        _deafen_standby,
        lose_nothing_at_all,
        (13,),
        moves=None,
        flows=0.1,
        during=lasting(_LASTING_SECONDS),
        known={"two": _TWO_ALONE, "held": _TWO_ALONE},
    ),
    Fault(
        "adverts-lost",
        "neither node hears the other's adverts",
        "silent",
        _deafen_both,
        lose_nothing_at_all,
        (14,),
        moves=None,
        flows=0.1,
        during=lasting(_LASTING_SECONDS),
        known={"two": _TWO_ALONE, "held": _TWO_ALONE},
    ),
    Fault(
        "lan-partition",
        "it is alone on its side of the LAN, and the carrier stays",
        "silent",
        _part,
        _join,
        (15, 16),
        flows=0.1,
        during=lasting(_LASTING_SECONDS),
        lacks=_bridges_elsewhere,
        known={"two": _TWO_COMPARE, "held": _TWO_COMPARE},
    ),
)
