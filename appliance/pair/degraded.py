"""Could a takeover now lose flows, and why? A pure judgement of what is known."""

from dataclasses import dataclass

from appliance.pair.beat import Beat
from appliance.vrrp import Role

FULL = 0.85  # the part of the table's limit from which new flows are in danger
BEHIND = 1.5  # seconds after which one that is on its way tells that the newest flows are
CANARY_PATIENCE = 8.0  # seconds after which one that has not arrived tells of a broken replication


@dataclass(frozen=True)
class Sight:
    """What is known at one moment.

    `late`: how the wait for replicas ended, if it ended without them. `listened`: whether a peer that is
    there had the time to be heard. `waited`: for how many seconds the oldest canary is on its way.
    `settling`: no canary has made its way since this node's conntrackd was told its part. `overrun`: it
    has missed events of flows, and has yet to tell the peer of all anew.
    """

    role: Role
    peer: Beat | None
    advertised: bool
    entries: int
    limit: int
    late: str
    listened: bool
    same_file: bool
    generation: int
    waited: float
    settling: bool
    overrun: bool


def why(sight: Sight) -> str:
    """A sentence; empty where replication works, or nobody is there."""
    peer, master = sight.peer, sight.role is Role.MASTER
    if sight.entries > FULL * sight.limit:
        return (
            f"the connection table holds {sight.entries} of {sight.limit} entries: raise "
            "net.netfilter.nf_conntrack_max on the host"
        )
    if sight.late and not master:
        return sight.late
    if peer is None:
        silent = sight.advertised and sight.listened
        return "the peer is silent on the sync link" if silent else ""
    if not sight.same_file:
        return "the two nodes go by different files"
    if not sight.generation:
        return "conntrackd does not run here" if sight.listened else ""
    if not peer.generation:
        return f"conntrackd does not run on {peer.node}" if peer.ready else ""
    if sight.overrun:
        return (
            f"conntrackd was too slow for some flows: {peer.node} may lack them, or keep some that "
            "ended; it is about to be told of all anew"
        )
    if sight.waited > CANARY_PATIENCE:
        way = f"to {peer.node}" if master else f"from {peer.node}"
        return f"no flow {way} has arrived for {sight.waited:.0f} s"
    return ""


def behind(sight: Sight) -> str:
    """Which flows a crash of the MASTER would lose now, in a sentence; empty where none."""
    peer = sight.peer
    if peer is None or not (sight.same_file and sight.generation and peer.generation):
        return ""
    if sight.role is Role.MASTER and sight.settling:
        return f"{peer.node} may lack the flows that began since this node became MASTER"
    if sight.waited <= BEHIND:
        return ""
    who = peer.node if sight.role is Role.MASTER else "this node"
    return f"{who} lacks the flows of the last {sight.waited:.0f} s: it is still taking in others"
