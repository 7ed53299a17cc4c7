"""Whatever happens, in whatever order: no order that the role forbids, and no harm by an agent that dies.

A world of one node, with a conntrackd that believes to own its table or not, is told by hypothesis what happens
next; the node's agent decides as the real one does.
"""

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.conntrack.orders import Order, Outcome, Queues
from appliance.pair import replication, replication_state
from appliance.pair.beat import Beat
from appliance.pair.deeds import Deed, PlantCanary, Remember, Tell
from appliance.pair.facts import Facts
from appliance.pair.progress import BACKLOG, how_far
from appliance.pair.replication_state import Replication, Told
from appliance.pair.resync import RESYNC_PATIENCE
from appliance.pair.steps import Settled
from appliance.vrrp import Role
from tests.unit.facts import FACTS, FACTS_OF_ANY_KIND, QUIET
from tests.unit.snapshots import PEER

# What conntrackd may be told in either part.
MASTERS = {Order.DISOWN, Order.OWN, Order.ANNOUNCE, Order.TOUCH_KEPT_PORTS, Order.COUNT}
STANDBYS = {Order.DISOWN, Order.REQUEST, Order.FLUSH, Order.COUNT, Order.DROP_MOVED}
# What an order makes conntrackd believe of whose the entries are.
BELIEF = {Order.DISOWN: False, Order.OWN: True}


@dataclass
class World:
    """One node: its agent, what that left for the next one, and its conntrackd."""

    agent: Replication
    facts: Facts
    remembered: Settled | None = None
    owns: bool = False
    under_way: Order | None = None
    now: float = 1000.0
    proved_since_the_peers_start: bool = False

    def moment(self, passed: float = 0.01) -> tuple[Deed, ...]:
        """Let the agent judge."""
        self.now += passed
        before = self.agent
        self.agent, deeds = replication.decide(before, self.facts, self.now, caught_up=True)
        self.facts = self.facts._replace(outcome=None, arrived=frozenset(), leisure=True)
        for deed in deeds:
            self.carry_out(deed)
        return deeds

    def carry_out(self, deed: Deed) -> None:
        """Do it, and see that it may be done."""
        if isinstance(deed, Remember):
            self.remembered = deed.settled
        if isinstance(deed, PlantCanary):
            assert self.facts.role is Role.MASTER
        if not isinstance(deed, Tell):
            return
        assert self.under_way is None, "one at a time"
        assert self.facts.generation, "there is nobody to be told anything"
        allowed = MASTERS if self.facts.role is Role.MASTER else STANDBYS
        assert deed.order in allowed
        if deed.order is Order.FLUSH:
            assert self.proved_since_the_peers_start, "new replicas are not known to arrive"
        self.under_way = deed.order

    def end(self, *, well: bool) -> None:
        """The order under way ends; one that is refused may have been carried out all the same."""
        order, self.under_way = self.under_way, None
        if order is None:
            return
        if self.facts.generation:
            self.owns = BELIEF.get(order, self.owns)
        problem = "" if well and self.facts.generation else "refused"
        self.facts = self.facts._replace(outcome=Outcome(order, problem))

    def process(self, generation: int) -> None:
        """conntrackd is another process, or none; a new one takes the table for its own."""
        if generation != self.facts.generation:
            self.owns = True
        self.facts = self.facts._replace(generation=generation)

    def peer(self, peer: Beat | None) -> None:
        """The peer says something, or nothing any more."""
        before, self.facts = self.facts.peer, self.facts._replace(peer=peer)
        if peer and (before is None or before.generation != peer.generation):
            self.proved_since_the_peers_start = False

    def arrive(self) -> None:
        """The peer plants another canary, and it arrives."""
        peer = self.facts.peer
        if peer and peer.role == Role.MASTER:
            self.facts = self.facts._replace(peer=replace(peer, canary=peer.canary + 2))
            self.facts = self.facts._replace(arrived=frozenset({peer.canary + 2}))
            self.proved_since_the_peers_start = True

    def agent_dies(self) -> None:
        """Another agent starts; an order under way is carried out, and nobody hears how it ended."""
        self.end(well=True)
        self.facts = self.facts._replace(outcome=None)
        self.agent = replication_state.begin(self.remembered, int(self.now), self.now, even=True)

    def happens(self, event: str) -> None:
        """One event by its name."""
        match event.split():
            case ["role", name]:
                self.facts = self.facts._replace(role=Role(name), leisure=False)
            case ["process", number]:
                self.process(int(number))
            case ["peer", "silent"]:
                self.peer(None)
            case ["peer", role, generation]:
                asks = 0 if role == "MASTER" else int(self.now)
                canary = self.facts.peer.canary if self.facts.peer else 1
                said = replace(PEER, role=role, generation=int(generation), asks=asks)
                self.peer(replace(said, canary=canary))
            case ["prepared"] if self.facts.peer:
                self.peer(replace(self.facts.peer, prepared=self.agent.fetch.open))
            case ["events", "lost"]:
                dropped = (self.facts.queues or QUIET).dropped + 1
                self.facts = self.facts._replace(queues=Queues(0, 0, dropped))
            case ["backlog"]:
                dropped = (self.facts.queues or QUIET).dropped
                self.facts = self.facts._replace(queues=Queues(0, BACKLOG + 1, dropped))
            case ["ends", how]:
                self.end(well=how == "well")
            case ["arrives"]:
                self.arrive()
            case ["dies"]:
                self.agent_dies()

    def what_is_remembered_is_true(self) -> None:
        """Whoever believes the note of the last agent is not misled."""
        settled, running = self.remembered, self.facts.generation
        if settled and settled.role and settled.generation == running and self.under_way is None:
            assert self.owns is (settled.role is Role.MASTER)


