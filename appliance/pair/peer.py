"""The other node, as its beats tell of it."""

from dataclasses import dataclass, field

from appliance.addresses import DATAGRAM_HEADERS
from appliance.pair import beat, readiness
from appliance.pair.beat import Beat
from appliance.pair.sync_path import Widest
from appliance.vrrp import Role


@dataclass
class Peer:
    """What is known of the node of that name: its last beat, None when it has fallen silent.

    `heard` is when that came, on the monotonic clock; `roles` are those that it has told since the last judgement.
    """

    name: str
    beat: Beat | None = None
    heard: float = 0.0
    roles: tuple[str, ...] = ()
    widest: Widest = field(default_factory=Widest)

    @property
    def is_master(self) -> bool:
        """Whether it says that it is MASTER."""
        return self.beat is not None and self.beat.role == Role.MASTER

    @property
    def in_fault(self) -> bool:
        """Whether it says that it is in FAULT."""
        return self.beat is not None and self.beat.role == Role.FAULT

    def goes_by(self, digest: str, legacy_digest: str) -> bool:
        """Whether it has the file with this digest; by the other one where it knows no more than that."""
        if self.beat is None:
            return False
        return self.beat.digest == digest if self.beat.schema else self.beat.config == legacy_digest

    def knows(self, digest: str) -> bool:
        """Whether it has heard that the file here has this digest; an older version never says so."""
        return self.beat is not None and self.beat.knows == digest

    def take(self, datagram: bytes, now: float) -> bool:
        """Take a datagram in; False where it is no beat of this node."""
        found = beat.unpack(datagram)
        if found is None or found.node != self.name:
            return False
        self.beat, self.heard = found, now
        self.roles = (*self.roles, found.role)
        self.widest.take(len(datagram) + DATAGRAM_HEADERS, now)
        return True

    def fell_silent(self, now: float) -> bool:
        """Whether nothing has come for too long; its last beat is forgotten then."""
        if self.beat is None or now - self.heard <= beat.BEAT_SILENCE:
            return False
        self.beat, self.widest = None, Widest()
        return True

    def quiet(self, now: float) -> float | None:
        """For how many seconds nothing outside has answered it."""
        return self._aged(self.beat.quiet if self.beat else None, now)

    def still(self, now: float) -> float | None:
        """For how many seconds nothing has come in by its LAN."""
        return self._aged(self.beat.still if self.beat else None, now)

    def _aged(self, told: float | None, now: float) -> float | None:
        """How long ago it is now what the last beat told the age of."""
        return None if told is None else told + now - self.heard

    def parted(self, role: Role, became: float, last_advert: float, patience: float) -> bool:
        """Whether it says that it is MASTER, and the LAN does not.

        `role` is this node's, since `became`; the peer's adverts are missed after `patience` seconds.
        """
        if not self.is_master:
            return False
        if role is Role.MASTER:
            return self.heard - became > readiness.DOUBT
        return self.heard - last_advert > patience + readiness.DOUBT
