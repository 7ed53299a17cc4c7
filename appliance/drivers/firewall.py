"""What a firewall back end is to everybody else: an object with few verbs, made in one place."""

from collections.abc import Sequence
from typing import Protocol

from appliance import Unsupported
from appliance.drivers.nftables import Nftables
from appliance.planning.ruleset import Count, FirstPackets, Ruleset
from appliance.planning.wanted import Change, Names
from appliance.run_dir import RunDir


class Firewall(Protocol):
    """One of the kernel's firewalls, as the holder of our ruleset.

    It owns all objects that the ruleset becomes, however many tables they are, and touches nobody
    else's. Where it needs several steps to put them, what drops comes first, so that a kill in between
    leaves too few packets through and never too many.
    """

    # Without these it does not work.
    programs: Sequence[str]
    # Netlink families, each with the groups (a mask) in which the kernel tells that somebody changed rules;
    # none where it does not tell, and a change is found by the next look.
    notices: Sequence[tuple[int, int]]
    # The family and the name of each table that is ours, in nft's words; all others are other people's.
    tables: frozenset[tuple[str, str]]

    def lacking(self) -> frozenset[str]:
        """The kernel features that it needs and does not find here, by the names of their modules."""

    def supported(self, ruleset: Ruleset) -> tuple[str, ...]:
        """What it cannot say of the ruleset, a sentence each; nothing means that it can say all."""

    def sees_frames(self) -> bool:
        """Whether it has chains here for what comes in by an interface. A ruleset without them is whole but for what they do."""

    def text(self, ruleset: Ruleset) -> str:
        """The whole ruleset in its own words. Raises Unsupported rather than leave out a condition."""

    def diff(self, wanted: Ruleset | None) -> tuple[Change, ...]:
        """What stands between our rules and the wanted ones; None: none of ours. Reads only.

        Raises Unsupported, and CommandFailed or MissingKernelFeature where the kernel does not tell.
        """

    def try_out(self, changes: Sequence[Change]) -> None:
        """Have the kernel say whether it would take what `diff` would put; changes nothing. Raises as `apply` does."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Make the changes of `diff`. Raises CommandFailed and MissingKernelFeature."""

    def in_force(self) -> bool:
        """Whether all that decides about packets of IP is there now. Raises as `diff` does.

        Forwarding hangs on this: of several tables one that is missing makes it False.
        """

    def counters(self) -> tuple[Count, ...]:
        """What the rules that drop and count have met; none where there are none of ours."""

    def first_packets(self) -> FirstPackets | None:
        """How many flows from inside have begun; None where there are no rules of ours. Cheap: asked each second.

        Raises CommandFailed where the kernel does not tell.
        """


def check(rules: Firewall, ruleset: Ruleset | None) -> None:
    """Raises Unsupported, with a line for each thing that the firewall cannot say."""
    if ruleset and (unsaid := rules.supported(ruleset)):
        raise Unsupported("\n     ".join(unsaid))


def of(names: Names, run_dir: RunDir) -> Firewall:
    """The back end of a node: the one place that chooses. It keeps its notes in the run directory."""
    return Nftables(names.table, run_dir.ruleset_digests)
