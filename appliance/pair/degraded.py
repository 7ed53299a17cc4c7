"""Could a takeover now lose flows, and why? A pure judgement of what is known."""

from appliance.pair import sync_path
from appliance.pair.facts import Facts
from appliance.pair.progress import Progress
from appliance.vrrp import Role

FULL = 0.85  # the part of the table's limit from which new flows are in danger
BEHIND = 1.5  # seconds after which one that is on its way tells that the newest flows are
CANARY_PATIENCE = 8.0  # seconds after which one that has not arrived tells of a broken replication


def why(facts: Facts, progress: Progress, late: str) -> str:
    """A sentence; empty where replication works, or nobody is there.

    `late`: how the wait for replicas ended, if it ended without them.
    """
    peer, master = facts.peer, facts.role is Role.MASTER
    if facts.limit and facts.entries > FULL * facts.limit:
        return (
            f"the connection table holds {facts.entries} of {facts.limit} entries: raise "
            "net.netfilter.nf_conntrack_max on the host"
        )
    if late and not master:
        return late
    if peer is None:
        return _unheard(facts)
    if not facts.same_file:
        return "the two nodes go by different files"
    if not facts.generation:
        return "conntrackd does not run here" if facts.listened else ""
    if not peer.generation:
        return f"conntrackd does not run on {peer.node}" if peer.ready else ""
    if narrow := sync_path.narrow(facts.wide, peer.hears, peer.node):
        return narrow
    if progress.overrun:
        return (
            f"conntrackd was too slow for some flows: {peer.node} may lack them, or keep some that "
            "ended; it is about to be told of all anew"
        )
    if progress.waited > CANARY_PATIENCE:
        way = f"to {peer.node}" if master else f"from {peer.node}"
        return f"no flow {way} has arrived for {progress.waited:.0f} s"
    return ""


def _unheard(facts: Facts) -> str:
    """What to say of a peer without beats: nothing of one that is not there at all."""
    silent = facts.advertised and facts.spoke_last and facts.listened
    return "the peer is silent on the sync link" if silent else ""


def behind(facts: Facts, progress: Progress) -> str:
    """Which flows a crash of the MASTER would lose now, in a sentence; empty where none."""
    peer = facts.peer
    if peer is None or not (facts.same_file and facts.generation and peer.generation):
        return ""
    if facts.role is Role.MASTER and progress.settling:
        return f"{peer.node} may lack the flows that began since this node became MASTER"
    if progress.waited <= BEHIND:
        if progress.missed and peer.role == Role.MASTER:
            return "this node has yet to fetch what it missed or lost of the peer's flows"
        return ""
    who = peer.node if facts.role is Role.MASTER else "this node"
    return (
        f"{who} lacks the flows of the last {progress.waited:.0f} s: it is still taking in others"
    )
