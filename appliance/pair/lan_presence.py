"""What the nodes say and hear on the wires: of the virtual MACs, and where the standby is."""

from appliance import system
from appliance.config import reserved_names
from appliance.config.model import Config
from appliance.planning import virtual_macs
from appliance.wires import frames
from appliance.wires.adverts import Advert
from appliance.wires.frames import Frames
from appliance.wires.neighbours import Neighbour

PATIENCE = (
    5.0 * virtual_macs.REFRESH
)  # seconds in which five frames should have come in by each interface
CALL = 0.1  # seconds between two calls to a MASTER that is not heard
KEEP = 1.0  # seconds between two looks of a MASTER at where its peer is


class Standby:
    """The standby's ear and voice, and its place; of virtual MACs only where the file asks for them."""

    def __init__(self, config: Config, node: str) -> None:
        lan, wan = virtual_macs.macs(config)
        pairs = (
            ((reserved_names.LAN, lan), (reserved_names.WAN, wan)) if config.vgw.virtual_mac else ()
        )
        self.frames = [Frames(interface, mac) for interface, mac in pairs]
        self.addresses = (config.vgw.address.ip, config.wan.address.ip)
        self.since: float | None = None
        self.own, self.called, self.kept = config.nodes[node].lan.ip, 0.0, 0.0
        self.neighbour = Neighbour(config.nodes[config.peer_of(node)].lan.ip)
        self.interval = config.vgw.advert_interval

    def call(self, now: float, lan: str, last: Advert | None) -> None:
        """Tell the MASTER where this node is, while no advert of its comes in by the interface `lan`.

        A kernel that does not know where this node is asks once a second, and the adverts wait for the
        answer: a standby would take over before it hears the first. `last`: the last advert.
        """
        missing = last is None or system.wall() - last.at > 1.5 * self.interval
        if missing and now - self.called >= CALL:
            self.called = now
            frames.announce(lan, self.own)

    def keep(self, now: float, lan: str) -> None:
        """Keep the peer's place on the LAN known, so that it hears the MASTER as soon as its cable is in."""
        if now - self.kept >= KEEP:
            self.kept = now
            self.neighbour.keep(lan)

    def claim(self) -> None:
        """Draw the pair's traffic here, for the peer has said that it is no MASTER any more.

        One of its cables is out, and behind the other the bridge still knows it. VRRP comes later.
        """
        for ear, address in zip(self.frames, self.addresses, strict=False):
            frames.announce(ear.interface, address)

    def judge(self, now: float, *, listening: bool) -> str:
        """What an operator must know, or nothing. `listening`: this node stands by, and the peer is MASTER."""
        heard = [(ear, ear.read(now)) for ear in self.frames]
        if not listening:
            self.since = None
            return ""
        since = self.since = now if self.since is None else self.since
        return "; ".join(
            _sentence(ear, now - max(since, last or 0.0))
            for ear, last in heard
            if now - max(since, last or 0.0) > PATIENCE
        )


def _sentence(ear: Frames, waited: float) -> str:
    return (
        f"no frame of the virtual MAC {ear.mac} has come in by {ear.interface} for "
        f"{waited:.0f} s: a network that drops such frames cuts off the VGW, and one that keeps them "
        "from this node makes a takeover wait for VRRP; let the switch or hypervisor pass them (port "
        "security, forged transmits, promiscuous ports), or write virtual_mac: false"
    )
