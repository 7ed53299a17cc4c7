"""The faults that a drill can inject into a gateway, how each is put right, and what it may cost."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from appliance import ApplianceError, CommandFailed
from appliance.lab.running import Lab
from appliance.model import PROFILES, Failback

_SUPERVISOR = "unix:///run/vgw/supervisor.sock"
# How long a takeover after a silent fault may take, in seconds: three adverts, skew, and scheduling.
SILENCE_BARS = {"standard": 0.40, "fast": 0.15, "hot": 0.40, "classic": 3.7}
# A release is announced, so only the skew is waited for; half as much again for scheduling.
RELEASE_FACTOR = 1.5
SWITCHOVER = "switchover"
# With virtual MACs nobody waits for VRRP where the MASTER's ports go down: the bridges tell the standby.
VIRTUAL_MAC_BAR = 0.040


@dataclass(frozen=True)
class Fault:
    """One way to fail.

    `announced`: the node can still say that it leaves; `moves`: the standby has to take over;
    `unplugs`: all of the node's ports go down with it.
    """

    name: str
    what: str
    kind: Literal["silent", "announced"]
    inject: Callable[[Lab, str], None]
    mend: Callable[[Lab, str], None]
    moves: bool = True
    unplugs: bool = False


def _power_off(lab: Lab, node: str) -> None:
    lab.node(node).stop()


def _power_on(lab: Lab, node: str) -> None:
    lab.node(node).start()


def _crash(lab: Lab, node: str) -> None:
    lab.node(node).crash()


def _shut_down(lab: Lab, node: str) -> None:
    lab.node(node).shut_down()


def _supervisor(verb: str) -> Callable[[Lab, str], None]:
    def order(lab: Lab, node: str) -> None:
        done = lab.node(node).run(["supervisorctl", "-s", _SUPERVISOR, verb, "keepalived"])
        if "already started" in done.output:
            return
        # It ends with 0 even when it did nothing, such as for a program it does not know.
        if "ERROR" in done.output or done.returncode != 0:
            raise CommandFailed(f"{node}: supervisorctl {verb} keepalived: {done.output}")

    return order


def _cable(bridge: str, state: Literal["down", "up"]) -> Callable[[Lab, str], None]:
    def order(lab: Lab, node: str) -> None:
        lab.cable(node, bridge, state)

    return order


def _kill_keepalived(lab: Lab, node: str) -> None:
    lab.node(node).kill("keepalived")


def _hand_over(lab: Lab, node: str) -> None:
    done = lab.node(node).run(["vgw", "switchover"])
    if done.returncode != 0:
        raise CommandFailed(f"{node}: vgw switchover: {done.output}")


def _take_back(lab: Lab, node: str) -> None:
    if node not in lab.holders():
        _hand_over(lab, lab.other(node))


def _nothing(lab: Lab, node: str) -> None:
    """The node mends itself."""


_ALL = (
    Fault("power-off", "the node's power is cut", "silent", _power_off, _power_on, unplugs=True),
    Fault("clean-stop", "the node is told to stop", "announced", _shut_down, _power_on),
    Fault(
        "stop-keepalived",
        "keepalived is stopped",
        "announced",
        _supervisor("stop"),
        _supervisor("start"),
    ),
    Fault(
        "lan-down", "the LAN cable is pulled", "silent", _cable("lan", "down"), _cable("lan", "up")
    ),
    Fault(
        "wan-down",
        "the WAN cable is pulled",
        "announced",
        _cable("wan", "down"),
        _cable("wan", "up"),
    ),
    # supervisord starts it again at once, perhaps before the BACKUP misses anything.
    Fault("kill-keepalived", "keepalived is killed", "silent", _kill_keepalived, _nothing, False),
    Fault("kill-all", "all its processes are killed", "silent", _crash, _power_on),
    Fault(SWITCHOVER, "the VGW is handed over", "announced", _hand_over, _take_back),
)
FAULTS = {one.name: one for one in _ALL}


def fault(name: str) -> Fault:
    """The fault of that name. Raises ApplianceError, with the names there are."""
    if name not in FAULTS:
        raise ApplianceError(f"{name}: no such drill; there are {', '.join(FAULTS)}")
    return FAULTS[name]


def apply_to(lab: Lab) -> list[Fault]:
    """All faults that the lab can have: where the VGW comes back by itself, none can be handed over."""
    plain = lab.topology.failback == Failback.PLAIN
    return [one for one in _ALL if not (plain and one.name == SWITCHOVER)]


def bar(lab: Lab, fault: Fault, standby: str) -> float:
    """The longest gap in seconds that the lab's profile allows when `standby` takes over."""
    if lab.topology.virtual_mac and fault.unplugs:
        return VIRTUAL_MAC_BAR
    if fault.kind == "announced":
        return RELEASE_FACTOR * lab.topology.skew_time(standby)
    profile = lab.topology.profile
    if lab.topology.advert_interval == PROFILES[profile]["advert_interval"]:
        return SILENCE_BARS[profile]
    # A file of one's own may set another interval: a tenth more than the formula.
    return 1.1 * lab.topology.master_down_interval(standby)


def prediction(lab: Lab, kind: Literal["silent", "announced"], standby: str) -> float:
    """What VRRP's own formula says that the takeover by `standby` takes, in seconds."""
    if kind == "announced":
        return lab.topology.skew_time(standby)
    return lab.topology.master_down_interval(standby)
