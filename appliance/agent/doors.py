"""The agent's doors to what is outside the process: a test brings its own. Nothing is decided here.

The kernel's objects are reached by the drivers, and supervisord by its socket in the run directory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from appliance import system
from appliance.agent.answers import ClaimsDoor
from appliance.agent.requests import FlowEndDoor
from appliance.agent.sources import Heard, Sources
from appliance.conntrack.ending import FlowEnd
from appliance.pair.doors import Doors
from appliance.processes import programs
from appliance.processes.programs import Program
from appliance.run_dir import RunDir
from appliance.wires import adverts
from appliance.wires.claims import Claims

_SNMP = Path("/proc/net/snmp")


class SourcesDoor(Protocol):
    """Tells what has come, and waits for it (`agent.sources`)."""

    def wait(self, others: Sequence[int], seconds: float) -> Heard:
        """What has come, at the latest after so many seconds."""

    def listen(self) -> None:
        """Have commands find this agent. Raises ApplianceError where they cannot."""

    def close(self) -> None:
        """Have commands find nobody here any more."""

    def told_to_stop(self) -> bool:
        """Whether the agent is to end."""

    def told_to_reload(self) -> bool:
        """Whether the file is to be read again; said once for each time."""


def forwarded() -> int:
    """How many packets this network namespace has forwarded (ForwDatagrams of RFC 4293)."""
    names, values = (line.split() for line in _SNMP.read_text(encoding="ascii").splitlines()[:2])
    return int(values[names.index("ForwDatagrams")])


@dataclass(frozen=True)
class AgentDoors:
    """All doors of an agent, with those of its side of the pair.

    `sources` opens what is waited for, given the run directory and the firewall's notices; `pause` waits where that fails;
    `vrrp_sockets` counts those of a process, None where that cannot be told. `run_before_others` gives a process a realtime
    priority, and tells whether it has it.
    """

    pair: Doors = field(default_factory=Doors)
    monotonic: Callable[[], float] = system.monotonic
    pause: Callable[[float], None] = system.pause
    sources: Callable[[RunDir, Sequence[tuple[int, int]]], SourcesDoor] = Sources
    forwarded: Callable[[], int] = forwarded
    vrrp_sockets: Callable[[int], int | None] = adverts.sockets
    kill: Callable[[Program], None] = programs.kill
    run_before_others: Callable[[int, int], bool] = programs.run_before_others
    ends: Callable[[], FlowEndDoor] = FlowEnd
    claims: Callable[[], ClaimsDoor] = Claims
