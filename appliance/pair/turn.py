"""When a file that says other words than both nodes must say alike is this node's to put in force. Pure.

Were it put in force on one node alone, neither would hear the other, and both would hold the VGW. So each waits until the
other has it too, and knows that this one has it: by the new words it may not be heard any more. Then the standby is first:
it hears nobody by the new words and takes over, while the MASTER still forwards by the former ones.
"""

from appliance.pair.beat import BEAT_SILENCE, Beat
from appliance.vrrp import Role

LEAD_MARGIN = 3.0  # seconds beyond VRRP's own by which the peer may be late to lead
UNHEARD_PEER = "until the peer is heard on the sync link; where it is dead, `vgw apply` again"


def waits_for(
    role: Role, peer: Beat | None, *, has_it: bool, knows: bool, waited: float, promise: float
) -> str:
    """What it waits for, as the end of a sentence; empty where it is to be put in force now.

    `has_it`: the peer goes by such a file, or waits with one, for `waited` seconds. `knows`: it has said that it knows as
    much of this node. `promise`: the seconds after which VRRP has the peer take over.
    """
    if not has_it:
        # Who is silent may live, as where the sync link is cut: that must not part the two.
        return f"until {peer.node} has the file too: `vgw apply` there" if peer else UNHEARD_PEER
    # Not for ever: another version does not say what it knows, but has heard several beats by then.
    if peer and not knows and waited < BEAT_SILENCE:
        return f"until {peer.node} has heard that this node has it"
    follows = role is Role.MASTER and peer and peer.role != Role.MASTER and peer.ready
    return "until the peer leads by it" if follows and waited < promise + LEAD_MARGIN else ""
