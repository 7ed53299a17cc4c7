"""What conntrackd has to be told, for which role: a pure decision."""

from dataclasses import dataclass
from enum import StrEnum

from appliance.vrrp import Role


class Step(StrEnum):
    """What conntrackd can be told; the words are its own options (conntrackd(8)).

    Each may be taken again at any time, so whoever was interrupted begins anew.
    """

    DISOWN = "-f internal"  # forget whose entries these are: their end is no business of the peer's
    OWN = "-R"  # every entry of the kernel is ours from now on: the peer is told what becomes of it
    ANNOUNCE = "-B"  # tell the peer of all entries that are ours
    REQUEST = "-n"  # ask the peer for all of its entries
    FLUSH = "-F"  # empty the kernel's table without telling the peer


@dataclass(frozen=True)
class Settled:
    """For which role, and for which conntrackd by its process id, the steps have been taken.

    The role is None from the first step to the last: whoever was interrupted there knows nothing.
    """

    role: Role | None
    generation: int


def steps(settled: Settled | None, role: Role, generation: int) -> tuple[Step, ...]:
    """The steps of state replication that are due; none where no conntrackd runs.

    A MASTER owns all entries of its table. Anybody else owns none: else the end of a replica here
    would end the live flow there. Takeover itself waits for none of these.
    """
    if not generation:
        return ()
    known = settled.role if settled and settled.generation == generation else None
    if role is Role.MASTER:
        return () if known is Role.MASTER else (Step.DISOWN, Step.OWN)
    if known is None:
        return (Step.DISOWN, Step.REQUEST)
    return (Step.DISOWN,) if known is Role.MASTER else ()
