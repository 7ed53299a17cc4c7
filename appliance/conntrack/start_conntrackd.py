"""Becomes conntrackd, once nothing is left that would keep it from starting or that it must not own.

It is run as `python -m appliance.conntrack.start_conntrackd @FILE`, with its words in that file. Of a flow that begins or
ends before conntrackd runs nobody tells the peer, so it imports little: what it needs are these words.
"""

import argparse
import contextlib
import os
import sys
from typing import NoReturn

from appliance import CommandFailed
from appliance.wires import local_address


def deletions(holds_vgw: bool | None, wan_vip: str) -> list[list[str]]:
    """The commands (conntrack(8)) that delete what conntrackd must not find here; none on the MASTER.

    conntrackd takes what is in the kernel's table for this node's own. On a node without the VGW, what is
    translated to or from the WAN VIP is a replica: it goes, and the peer is asked for it afresh. None means
    that the kernel did not tell; then all stays, for a replica too many costs less than a live flow.
    """
    if holds_vgw is not False:
        return []
    return [["conntrack", "--delete", way, wan_vip] for way in ("--reply-dst", "--orig-dst")]


def _holds(vgw: str) -> bool | None:
    try:
        return local_address.holds(vgw)
    except CommandFailed as error:
        sys.stderr.write(f"conntrackd: whatever is in the connection table stays there: {error}\n")
        return None


def _run(command: list[str]) -> None:
    """Run a program to its end, whatever that is: conntrack(8) ends with 1 where nothing was to be deleted."""
    quiet = [
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    with contextlib.suppress(FileNotFoundError):
        os.waitpid(os.posix_spawnp(command[0], command, os.environ, file_actions=quiet), 0)


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m appliance.conntrack.start_conntrackd",
        description="Become conntrackd.",
        fromfile_prefix_chars="@",
    )
    parser.add_argument("--vgw", required=True, help="the gateway address; its holder is MASTER")
    parser.add_argument("--wan-vip", required=True, help="what flows are translated to")
    parser.add_argument("--conf", required=True, help="conntrackd's configuration")
    parser.add_argument(
        "--left", nargs="*", default=[], help="files that a conntrackd leaves which was killed"
    )
    return parser


def main() -> NoReturn:
    """Remove what was left, delete what must not be here, and become conntrackd."""
    given = options().parse_args()
    for path in given.left:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - importing pathlib would take a fifth of the time
    for command in deletions(_holds(given.vgw), given.wan_vip):
        _run(command)
    try:
        os.execvp("conntrackd", ["conntrackd", "-C", given.conf])  # noqa: S607 - where PATH has it
    except OSError as error:
        sys.exit(f"conntrackd could not be started: {error.strerror}")


if __name__ == "__main__":
    main()
