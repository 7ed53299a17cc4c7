"""The agent's program, which supervisord runs: it lives as long as the node and should be small.

What is imported stays for as long as it lives, so the garbage collector need not walk it again and again meanwhile: a twelfth
of the start. The file, the node and the run directory come by environment.
"""

import gc
import os
from pathlib import Path


def main() -> None:
    """Import the agent and run it until it is told to stop."""
    gc.disable()
    from appliance.agent import loop
    from appliance.site import this_node

    loop.main(Path(os.environ.get("VGW_CONFIG", this_node.CONFIG_PATH)))


if __name__ == "__main__":
    main()
