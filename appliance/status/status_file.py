"""The status file of a node that runs, read."""

import os

from appliance import ApplianceError
from appliance.run_dir import STATUS, RunDir
from appliance.status import node_status
from appliance.status.node_status import Snapshot


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
