"""One gateway a network: a node's claim to the network namespace it runs in, which ends with its process.

An abstract socket (unix(7)) is known in one network namespace only, whatever containers share that, and the
kernel closes it with the last process that has it, so no claim is left behind. Two names are taken: one that
only one can have, and one that tells everybody whose it is.
"""

import contextlib
import errno
import socket
from pathlib import Path

from appliance import ApplianceError
from appliance.run_dir import RunDir

_SOCKETS = Path("/proc/self/net/unix")
_LONGEST_NAME = 107  # bytes of a name, without the zero at its head (sun_path, unix(7))


def take(name: str, node: str, run_dir: RunDir) -> None:
    """Claim this network for a node, under a name; for this process and the program that it becomes.

    Raises ApplianceError where somebody else has it.
    """
    try:
        _hold(name)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise ApplianceError(_refusal(name, _signs(name))) from None
    _hold(f"{name} {_identity(run_dir)} {node} in {run_dir}")


def refusal(name: str, run_dir: RunDir) -> str | None:
    """Why a node of this run directory may not run here; None where nobody else has a claim."""
    own = _identity(run_dir)
    others = [sign for sign in _signs(name) if sign.partition(" ")[0] != own]
    return _refusal(name, others) if others else None


def _refusal(name: str, signs: list[str]) -> str:
    who = " and ".join(sign.partition(" ")[2] for sign in signs) or "one that does not say which"
    return (
        f"a gateway runs in this network namespace already: {who}; stop it first, or give this one a "
        f"network namespace of its own (`ss -xap | grep @{name}` names its process)"
    )


def _identity(run_dir: RunDir) -> str:
    """What tells run directories apart also between containers, which call theirs the same."""
    with contextlib.suppress(OSError):
        status = run_dir.path.stat()
        return f"{status.st_dev}:{status.st_ino}"
    return "-"


def _signs(name: str) -> list[str]:
    """What the claims in this network say: identity, node and run directory each."""
    lines = _SOCKETS.read_text(encoding="utf-8", errors="replace").splitlines()
    # Address, six fields, and the name, whose zero at the head is shown as @ (proc_pid_net(5)).
    paths = [fields[7] for line in lines if len(fields := line.split(None, 7)) > 7]
    return [path.partition(" ")[2] for path in paths if path.startswith(f"@{name} ")]


def _hold(name: str) -> None:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(b"\0" + name.encode()[:_LONGEST_NAME])
    except OSError:
        claim.close()
        raise
    # Nobody here uses it again: it is open until the process ends, also across exec.
    claim.set_inheritable(True)
    claim.detach()
