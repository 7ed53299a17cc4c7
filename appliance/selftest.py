"""Whether this network carries frames of the virtual MACs: the standby listens for the MASTER's."""

from appliance import virtual
from appliance.drivers.frames import Frames
from appliance.model import Config

PATIENCE = (
    5.0 * virtual.REFRESH
)  # seconds in which five frames should have come in by each interface


class SelfTest:
    """The standby's ear for the virtual MACs; it has nothing to hear where the file asks for none."""

    def __init__(self, config: Config) -> None:
        lan, wan = virtual.macs(config)
        pairs = ((virtual.LAN, lan), (virtual.WAN, wan)) if config.vgw.virtual_mac else ()
        self.frames = [Frames(interface, mac) for interface, mac in pairs]
        self.since: float | None = None

    def judge(self, now: float, *, listening: bool) -> str:
        """What an operator must know, or nothing. `listening`: this node stands by, and the peer is MASTER."""
        heard = [(frames, frames.read(now)) for frames in self.frames]
        if not listening:
            self.since = None
            return ""
        since = self.since = now if self.since is None else self.since
        return "; ".join(
            _sentence(frames, now - max(since, last or 0.0))
            for frames, last in heard
            if now - max(since, last or 0.0) > PATIENCE
        )


def _sentence(frames: Frames, waited: float) -> str:
    return (
        f"no frame of the virtual MAC {frames.mac} has come in by {frames.interface} for "
        f"{waited:.0f} s: a network that drops such frames cuts off the VGW, and one that keeps them "
        "from this node makes a takeover wait for VRRP; let the switch or hypervisor pass them (port "
        "security, forged transmits, promiscuous ports), or write virtual_mac: false"
    )
