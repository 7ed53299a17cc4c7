"""One node's replication, told moment after moment, for the tests of what is decided."""

from dataclasses import replace
from typing import Any

from appliance.conntrack.orders import Order, Outcome
from appliance.pair import replication, replication_state
from appliance.pair.deeds import (
    Deed,
    Inform,
    Tell,
)
from appliance.pair.replication_state import Replicas
from appliance.pair.steps import Settled
from appliance.vrrp import Role
from tests.unit.facts import FACTS
from tests.unit.snapshots import PEER

MASTER, BACKUP, FAULT = Role.MASTER, Role.BACKUP, Role.FAULT
# What a MASTER orders that tells its peer of everything.
ALL_ANEW = [Order.OWN, Order.TOUCH_KEPT_PORTS, Order.ANNOUNCE]
STANDBY = replace(PEER, role="BACKUP")


class Story:
    """One node's replication, moment after moment; conntrackd has the process id 7."""

    def __init__(self, settled: Settled | None, caught_up: bool = True, **facts: Any) -> None:
        self.state = replication_state.begin(settled, 1000, 0.0, even=True)
        self.facts, self.caught_up = FACTS._replace(**facts), caught_up
        # Somebody empties the table all the time.
        self.emptied = False
        # The counters are asked for in between; what is told here is of other things.
        self.change(clocks=replace(self.state.clocks, count=1e9))

    def change(self, **changed: Any) -> None:
        """Have something else remembered."""
        self.state = replace(self.state, **changed)

    def at(self, now: float, **changed: Any) -> tuple[Deed, ...]:
        """What is done at this moment; what has changed by then stays so, but for what comes once."""
        self.facts = self.facts._replace(**changed)
        if not self.emptied:
            canaries = self.state.canaries
            arrived = self.facts.arrived | canaries.staying | {canaries.told}
            self.facts = self.facts._replace(arrived=arrived)
        self.state, deeds = replication.decide(
            self.state, self.facts, now, caught_up=self.caught_up
        )
        self.facts = self.facts._replace(outcome=None, arrived=frozenset())
        return deeds

    def told(self, now: float, **changed: Any) -> list[Order]:
        """What conntrackd is told from this moment on, until it has carried out all and nothing waits."""
        found = orders(self.at(now, **changed))
        while order := self.state.queue.under_way:
            found += orders(self.at(now, outcome=Outcome(order)))
        return found

    def comes(self, number: int, now: float) -> Replicas:
        """A canary of the peer's is announced, and is here; what the replicas are worth then."""
        canary = replace(PEER, canary=number)
        self.at(now, peer=canary, arrived=frozenset({number}))
        return self.state.replicas


def orders(deeds: tuple[Deed, ...]) -> list[Order]:
    return [deed.order for deed in deeds if isinstance(deed, Tell)]


def sentences(deeds: tuple[Deed, ...]) -> list[str]:
    return [deed.sentence for deed in deeds if isinstance(deed, Inform)]


def standby(**changed: Any) -> Story:
    """One whose conntrackd was told its part by an agent before, and has its replicas."""
    story = Story(Settled(BACKUP, 7), **changed)
    story.change(replicas=Replicas.PROVED, peers_generation=PEER.generation, peer_heard=True)
    return story


def master(**changed: Any) -> Story:
    """One whose conntrackd was told its part by an agent before."""
    facts: dict[str, Any] = {"role": MASTER, "peer": STANDBY} | changed
    return Story(Settled(MASTER, 7), **facts)
