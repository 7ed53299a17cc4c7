"""A pair of any set-up in a lab of its own: made, waited for, and its table filled."""

from collections.abc import Iterator
from contextlib import contextmanager

from appliance import ApplianceError, CommandFailed, NotConverged
from vgw_lab.bench import recipes
from vgw_lab.bench.setups import Setup
from vgw_lab.measures import load
from vgw_lab.worlds.namespaces import NamespaceLab
from vgw_lab.worlds.running import HEALTHY_SECONDS, Lab
from vgw_lab.worlds.topology import Topology
from vgw_lab.worlds.world import wait_until

_FILL_SECONDS = 180.0
_BACKUP = "Entering BACKUP STATE"


@contextmanager
def lab_of(name: str, plan: Topology) -> Iterator[NamespaceLab]:
    """A lab for a while, tied to this process: whatever happens, nothing of it stays."""
    lab = NamespaceLab(name, plan)
    if lab.up:
        raise ApplianceError(
            f"lab '{name}' is up already: another bench runs; wait for it, or say --name"
        )
    try:
        lab.start(tied=True)
        yield lab
    finally:
        lab.end()


def await_rest(lab: Lab, setup: Setup, seconds: float = HEALTHY_SECONDS) -> str:
    """The MASTER's name, once the pair is at rest. Raises NotConverged after so many seconds.

    At rest: one node holds the VGW, the other knows that it is BACKUP, a ping passes, and the two
    conntrackd, where there are any, answer.
    """
    if setup.ours:
        return lab.wait_healthy(seconds)
    first = lab.topology.gateways[0].name
    if not wait_until(lambda: _rests(lab, setup, first), seconds, every=0.1):
        raise NotConverged(
            f"{setup.name}: not at rest after {seconds:g} s: held by "
            f"{' and '.join(lab.holders()) or 'nobody'}; its log ends:\n{lab.log(first, 8)}"
        )
    return first


def _rests(lab: Lab, setup: Setup, first: str) -> bool:
    for spec in lab.topology.gateways:
        if not lab.node(spec.name).on:
            raise NotConverged(
                f"{setup.name}: {spec.name} ended by itself:\n{lab.log(spec.name, 8)}"
            )
    return (
        lab.holders() == (first,)
        and _BACKUP in lab.log(lab.other(first))
        and (not replicates(setup) or all(_answers(lab, g.name) for g in lab.topology.gateways))
        and lab.pings(lab.topology.machines[0].name)
    )


def replicates(setup: Setup) -> bool:
    """Whether it tells the other node of its connections."""
    return setup.recipe is None or setup.recipe.replicates


def _answers(lab: Lab, node: str) -> bool:
    words = ["conntrackd", "-C", str(recipes.CONNTRACKD), "-s"]
    return lab.node(node).run(words).returncode == 0


def fill(lab: Lab, setup: Setup, master: str, entries: int) -> None:
    """Fill the MASTER's table with idle entries, and wait until the standby knows them too.

    Raises ApplianceError where the machine's tables are too small, CommandFailed where the standby
    did not learn of 99 in 100 of them in time.
    """
    load.fill(lab, master, entries)
    if not replicates(setup):
        return
    standby = lab.other(master)
    if not wait_until(
        lambda: known(lab, setup, standby) >= 0.99 * entries, _FILL_SECONDS, every=0.5
    ):
        raise CommandFailed(
            f"{setup.name}: the standby knows {known(lab, setup, standby)} of {entries} entries "
            f"after {_FILL_SECONDS:g} s"
        )


def known(lab: Lab, setup: Setup, standby: str) -> int:
    """How many connections a standby knows: in its kernel, or in conntrackd's external cache."""
    if setup.ours:
        done = lab.node(standby).run(["conntrack", "-C"])
        return int(done.stdout) if done.returncode == 0 else 0
    done = lab.node(standby).run(["conntrackd", "-C", str(recipes.CONNTRACKD), "-s"])
    return external(done.stdout)


def external(statistics: str) -> int:
    """The entries of the external cache, in what `conntrackd -s` prints (conntrackd(8))."""
    _, _, part = statistics.partition("cache external:")
    _, _, rest = part.partition("current active connections:")
    words = rest.split()
    return int(words[0]) if words else 0
