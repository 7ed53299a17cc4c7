"""What a machine meets that knows no neighbour yet and opens a connection: how many of these work at once."""

import json

from appliance import CommandFailed
from vgw_lab.instruments.newcomer import Tally
from vgw_lab.measures.checks import Findings
from vgw_lab.worlds.running import Lab

ENOUGH = 0.99


def check(lab: Lab, found: Findings, seconds: float, when: str) -> None:
    """Have the last machine open connections for so many seconds; nearly all must work at once."""
    note(found, count(lab, seconds), when)


def note(found: Findings, tally: Tally, when: str) -> None:
    """Note how many worked at once, and that it were too few."""
    found.figures[f"new connections that worked at once {when}, %"] = round(100 * tally.share, 1)
    found.require(
        tally.share >= ENOUGH,
        f"{len(tally.failed)} of {tally.opened} new connections did not work at once {when}: "
        f"those begun after {', '.join(f'{at:g}' for at in tally.failed[:10])} s",
    )


def count(lab: Lab, seconds: float) -> Tally:
    """The same, to be judged. Raises CommandFailed."""
    machine = lab.topology.machines[-1].name
    interface = lab.interface(machine, "lan")
    words = ["--interface", interface, "--gateway", str(lab.topology.vgw.address.ip)]
    child = lab.node(machine).instrument("newcomer", [*words, "--seconds", f"{seconds:g}"])
    assert child.stdout
    try:
        said = child.stdout.read()
    finally:
        child.communicate()  # it ends with its input: also where Ctrl-C came, and it had just begun
    last = said.splitlines()[-1:]
    if not last or not last[0].startswith("{"):
        raise CommandFailed(f"{machine}: the newcomer ended without a count")
    return Tally(**json.loads(last[0]))
