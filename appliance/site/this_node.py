"""The machine as the gateway finds it: which file, which node it is, which interfaces it has."""

import os
import socket
import sys
from pathlib import Path

from appliance import ApplianceError, NoConfiguration, system
from appliance.config import gateway_file
from appliance.config.model import Config
from appliance.drivers import firewall, routes, xfrm
from appliance.planning.wanted import Names, Site
from appliance.processes import versions
from appliance.run_dir import RunDir
from appliance.site import locate
from appliance.vrrp import Role

CONFIG_PATH = Path("/etc/vgw/gateway.yaml")
_MOUNTS = Path("/proc/self/mountinfo")  # proc_pid_mountinfo(5)
_GONE = "//deleted"  # how the kernel marks a mounted file that has no name any more


def run_dir() -> RunDir:
    """Where the daemons' files, sockets and notes lie; VGW_RUN_DIR says another place."""
    return RunDir.named_in(os.environ)


def load(path: Path) -> Config:
    """The checked configuration; warnings go to stderr. Raises ConfigErrors and NoConfiguration."""
    return read(path)[0]


def read(path: Path) -> tuple[Config, str]:
    """The same, and its text as it was given."""
    try:
        text = path.read_bytes()
    except PermissionError:
        raise NoConfiguration(
            f"{path}: Permission denied; root without CAP_DAC_OVERRIDE, as in a container, reads what everybody "
            "may read: `chmod a+r` the file, and `chmod a+rx` its folder"
        ) from None
    except OSError as error:
        raise NoConfiguration(
            f"{path}: {error.strerror}; name the file as argument, or in VGW_CONFIG"
        ) from None
    if _is_replaced(path):
        raise NoConfiguration(
            f"{path}: another file has taken its place since it was mounted here, as most editors and git do, and only "
            "the former one can be seen; start the container anew, and mount the folder in place of the file"
        )
    wanted, warnings = gateway_file.parse_with_warnings(text, str(path))
    for warning in warnings:
        sys.stderr.write(f"{warning}\n")
    return wanted, text.decode()


def _is_replaced(path: Path) -> bool:
    """Whether it is a mount of a file that lost its name outside, so that no change of the file comes in here."""
    mounts = (line.split() for line in (system.read(_MOUNTS) or "").splitlines())
    return any(root.endswith(_GONE) and at == str(path) for _, _, _, root, at, *_ in mounts)


def node_name(wanted: Config, name: str | None = None) -> str:
    """Which of the two nodes this machine is: as said, or by its host name."""
    found = name or os.environ.get("VGW_NODE") or socket.gethostname()
    if found not in wanted.nodes:
        raise ApplianceError(
            f"this node calls itself {found}, and the file knows {' and '.join(wanted.nodes)}; "
            "say which one it is in VGW_NODE, or by --node"
        )
    return found


def site(wanted: Config, node: str, path: Path) -> Site:
    """What planning must know of this machine. Raises MissingInterface and MissingProgram."""
    links = {name: link.addresses for name, link in routes.links().items()}
    return Site(
        interfaces=locate.locate(wanted, node, links),
        versions=versions.installed_versions(),
        run_dir=run_dir(),
        python=Path(sys.executable),
        config_path=path.absolute(),
        own_network=xfrm.own_network(),
        sees_frames=firewall.of(names(), run_dir()).sees_frames(),
        names=names(),
    )


def names() -> Names:
    """What the kernel's objects of this gateway are called: the same everywhere, for one is allowed a network."""
    return Names()


def role_now(wanted: Config) -> Role:
    """The role by what is so: who holds the VGW is the MASTER."""
    return Role.MASTER if routes.holds(wanted.vgw.address.ip) else Role.BACKUP
