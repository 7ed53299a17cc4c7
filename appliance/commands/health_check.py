"""`vgw health`: a look at the status file and nothing else.

An image asks each ten seconds, on a busy machine too. So this imports little, and no command line.
"""

import os
import sys
import time

from appliance import ApplianceError
from appliance.run_dir import RunDir
from appliance.status import status_file
from appliance.status.health import sickness


def tell() -> None:
    """Say that this node is healthy. Raises ApplianceError with the reason where it is not."""
    snapshot = status_file.read(RunDir.named_in(os.environ))
    if reason := sickness(snapshot, time.time()):
        raise ApplianceError(f"{snapshot.node} is not healthy: {reason}")
    sys.stdout.write(f"{snapshot.node} is {snapshot.role} and healthy\n")
