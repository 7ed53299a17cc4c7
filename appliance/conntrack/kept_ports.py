"""Tells the peer first of flows that kept their port while a sibling's was moved (see `request`).

The agent runs it as `python -m appliance.conntrack.kept_ports` before it answers a peer that asks for everything:
a process of its own, for reading a large table takes a second or two.
"""

import sys

from appliance import ApplianceError
from appliance.conntrack import table

RATE = 20_000.0  # touches a second, at most


def main() -> None:
    """Touch them; an error is told, and ends it with 1."""
    try:
        table.touch(table.kept_beside_moved(), RATE)
    except ApplianceError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
