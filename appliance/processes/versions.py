"""The versions of the programs on this machine, and what it lets them do."""

import re
import socket

from appliance import CommandFailed, system
from appliance.planning.wanted import Versions

_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; the socket module does not name it


def installed_versions() -> Versions:
    """The version of keepalived on this machine, and what it allows. Raises MissingProgram."""
    return Versions(
        keepalived=_version(system.attempt(["keepalived", "--version"]).output),
        large_buffers=_may_have_large_buffers(),
    )


def _may_have_large_buffers() -> bool:
    """Whether a socket here may have a buffer above net.core.rmem_max (socket(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 20)
        except PermissionError:
            return False
    return True


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"v(\d+)\.(\d+)\.(\d+)", text)
    if found is None:
        raise CommandFailed(f"no version number in {text.splitlines()[:1]}")
    return tuple(int(part) for part in found.groups())
