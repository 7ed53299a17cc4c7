"""Do the frames of the virtual MACs come through to a node that stands by? A pure judgement of what was heard."""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.planning import virtual_macs

# Seconds in which five frames should have come in by each interface.
MAC_PATIENCE = 5.0 * virtual_macs.REFRESH


@dataclass(frozen=True)
class MacHeard:
    """When the last frame of a virtual MAC came in by an interface; None if there never was one."""

    interface: str
    mac: str
    last: float | None


def unheard(macs: Iterable[MacHeard], since: float | None, now: float) -> str:
    """What an operator must know, or nothing; `since`: since when frames should come, None where none should."""
    if since is None:
        return ""
    waits = ((one, now - max(since, one.last or 0.0)) for one in macs)
    return "; ".join(_sentence(one, waited) for one, waited in waits if waited > MAC_PATIENCE)


def _sentence(one: MacHeard, waited: float) -> str:
    return (
        f"no frame of the virtual MAC {one.mac} has come in by {one.interface} for "
        f"{waited:.0f} s: a network that drops such frames cuts off the VGW, and one that keeps them "
        "from this node makes a takeover wait for VRRP; let the switch or hypervisor pass them (port "
        "security, forged transmits, promiscuous ports), or write virtual_mac: false"
    )