EVENTS = st.sampled_from(
    [
        *(f"role {role}" for role in Role),
        *("process 0", "process 7", "process 8"),
        *("peer silent", "peer MASTER 17", "peer MASTER 18", "peer BACKUP 17", "peer MASTER 0"),
        *("prepared", "events lost", "backlog"),
        *(["ends well"] * 4),
        *("ends refused", "arrives", "arrives", "dies", "nothing"),
    ]
)
STORY = st.lists(st.tuples(EVENTS, st.sampled_from([0.01, 0.3, 1.1, 11.0])), max_size=40)


def world() -> World:
    """A node that has just started, beside a MASTER."""
    return World(
        replication_state.begin(None, 1000, 1000.0, even=True), FACTS._replace(generation=7)
    )


@settings(max_examples=200)
@given(STORY)
def test_whatever_happens_no_order_is_given_that_the_role_forbids(
    story: list[tuple[str, float]],
) -> None:
    node = world()
    for event, passed in story:
        node.happens(event)
        hasty = not node.facts.leisure
        deeds = node.moment(passed)
        assert not (hasty and deeds), "routes, rules and the peer come first"
        node.what_is_remembered_is_true()


@settings(max_examples=100)
@given(STORY, st.sampled_from(Role))
def test_whatever_happened_conntrackd_believes_in_the_end_what_the_role_asks_for(
    story: list[tuple[str, float]], role: Role
) -> None:
    node = world()
    for event, passed in story:
        node.happens(event)
        node.moment(passed)
    node.happens("process 9")
    node.happens(f"role {role}")
    node.moment()
    # All that is ordered from now on is carried out; nobody prepares anything.
    for _ in range(int(RESYNC_PATIENCE)):
        node.end(well=True)
        node.moment(2.0)
    assert isinstance(node.agent.part, Told)
    assert node.owns is (role is Role.MASTER)
    assert node.remembered
    assert (node.remembered.role is Role.MASTER) is (role is Role.MASTER)
    assert node.remembered.generation == 9


@settings(max_examples=100)
@given(STORY)
def test_whatever_happened_a_new_master_is_told_its_part_before_all_else(
    story: list[tuple[str, float]],
) -> None:
    node = world()
    for event, passed in story:
        node.happens(event)
        node.moment(passed)
    node.happens("role BACKUP")
    node.moment()
    node.happens("process 9")
    node.happens("role MASTER")
    node.moment()
    given_orders: list[Order] = []
    for _ in range(4):
        node.end(well=True)
        given_orders += [deed.order for deed in node.moment() if isinstance(deed, Tell)]
    assert given_orders[:2] == [Order.DISOWN, Order.OWN]


@given(st.lists(st.tuples(FACTS_OF_ANY_KIND, st.floats(0, 30)), max_size=20))
def test_no_facts_are_too_strange(story: list[tuple[Facts, float]]) -> None:
    state, now = replication_state.begin(None, 1000, 0.0, even=True), 0.0
    for facts, passed in story:
        now += passed
        under_way = state.queue.under_way
        told = facts._replace(outcome=Outcome(under_way) if under_way else None)
        state, deeds = replication.decide(state, told, now, caught_up=facts.ruleset)
        assert facts.leisure or not deeds
        progress = how_far(state, told, now, caught_up=facts.ruleset)
        assert progress.waited >= 0
