"""The agent's watch over the ruleset: who has none for too long is ended, and counters cost little."""

from collections.abc import Sequence

from appliance import CommandFailed
from appliance.agent.answers import Answers
from appliance.agent.guard import COUNT_SECONDS, NO_RULES_SECONDS, Guard
from appliance.bulkhead import Bulkheads
from appliance.drivers.firewall import Firewall
from appliance.planning.ruleset import Count, FirstPackets, Ruleset
from appliance.planning.wanted import Change

from .agent_stand_in import Claimed


class Paper:
    """A firewall on paper: it has the table that it was given, and knows how often it was asked."""

    programs: Sequence[str] = ()
    notices: Sequence[tuple[int, int]] = ()
    tables: frozenset[tuple[str, str]] = frozenset()

    def __init__(self) -> None:
        self.there: bool | None = True  # None: it does not tell
        self.readings = 0

    def lacking(self) -> frozenset[str]:
        return frozenset()

    def supported(self, ruleset: Ruleset) -> tuple[str, ...]:
        return ()

    def sees_frames(self) -> bool:
        return False

    def text(self, ruleset: Ruleset) -> str:
        return str(ruleset)

    def diff(self, wanted: Ruleset | None) -> tuple[Change, ...]:
        return ()

    def try_out(self, changes: Sequence[Change]) -> None:
        """Paper takes everything."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Paper changes by hand."""

    def in_force(self) -> bool:
        if self.there is None:
            raise CommandFailed("it does not tell")
        return self.there

    def first_packets(self) -> FirstPackets | None:
        return None

    def counters(self) -> tuple[Count, ...]:
        self.readings += 1
        if not self.in_force():
            return ()
        return (Count("input", "everything else", self.readings, 0),)


def watched() -> tuple[Paper, Guard]:
    paper = Paper()
    firewall: Firewall = paper
    return paper, Guard(firewall, Bulkheads(lambda: 0.0), Answers(Claimed()))


def test_a_node_is_given_up_when_its_rules_are_gone_for_too_long() -> None:
    paper, guard = watched()
    assert guard.protects(0.0)
    for there in (False, None):
        paper.there = there
        assert not guard.protects(100.0)
        assert not guard.protects(100.0 + NO_RULES_SECONDS)
        assert not guard.gave_up(100.0 + NO_RULES_SECONDS)
        assert guard.gave_up(100.1 + NO_RULES_SECONDS)
        paper.there = True
        assert guard.protects(100.2 + NO_RULES_SECONDS)
        assert not guard.gave_up(100.3 + 2 * NO_RULES_SECONDS), "it counts from the next loss on"


def test_counters_are_read_at_their_pace_and_the_last_ones_stand() -> None:
    paper, guard = watched()
    for now in (0.0, 1.0, COUNT_SECONDS - 0.1):
        guard.count(now)
    assert (paper.readings, guard.counts[0].packets) == (1, 1)
    guard.count(COUNT_SECONDS)
    assert (paper.readings, guard.counts[0].packets) == (2, 2)
    paper.there = None
    guard.count(2 * COUNT_SECONDS)
    assert (paper.readings, guard.counts[0].packets) == (3, 2)
    paper.there = False
    guard.count(3 * COUNT_SECONDS)
    assert guard.counts == ()
