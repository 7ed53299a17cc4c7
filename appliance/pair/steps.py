"""What conntrackd has to be told, for which role: a pure decision."""

from dataclasses import dataclass

from appliance.conntrack.orders import Order
from appliance.vrrp import Role

UNSETTLED = "-"


@dataclass(frozen=True)
class Settled:
    """For which role, and for which conntrackd by its process id, the steps have been taken.

    The role is None from the first step to the last: whoever was interrupted there knows nothing.
    """

    role: Role | None
    generation: int


def steps(settled: Settled | None, role: Role, generation: int) -> tuple[Order, ...]:
    """The steps of state replication that are due; none where no conntrackd runs.

    A MASTER owns all entries of its table. Anybody else owns none: else the end of a replica here
    would end the live flow there. Takeover itself waits for none of these.
    """
    if not generation:
        return ()
    known = settled.role if settled and settled.generation == generation else None
    if role is Role.MASTER:
        return () if known is Role.MASTER else (Order.DISOWN, Order.OWN)
    if known is None:
        return (Order.DISOWN, Order.REQUEST)
    return (Order.DISOWN,) if known is Role.MASTER else ()


def to_text(settled: Settled) -> str:
    """A line for the next agent, as in `MASTER 4711`; a minus stands for no role."""
    return f"{settled.role or UNSETTLED} {settled.generation}\n"


def from_text(text: str) -> Settled | None:
    """What an earlier agent had settled; None where the text is none of `to_text`."""
    try:
        role, generation = text.split()
        return Settled(None if role == UNSETTLED else Role(role), int(generation))
    except ValueError:
        return None
