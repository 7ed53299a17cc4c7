"""Does what we let in leave? A pure judgement of how many flows set out, and how many left, from one look to the next.

It sees whatever drops them: a filter that no look at rules can judge, a queue that nobody reads, a policy of the kernel's.
"""

from dataclasses import astuple, dataclass, replace

from appliance.planning.ruleset import FirstPackets

# First packets of flows, of which none left, for so many seconds: no chance any more where each flow has left until then.
STALL_PACKETS = 3
STALL_SECONDS = 2.0
# The same in seconds where some flows are known to be dropped on purpose.
CHOSEN_PACKETS = 30
CHOSEN_SECONDS = 30.0
# Seconds without a flow, as on a node that leads no more, after which a change, or time alone, is reason to believe again.
NONE_SETS_OUT = 5.0
NO_NEWS = 60.0


@dataclass(frozen=True)
class Stall:
    """The first packets that set out since one has left: how many, and since when."""

    packets: int = 0
    since: float = 0.0

    def after(self, set_out: int, left: int, now: float) -> "Stall":
        """With what has been counted since."""
        if left:
            return Stall()
        if not set_out:
            return self
        return Stall(self.packets + set_out, self.since if self.packets else now)

    def lasts(self, packets: int, seconds: float, now: float) -> bool:
        """Whether it is more than chance."""
        return self.packets >= packets and now - self.since >= seconds


@dataclass(frozen=True)
class Leaving:
    """What is remembered: the counters, what stalls, and the verdict.

    Pings may pass where nothing else does, so flows that are none stall by themselves.
    """

    counted: FirstPackets | None = None
    flows: Stall = Stall()
    anything: Stall = Stall()
    some_are_lost: bool = False
    """Since the last change some flows have left and others have not: somebody chooses."""
    set_out: float = 0.0
    """When a flow was last seen to set out."""
    doubted: bool = False
    """Some filter has changed since."""
    blocked: bool = False


def judge(was: Leaving, counted: FirstPackets | None, now: float, *, changed: bool) -> Leaving:
    """With another reading of the counters; None where there are no rules of ours.

    `changed`: some filter is another one.
    """
    still = now - was.set_out
    if still >= NO_NEWS or (was.doubted and still >= NONE_SETS_OUT):
        was = Leaving(was.counted, set_out=now)
    pings_set_out, pings_left, flows_set_out, flows_left = _since(was.counted, counted)
    set_out, left = pings_set_out + flows_set_out, pings_left + flows_left
    lost = left > 0 and was.anything.packets > 0
    found = replace(
        was,
        counted=counted,
        flows=was.flows.after(flows_set_out, flows_left, now),
        anything=was.anything.after(set_out, left, now),
        some_are_lost=lost or (was.some_are_lost and not changed),
        set_out=now if set_out else was.set_out,
        doubted=changed or (was.doubted and not set_out),
    )
    bar = (STALL_PACKETS, STALL_SECONDS)
    if found.some_are_lost:
        bar = (CHOSEN_PACKETS, CHOSEN_SECONDS)
    stalls = found.flows.lasts(*bar, now) or found.anything.lasts(*bar, now)
    return replace(found, blocked=stalls or (was.blocked and not left))


def _since(before: FirstPackets | None, counted: FirstPackets | None) -> tuple[int, ...]:
    """What was counted between two readings; nothing where the ruleset was loaded anew."""
    if before is None or counted is None:
        return (0,) * 4
    new = tuple(now - then for then, now in zip(astuple(before), astuple(counted), strict=True))
    return new if min(new) >= 0 else (0,) * 4
