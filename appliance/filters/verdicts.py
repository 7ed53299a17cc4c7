"""What may become of a packet in somebody's chains, and what must: all ways through them that what is known allows. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

MOST_RULES = 2000  # that one judgement looks at: some milliseconds of processor
_DEEPEST = 16  # the kernel's own limit (NFT_JUMP_STACK_SIZE)

# A chain as its firewall calls it: by a name, or by the place of its first rule.
Called = str | int


class Does(StrEnum):
    """What a rule does with a packet that it takes."""

    ACCEPT = "accept"
    DROP = "drop"
    CONTINUE = "continue"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"


@dataclass(frozen=True)
class RuleVerdict:
    """What a rule does, and the chain that it leads to, where it does."""

    does: Does
    chain: Called = ""


ACCEPT, DROP, CONTINUE, RETURN = map(
    RuleVerdict, (Does.ACCEPT, Does.DROP, Does.CONTINUE, Does.RETURN)
)
ANYTHING = frozenset({ACCEPT, DROP, CONTINUE})


@dataclass(frozen=True)
class Step:
    """A rule that may take the packet: its verdict is one of these. `surely`: it takes it."""

    surely: bool
    verdicts: frozenset[RuleVerdict]


@dataclass
class Walk:
    """The ways of one packet through the chains of a table; `steps` gives the rules of a chain that may take it."""

    steps: Callable[[Called], Iterable[Step]]
    seen: int = 0
    ends: dict[Called, frozenset[Does]] = field(default_factory=dict)

    def outcomes(self, chain: Called, policy: Does) -> frozenset[Does]:
        """ACCEPT, DROP or both: what a base chain makes of it. Both, where there are too many rules to tell."""
        found = self._through(chain, 0)
        if self.seen > MOST_RULES:
            return frozenset({Does.ACCEPT, Does.DROP})
        return found - {Does.RETURN} | ({policy} if Does.RETURN in found else frozenset())

    def _through(self, chain: Called, depth: int) -> frozenset[Does]:
        if chain not in self.ends:
            if depth > _DEEPEST or self.seen > MOST_RULES:
                return frozenset({Does.ACCEPT, Does.DROP, Does.RETURN})
            self.ends[chain] = frozenset(self._ends(chain, depth))
        return self.ends[chain]

    def _ends(self, chain: Called, depth: int) -> set[Does]:
        """How the way through a chain may end: RETURN is that no rule took the packet."""
        found: set[Does] = set()
        for step in self.steps(chain):
            self.seen += 1
            goes_on = not step.surely
            for verdict in step.verdicts:
                ends = self._verdict(verdict, depth)
                found |= ends - {Does.CONTINUE}
                goes_on = goes_on or Does.CONTINUE in ends
            if not goes_on:
                return found
        return found | {Does.RETURN}

    def _verdict(self, verdict: RuleVerdict, depth: int) -> frozenset[Does]:
        """How a chain goes on, or ends, by a verdict of a rule in it."""
        if verdict.does not in (Does.JUMP, Does.GOTO):
            return frozenset({verdict.does})
        ends = self._through(verdict.chain, depth + 1)
        if verdict.does is Does.JUMP and Does.RETURN in ends:
            return ends - {Does.RETURN} | {Does.CONTINUE}
        return ends
