"""The two nodes' connection tables, side by side: equal but for the timers, or in what they differ."""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from appliance import CommandFailed
from vgw_lab.worlds.running import Lab
from vgw_lab.worlds.world import wait_until

# The documentation's addresses between which the agents plant their canaries.
CANARIES = frozenset({"192.0.2.1", "192.0.2.2"})
QUIET_SECONDS = 5.0
# An entry that has no longer to live may be there on one node a little longer than on the other.
LASTING_SECONDS = 30
_SHOWN = 2
_FIELD = re.compile(r"\b(src|dst|sport|dport|type|code|id)=(\S+)")
_OVER = ("TIME_WAIT", "CLOSE", "LAST_ACK")

# A flow by its protocol and both directions' ends.
Flow = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """What a table says of a flow: TCP's state (else nothing), and the seconds it has left."""

    state: str
    left: int

    @property
    def over(self) -> bool:
        """Whether its flow has ended."""
        return self.state in _OVER

    @property
    def lasts(self) -> bool:
        """Whether it is there for a while, and its flow not over."""
        return self.left > LASTING_SECONDS and not self.over

    def __str__(self) -> str:
        return f"{self.state or 'there'} for {self.left} s"


Table = Mapping[Flow, Entry]


def parse(text: str, own: Iterable[str]) -> Table:
    """The entries in what `conntrack -L` printed, but for canaries and flows of the nodes' `own`."""
    left_out = CANARIES | frozenset(own)
    found = {}
    for line in text.splitlines():
        words = line.split()
        fields = _FIELD.findall(line)
        # Whose flow it is, the real ends tell: who began it, and who answers it.
        ends = {value for name, value in fields if name == "src"}
        if not left_out & ends:
            state = words[3] if words[0] == "tcp" else ""
            found[words[0], *(value for _, value in fields)] = Entry(state, int(words[2]))
    return found


def of(lab: Lab, node: str) -> Table:
    """A node's table, without the pair's own flows. Raises CommandFailed."""
    done = lab.node(node).run(["conntrack", "-L"])
    if done.returncode != 0:
        raise CommandFailed(f"{node}: conntrack -L: {done.output}")
    wires = [wire for spec in lab.topology.gateways for wire in spec.wires]
    own = [str(wire.address.ip) for wire in wires if wire.address]
    return parse(
        done.stdout, [*own, str(lab.topology.vgw.address.ip), str(lab.topology.wan_vip.ip)]
    )


@dataclass(frozen=True)
class Difference:
    """Flows of which one node has entries that last, and the other has none, or one of a flow that is over: both, by flow."""

    here: str
    there: str
    flows: Mapping[Flow, tuple[Entry, Entry | None]]

    def __str__(self) -> str:
        shown = "; ".join(
            f"{' '.join(flow)} ({ours} on {self.here}, {theirs or 'none'} on {self.there})"
            for flow, (ours, theirs) in sorted(self.flows.items())[:_SHOWN]
        )
        return (
            f"{self.here} has {len(self.flows)} entries that {self.there} has not, such as {shown}"
        )


def differences(lab: Lab, but: Iterable[Difference] = ()) -> list[Difference]:
    """In what the tables differ, but for what they differed in before; nothing where others use them."""
    if lab.shared:
        return []
    return compare({spec.name: of(lab, spec.name) for spec in lab.topology.gateways}, but)


def compare(nodes: Mapping[str, Table], but: Iterable[Difference] = ()) -> list[Difference]:
    """In what two nodes' tables differ, but for what they differed in before."""
    former = {(one.here, flow) for one in but for flow in one.flows}
    found = []
    for here, there in itertools.permutations(nodes):
        ours, theirs = nodes[here], nodes[there]
        # A flow that is over there alone will lack there soon: counted later, it would be the fault of what is judged then.
        flows = {
            flow: (entry, theirs.get(flow))
            for flow, entry in ours.items()
            if entry.lasts and (flow not in theirs or theirs[flow].over)
            if (here, flow) not in former
        }
        found += [Difference(here, there, flows)] if flows else []
    return found


def unequal(
    lab: Lab, but: Iterable[Difference], seconds: float = QUIET_SECONDS
) -> list[Difference]:
    """In what the tables still differ after so many seconds without traffic; empty once they do not."""
    former = list(but)
    wait_until(lambda: not differences(lab, former), seconds, every=0.2)
    return differences(lab, former)
