"""The faults that a drill can inject, in a table for each kind of thing that breaks, and their bars."""

from typing import Literal

from appliance import ApplianceError
from appliance.config.profiles import PROFILES
from vgw_lab.faults import links, load, node, processes, replication
from vgw_lab.faults.fault import Fault
from vgw_lab.worlds.running import Lab

# How long a takeover after a silent fault may take, in seconds: three adverts, skew, and scheduling.
SILENCE_BARS = {"standard": 0.40, "fast": 0.15, "hot": 0.15, "classic": 3.7}
# A release is announced, so only the skew is waited for; half as much again for scheduling.
RELEASE_FACTOR = 1.5
# With virtual MACs nobody waits for VRRP where the MASTER's ports go down: the bridges tell the standby.
# A killed container's ports stay up until the kernel has taken its network apart.
VIRTUAL_MAC_BAR, VIRTUAL_MAC_BAR_IN_CONTAINERS = 0.040, 0.080

FAULTS: dict[str, Fault] = {
    one.name: one
    for one in (*node.FAULTS, *links.FAULTS, *processes.FAULTS, *replication.FAULTS, *load.FAULTS)
}


def fault(name: str) -> Fault:
    """The fault of that name. Raises ApplianceError, with the names there are."""
    if name not in FAULTS:
        raise ApplianceError(f"{name}: no such drill; there are {', '.join(FAULTS)}")
    return FAULTS[name]


def chosen(lab: Lab, name: str) -> list[Fault]:
    """The fault of that name, or with `all` all that the lab can have.

    Raises ApplianceError when there is none of that name, or the lab cannot have it.
    """
    if name == "all":
        return [one for one in FAULTS.values() if one.lacks(lab) is None]
    one = fault(name)
    if reason := one.lacks(lab):
        raise ApplianceError(f"{name}: lab '{lab.name}' cannot have this drill: {reason}")
    return [one]


def left_out(lab: Lab) -> dict[str, str]:
    """Why the lab cannot have the faults that it cannot have, by their names."""
    reasons = {one.name: one.lacks(lab) for one in FAULTS.values()}
    return {name: reason for name, reason in reasons.items() if reason}


def bar(lab: Lab, fault: Fault, standby: str) -> float:
    """The longest gap in seconds that is allowed, if not by the fault then by the lab's profile."""
    if fault.gap is not None:
        return fault.gap
    if lab.topology.vgw.virtual_mac and fault.unplugs:
        return VIRTUAL_MAC_BAR_IN_CONTAINERS if lab.engine == "containers" else VIRTUAL_MAC_BAR
    if fault.kind == "announced":
        return RELEASE_FACTOR * lab.topology.skew_time(standby)
    profile = lab.topology.vgw.profile
    if lab.topology.vgw.advert_interval == PROFILES[profile]["advert_interval"]:
        return SILENCE_BARS[profile]
    # A file of one's own may set another interval: a tenth more than the formula.
    return 1.1 * lab.topology.master_down_interval(standby)


def prediction(lab: Lab, kind: Literal["silent", "announced"], standby: str) -> float:
    """What VRRP's own formula says that the takeover by `standby` takes, in seconds."""
    if kind == "announced":
        return lab.topology.skew_time(standby)
    return lab.topology.master_down_interval(standby)
