"""The status file of a node that runs, read: how old it is, and what may keep a new one from being written."""

import os
import time

from appliance import ApplianceError
from appliance.run_dir import STATUS, RunDir
from appliance.status import node_status
from appliance.status.node_status import Moment, Snapshot


def read(run_dir: RunDir) -> Snapshot:
    """What the agent last wrote. Raises ApplianceError where no gateway runs, or this is none of its."""
    path = f"{run_dir}/{STATUS}"
    try:
        with open(path, encoding="utf-8", errors="backslashreplace") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise ApplianceError(
            f"no gateway runs here: there is no {path}; `vgw start` runs one"
        ) from None
    except OSError as error:
        remedy = "run this as root" if isinstance(error, PermissionError) else "see what lies there"
        raise ApplianceError(
            f"{path} cannot be read: {os.strerror(error.errno or 0)}; {remedy}"
        ) from None
    return node_status.from_json(text, path)


def moment() -> Moment:
    """Now, by the clocks that a status tells times by."""
    return Moment(boot(), time.monotonic(), time.time())


def boot() -> str:
    """The kernel's id of this start of the machine (random(4)); empty where it does not tell."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def unwritable(run_dir: RunDir) -> str:
    """Why nothing can be written beside it, in a word: full, or read-only; empty where neither is known."""
    try:
        found = os.statvfs(str(run_dir))
    except OSError:
        return ""
    if found.f_flag & os.ST_RDONLY:
        return "read-only"
    return "full" if found.f_blocks and not found.f_bavail else ""
