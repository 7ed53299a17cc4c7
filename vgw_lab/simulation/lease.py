"""The timers in a node's kernel that its own words and its peer's refresh, and what they keep from leaving."""

import math
from dataclasses import dataclass

from appliance.pair.beat import BEAT_SILENCE

LED = 5.0  # seconds for which a peer that has led is taken to lead


@dataclass
class Lease:
    """When each was refreshed last, as `planning.lease` names them; those of adverts run for `seconds`.

    A machine that knows where the VGW is, and what is known of its flows, is not modelled.
    """

    seconds: float = 0.3
    leads: float = -math.inf
    peer_leads: float = -math.inf
    lives: float = -math.inf

    def silences(self, now: float) -> bool:
        """Whether the peer leads and this node does not say so: then nobody who asks for the VGW is answered."""
        return now - self.leads > self.seconds and now - self.peer_leads <= self.seconds

    def hushes(self, now: float) -> bool:
        """Whether the peer leads and nothing here has lived of late: then no advert leaves, and no word of flows."""
        silent = now - self.leads > self.seconds and now - self.lives > BEAT_SILENCE
        return silent and now - self.peer_leads <= LED
