"""`vgw health`: a look at the status file and nothing else.

An image asks each ten seconds, on a busy machine too. So this imports little, and no command line.
"""

import os
import sys

from appliance import ApplianceError
from appliance.run_dir import RunDir
from appliance.status import status_file
from appliance.status.health import STATUS_SILENCE, sickness


def tell() -> None:
    """Say that this node is healthy. Raises ApplianceError with the reason where it is not."""
    run_dir = RunDir.named_in(os.environ)
    snapshot, now = status_file.read(run_dir), status_file.moment()
    if reason := sickness(snapshot, now):
        old = now.age(snapshot) > STATUS_SILENCE
        why = status_file.unwritable(run_dir) if old else ""
        cause = f": {run_dir} is {why}, so it cannot write" if why else ""
        raise ApplianceError(f"{snapshot.node} is not healthy: {reason}{cause}")
    sys.stdout.write(f"{snapshot.node} is {snapshot.role} and healthy\n")
