"""What lives as long as the node imports little: an import that a command takes for a second, it takes for good."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What some module of ours, or of a library of ours, imports where it can, and what each would bring along.
HEAVY = {
    "click": "the command line",
    "rich": "the lab's tables",
    "typer": "the lab's command line",
    "prometheus_client": "what `vgw metrics` alone needs, and a web server",
    "supervisor": "a web server",
    "asyncio": "a loop beside our own, and ssl",
    "concurrent": "threads and pools of processes",
    "unittest": "what tests need",
    "multiprocessing": "what other processes need",
    "vgw_lab": "the lab",
}


def imported(module: str) -> set[str]:
    """The packages that are there once a module is, in a process of its own."""
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_agent_imports_nothing_that_only_others_need() -> None:
    found = imported("appliance.agent.loop")
    assert "pydantic" in found
    assert not found & HEAVY.keys()
