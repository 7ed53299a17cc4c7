"""What a judgement asks for, as data: each deed is carried out elsewhere (`voice`), in the order given. Pure."""

from dataclasses import dataclass

from appliance.conntrack.orders import Order
from appliance.pair.steps import Settled


@dataclass(frozen=True)
class TellKeepalived:
    """Say in its tracked files whether this node may be MASTER, and whether it ranks below its peer."""

    ready: bool
    aside: bool


@dataclass(frozen=True)
class WithdrawNote:
    """Take away the note of a switchover, which has done its work and would be in the way of the next."""


@dataclass(frozen=True)
class Tell:
    """Give conntrackd an order; how it ended comes back as a fact."""

    order: Order


@dataclass(frozen=True)
class Remember:
    """Keep for the next agent for whom conntrackd was told its part."""

    settled: Settled


@dataclass(frozen=True)
class PlantCanary:
    """Make the entry of this number in the connection table, or arm it again."""

    number: int


@dataclass(frozen=True)
class CalmConntrackd:
    """Take the realtime priority, which it gives itself, from this process."""

    process: int


@dataclass(frozen=True)
class RestartConntrackd:
    """Have it started anew."""


@dataclass(frozen=True)
class CallMaster:
    """Tell a MASTER whose adverts do not come where this node is on the LAN."""


@dataclass(frozen=True)
class KeepPeersPlace:
    """Have the kernel know where the standby is on the LAN, so that it hears this MASTER at once."""


@dataclass(frozen=True)
class Inform:
    """Write a sentence into the log; `grave` where an operator should look."""

    sentence: str
    grave: bool = True


@dataclass(frozen=True)
class Record:
    """Write an event; `flows`: how many the table held."""

    was: str
    now: str
    sentence: str
    flows: int | None = None
    kind: str = "replication"


Deed = (
    TellKeepalived
    | WithdrawNote
    | Tell
    | Remember
    | PlantCanary
    | CalmConntrackd
    | RestartConntrackd
    | CallMaster
    | KeepPeersPlace
    | Inform
    | Record
)
