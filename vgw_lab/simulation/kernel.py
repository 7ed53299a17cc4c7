"""What a node's kernel holds: cables, addresses, rules and the connection table; and what it forgets."""

from dataclasses import dataclass, field

from vgw_lab.simulation.connections import Connections
from vgw_lab.simulation.lease import Lease
from vgw_lab.simulation.wires import LAN, SYNC, WAN


@dataclass
class Kernel:
    """One node's.

    `carries`: the cables that are in. `floating`: VGW and WAN VIP are here. `indices`: what the kernel calls its interfaces.
    `refuses_rules`: no ruleset can be put. `lost`: which own address is gone, `stolen`: whose route takes what comes from inside; empty
    where none is and nobody's does.
    """

    carries: dict[str, bool] = field(default_factory=lambda: {LAN: True, WAN: True, SYNC: True})
    indices: dict[str, int] = field(default_factory=lambda: {LAN: 2, WAN: 3, SYNC: 4})
    floating: bool = False
    ruleset: bool = False
    refuses_rules: bool = False
    lost: str = ""
    stolen: str = ""
    table: Connections = field(default_factory=Connections)
    lease: Lease = field(default_factory=Lease)

    @property
    def cabled(self) -> bool:
        """Whether all carry without which keepalived is in FAULT."""
        return self.carries[LAN] and self.carries[WAN]

    def put_rules(self) -> None:
        """What the agent does at each look."""
        self.ruleset = self.ruleset or not self.refuses_rules

    def make_anew(self, interface: str) -> None:
        """Give an interface another index, as one has that was deleted and made again."""
        self.indices[interface] = max(self.indices.values()) + 1
