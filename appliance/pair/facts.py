"""What is known at one moment: the one record by which readiness, degraded and replication judge. Pure."""

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from appliance.conntrack.orders import Outcome, Queues
from appliance.pair.beat import Beat
from appliance.pair.mac_frames import MacHeard
from appliance.vrrp import Role


class Facts(NamedTuple):
    """Seen, heard or read; nothing here is concluded from what was before. Times in seconds.

    A tuple, for one is made at each moment, and a frozen dataclass of so many fields takes four times as long.
    """

    # The terms of the pair, by the file.
    # VRRP preempts by itself, and no tracked file holds it back.
    plain: bool
    # VRRP never preempts, so that only a node that is not ready lets go.
    never: bool
    # This node has the higher priority.
    outranks: bool
    # How long a failback waits.
    hold: float
    # The canaries of this node have even numbers, those of the peer odd ones; or the other way round.
    even: bool

    # This node.
    role: Role
    # LAN and WAN have their carriers.
    carries: bool
    # Why this node cannot serve although keepalived sees nothing amiss, as a sentence; empty where it can.
    unfit: str
    # A ruleset of ours is in force.
    ruleset: bool
    # keepalived runs.
    electable: bool
    # A switchover's note asks this node to stand by.
    asked: bool
    # The agent has run for long enough to have heard a peer that is there.
    listened: bool

    # The networks.
    # For how long nothing outside has answered; None where it cannot be asked.
    quiet: float | None
    # For how long nothing has come in by the LAN; None where that cannot be told.
    still: float | None
    # For how long the cables are back without an advert; None where one has come since.
    deaf: float | None
    # The peer's VRRP adverts are heard.
    advertised: bool
    # One came after its last beat: it outlived that, so a power-off is not why it is silent on the sync link.
    spoke_last: bool
    # No advert of a MASTER's has come in for half an interval longer than it should take.
    missed: bool
    # The last advert of the peer's had a higher priority than this node's.
    outranked: bool
    # The longest time without one of late, until now; and the time after which VRRP takes over.
    silence: float
    patience: float
    # The frames of the virtual MACs, where the file asks for such.
    macs: tuple[MacHeard, ...]
    # The peer says that it is MASTER, and the LAN does not: this node is one too, or hears no adverts.
    parted: bool

    # The peer.
    # Its last beat; None when it has fallen silent.
    peer: Beat | None
    # The roles that it has told since the last judgement, in order: several beats may have been read at once.
    peers_roles: tuple[str, ...]
    # `quiet` and `still` of the peer.
    peers_quiet: float | None
    peers_still: float | None
    # The longest packet that was sent to it by the sync link of late, and that came from it; 0 where nobody can say.
    wide: int
    hears: int
    # The peer goes by a file that means the same.
    same_file: bool

    # The connection table.
    entries: int
    limit: int
    # Those of the awaited canaries that are in the table.
    arrived: AbstractSet[int]

    # conntrackd.
    # Its process id; 0 where it does not run.
    generation: int
    # What waits for it; None where nobody has looked this time.
    queues: Queues | None
    # How the order that was under way has ended; None where none has.
    outcome: Outcome | None
    # There is time for orders: no role is being changed, and no rules are being put, at this moment.
    leisure: bool
