"""What the daemons of a node take: processor time and memory, idle, while they learn, and with a full table."""

import os
import time
from collections.abc import Callable
from typing import Any

from vgw_lab.bench import pair
from vgw_lab.bench.setups import SETUPS
from vgw_lab.worlds.running import Lab

_SETUP = "ours-standard"
_WORDS = {
    "conntrackd": "conntrackd",
    "keepalived": "keepalived",
    "appliance.conntrack.replica_refresh": "refresh",
    "-m appliance.agent ": "agent",
    "supervise": "supervisord",
}
_LOOK = "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; printf '\\t'; cat $p/stat; done 2>/dev/null"
Sample = dict[str, tuple[float, float]]


def sample(text: str, ticks: int, page: int) -> Sample:
    """Processor seconds and megabytes by program, out of command lines and proc_pid_stat(5)."""
    found: Sample = {}
    for line in text.splitlines():
        command, _, stat = line.partition("\t")
        name = next((name for word, name in _WORDS.items() if word in command), None)
        fields = stat.rpartition(")")[2].split()
        if name is None or len(fields) < 22:
            continue
        seconds, memory = found.get(name, (0.0, 0.0))
        spent = (int(fields[11]) + int(fields[12])) / ticks
        found[name] = (seconds + spent, memory + int(fields[21]) * page / 1e6)
    return found


def _look(lab: Lab, node: str) -> Sample:
    done = lab.node(node).run(["sh", "-c", _LOOK])
    return sample(done.stdout, os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE"))


def measure(
    name: str, entries: int, rest: float, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row for each program of both nodes; `rest` is how many seconds idling is watched."""
    setup = SETUPS[_SETUP]
    with pair.lab_of(name, setup.topology()) as lab:
        master = pair.await_rest(lab, setup)
        nodes = {"MASTER": master, "BACKUP": lab.other(master)}

        def look() -> dict[str, Sample]:
            return {role: _look(lab, node) for role, node in nodes.items()}

        say("cost of the daemons: idle")
        samples = [look()]
        time.sleep(rest)
        samples.append(look())
        say(f"cost of the daemons: {entries} flows are learned")
        pair.fill(lab, setup, master, entries)
        samples.append(look())
        say(f"cost of the daemons: {entries} flows are known")
        time.sleep(rest)
        samples.append(look())
    return [
        row for role in nodes for row in rows(role, [one[role] for one in samples], rest, entries)
    ]


def rows(role: str, samples: list[Sample], rest: float, entries: int) -> list[dict[str, Any]]:
    """What each program of a node took between four looks: idle, learning, and idle with the flows."""
    first, empty, learned, full = samples
    scale = 100_000 / entries
    return [
        {
            "role": role,
            "program": name,
            "idle_percent": (empty[name][0] - first[name][0]) / rest * 100,
            "learn_seconds": (learned[name][0] - empty[name][0]) * scale,
            "full_percent": (full[name][0] - learned[name][0]) / rest * 100,
            "empty_mb": empty[name][1],
            "full_mb": full[name][1],
        }
        for name in sorted(full)
        if all(name in one for one in samples)
    ]
