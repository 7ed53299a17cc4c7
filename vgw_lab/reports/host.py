"""What was measured on: the machine, and the versions of the daemons."""

import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from appliance import ApplianceError, system

_DAEMONS = ("keepalived", "conntrackd", "nft")


def described(more: Sequence[str] = ()) -> dict[str, str]:
    """Processor, memory, kernel and programs of this machine; `more` names others that count."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in (system.read(Path("/proc/cpuinfo")) or "").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = (system.read(Path("/proc/meminfo")) or "0 0").split()[1]
    found = {
        "processors": f"{os.cpu_count()} of {model}",
        "memory": f"{int(memory) / 1e6:.0f} GB",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    for name in (*_DAEMONS, *more):
        if system.find_program(name) is not None:
            found[name] = _version(system.attempt([name, "-v"]).output) or "unknown"
    return found


def node(run: Callable[[Sequence[str]], system.Result]) -> dict[str, str]:
    """The same of a node on which `run` runs programs: kernel and daemons; empty for one that is mute."""
    found = {}
    try:
        kernel = run(["uname", "-r"])
        if kernel.returncode == 0:
            found["kernel"] = kernel.stdout.strip()
            for name in _DAEMONS:
                if version := _version(run([name, "-v"]).output):
                    found[name] = version
    except ApplianceError:
        return found
    return found


def line(described: Mapping[str, str]) -> str:
    """All that in one line."""
    return "; ".join(f"{name} {value}" for name, value in described.items())


def _version(said: str) -> str | None:
    version = re.search(r"\d+\.[\d.]*\d", said)
    return version[0] if version else None
