"""Too much of something: SYNs during a takeover, a full connection table, no port left outside."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from appliance import CommandFailed
from vgw_lab.faults.fault import Fault, nothing
from vgw_lab.faults.orders import STUMBLE, begin_storm, power_off, power_on, storm
from vgw_lab.measures import checks, load
from vgw_lab.measures.checks import Findings
from vgw_lab.worlds.running import Lab

_STORM_SECONDS = 60
_SYNS_A_SECOND = 2000
# The storm takes the processors too, here of both nodes and of the machines.
_UNDER_STORM_SECONDS = 1.0
_TOLD_SECONDS = 15.0
_EMPTIED_SECONDS = 120.0
_FILL_SECONDS = 120.0
# An address of the internet that the probe and the flows do not use, and a port without a service.
_TARGET, _PORT = "1.1.1.1", 9
_PORTS_A_SECOND = 20_000
_ENDED_UNSEEN = (
    "what ends in the moment of a takeover nobody sees; its entry stays until its timer ends, and keeps "
    "out a new flow of the same ends"
)
_COUNTER = re.compile(r"\binsert_failed=(\d+)")


@contextmanager
def _syn_storm(lab: Lab, node: str) -> Iterator[None]:
    """A machine begins thousands of TCP connections each second, all the while."""
    words = f"syns --rate {_SYNS_A_SECOND} --seconds {_STORM_SECONDS}"
    child = begin_storm(lab, lab.topology.machines[-1].name, words)
    try:
        time.sleep(1)  # so that it is at its full strength
        yield
    finally:
        child.communicate()


def _fill(lab: Lab, node: str) -> None:
    """Entries until no more are taken; what is there stays."""
    gateway = lab.node(node)
    most = int(gateway.run(["cat", load.LIMIT]).stdout)
    child = gateway.popen(["sh", "-c", "conntrack -R - 2>/dev/null"])
    child.communicate(load.table(lab.topology, most), timeout=_FILL_SECONDS)


def _empty(lab: Lab, node: str) -> None:
    for spec in lab.topology.gateways:
        words = ["conntrack", "-D", "-p", "udp", "--orig-dst", load.FILLING]
        lab.node(spec.name).run(["sh", "-c", '"$0" "$@" >/dev/null 2>&1', *words], _FILL_SECONDS)


def _full_told(lab: Lab, node: str, found: Findings) -> None:
    held, most = (
        int(lab.node(node).run(["cat", f"{load.LIMIT.removesuffix('max')}{word}"]).stdout)
        for word in ("count", "max")
    )
    found.figures["entries in the full table"] = held
    found.require(held > 0.99 * most, f"{node}: holds {held} entries of {most}, which is not full")
    before = checks.roles(lab)
    found.within(
        _TOLD_SECONDS,
        f"{node} tells that its table is full",
        lambda: checks.tells(lab, node, lambda pair: "the connection table holds" in pair.degraded),
    )
    after = checks.roles(lab)
    found.require(after == before, f"the roles were {before} and became {after} meanwhile")


def _replicating(lab: Lab, node: str, found: Findings) -> None:
    found.within(_EMPTIED_SECONDS, "replication works again", lambda: checks.replicating(lab))
    # A whole table that comes and goes is half a million messages, which the peer takes in one by one.
    found.within(_EMPTIED_SECONDS, "the peer is up to date again", lambda: not lab.behind(node))


def _refused(lab: Lab, node: str) -> int:
    """How many flows the node's connection tracking could not insert since it started."""
    done = lab.node(node).run(["conntrack", "-S"])
    if done.returncode != 0:
        raise CommandFailed(f"{node}: conntrack -S: {done.output}")
    return sum(map(int, _COUNTER.findall(done.stdout)))


def _ports_run_out(lab: Lab, node: str, found: Findings) -> None:
    before, roles = _refused(lab, node), checks.roles(lab)
    words = f"from-ports --target {_TARGET} --port {_PORT} --rate {_PORTS_A_SECOND}"
    for spec in lab.topology.machines[:2]:
        found.figures[f"flows begun by {spec.name}"] = storm(lab, spec.name, words)
    found.figures["flows that got no port"] = _refused(lab, node) - before
    found.require(_refused(lab, node) > before, f"{node}: counts no flow that got no port")
    machine = lab.topology.machines[-1].name
    found.require(lab.pings(machine), f"{machine}: no ping to another destination passes")
    after = checks.roles(lab)
    found.require(after == roles, f"the roles were {roles} and became {after} meanwhile")


def _one_machine(lab: Lab) -> str | None:
    return None if len(lab.topology.machines) > 1 else "it takes two machines behind the pair"


def _cannot_fill(lab: Lab) -> str | None:
    if lab.engine == "namespaces":
        return None
    return "conntrack 1.4.8 of the image stops filling the table with `Operation not supported`"


FAULTS = (
    Fault(
        "syn-storm",
        f"its power is cut while {_SYNS_A_SECOND} TCP connections begin each second",
        "silent",
        power_off,
        power_on,
        (19,),
        unplugs=True,
        gap=_UNDER_STORM_SECONDS,
        flows=0.1,
        scene=_syn_storm,
        known={"leftover": _ENDED_UNSEEN, "missing": _ENDED_UNSEEN},
    ),
    Fault(
        "table-full",
        "its connection table is full",
        "silent",
        _fill,
        _empty,
        (28,),
        moves=False,
        gap=STUMBLE,
        turns=0,
        during=_full_told,
        after=_replicating,
        lacks=_cannot_fill,
        healthy=_EMPTIED_SECONDS,
    ),
    Fault(
        "no-port-left",
        "no port is left outside for one destination",
        "silent",
        nothing,
        nothing,
        (29,),
        moves=False,
        gap=STUMBLE,
        turns=0,
        during=_ports_run_out,
        lacks=_one_machine,
    ),
)
