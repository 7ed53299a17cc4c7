"""Has the peer hear of flows that kept their port before it hears of a sibling whose port was moved (pair.resync).

The agent runs it as a process of its own, for reading a large table takes a second or two: on the MASTER with
`--tell`, before it answers a peer that asks for everything; on the standby with `--drop`, when that was told.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from appliance import ApplianceError
from appliance.conntrack import table
from appliance.wires import local_address

RATE = 20_000.0  # touches a second, at most


def tell(file: Path) -> None:
    """Touch those that kept their port beside a moved sibling; nobody else touches any meanwhile."""
    hold(file)
    if table.touch(_held(table.kept_beside_moved(), file), RATE).sent:
        hold(file)
    else:
        file.unlink(missing_ok=True)


def hold(file: Path) -> None:
    """Have others wait: the file's time of change is set to now, on the monotonic clock. Needs no room on a full disk."""
    file.touch()
    now = time.monotonic()
    os.utime(file, (now, now))


def _held(batches: Iterator[list[bytes]], file: Path) -> Iterator[list[bytes]]:
    for names in batches:
        hold(file)
        yield names


def drop(vgw: str) -> int:
    """Remove the replicas whose port is not the flow's own, true or not; how many there were.

    What came before all had been told may have the port of a sibling. Who holds the VGW has no replicas,
    and drops none.
    """
    here = (names for names in table.moved() if not local_address.holds(vgw))
    return table.remove(here).sent


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m appliance.conntrack.kept_ports",
        description="Have the peer hear first of flows that kept their port.",
    )
    deed = parser.add_mutually_exclusive_group(required=True)
    deed.add_argument(
        "--tell", type=Path, metavar="FILE", help="tell, and have this file hold others"
    )
    deed.add_argument("--drop", metavar="VGW", help="drop replicas, unless this address is here")
    return parser


def main() -> None:
    """Do the one or the other, and print how many were dropped; an error is told, and ends it with 1."""
    given = options().parse_args()
    try:
        if given.tell:
            tell(given.tell)
        else:
            sys.stdout.write(f"{drop(given.drop)}\n")
    except ApplianceError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
