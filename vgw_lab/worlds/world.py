"""The lab's own world: namespaces from which no packet can leave and that leave nothing behind.

A world is one process tree under unshare(1): network, mount, process, host name and IPC namespaces,
and a user namespace when the caller may not make the others. It is found by a tag in its processes'
environment, so there is no state file that could outlive it. When its first process ends, for
whatever reason, the kernel ends all others and frees links and mounts (pid_namespaces(7)).
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from appliance import ApplianceError, CommandFailed, system
from vgw_lab.worlds import entry
from vgw_lab.worlds.topology import BRIDGES

DISK = Path("/run/lab")
PROGRAMS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "hostname": "hostname",
    "ip": "iproute2",
    "nft": "nftables",
    "ping": "iputils-ping",
}
_END_SECONDS = 10.0
# Sysctls that keep a plain user from making namespaces: the value that forbids, and one that allows.
_FORBIDDING = {
    "user.max_user_namespaces": ("0", "10000"),
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
}

# For a world and for each node: /sys of its own network, where the kernel lets us, and no IPv6.
OWN_KERNEL_FILES = """\
mount -t sysfs sysfs /sys 2>/dev/null || :
if [ -d /proc/sys/net/ipv6 ]; then
  echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
  echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
fi
"""


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.02) -> bool:
    """Whether a condition came true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


class World:
    """One lab's world, running or not. Two worlds with other names know nothing of each other."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._outer: subprocess.Popen[str] | None = None
        self._orders: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The world's first process, by its number here; None when there is none."""
        return entry.first(self.name, entry.WORLD)

    @property
    def disk(self) -> Path:
        """The world's own directory, as seen from here. Raises ApplianceError when it is gone."""
        return Path(f"/proc/{self._running()}/root{DISK}")

    def start(self, tied: bool = False) -> None:
        """Make the world; with `tied` it also ends when the calling thread does.

        Raises ApplianceError, which says what an administrator has to allow when the kernel refuses.
        """
        for name, package in PROGRAMS.items():
            if system.find_program(name) is None:
                raise ApplianceError(f"{name}: program not found; install Debian's {package}")
        self._outer = subprocess.Popen(
            world_argv(self.name, entry.may_make_namespaces(), tied),
            env=entry.environment(self.name, entry.WORLD),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._outer.stdout is not None
        if self._outer.stdout.readline().strip() != "ready":
            _, complaint = self._outer.communicate()
            raise ApplianceError(refusal(complaint, entry.sysctls(_FORBIDDING)))

    @contextlib.contextmanager
    def claim(self) -> Iterator[None]:
        """Keep others from making a lab of this name while this one is made. Raises ApplianceError."""
        with entry.claimed(self.name) as free:
            if not free:
                raise ApplianceError(
                    f"lab '{self.name}': somebody is making it this moment; wait until it is up, or give yours another name"
                )
            yield

    def run(self, argv: Sequence[str], text: str | None = None) -> system.Result:
        """Run a program in the world to its end."""
        return entry.run(self.name, entry.WORLD, self._running(), argv, text)

    def popen(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program in the world, with pipes to its input and output."""
        return entry.popen(self.name, entry.WORLD, self._running(), argv)

    def arm(self) -> None:
        """Start the ip(8) that waits for orders, so that the first order takes no time to start.

        Its complaints are dropped: links of a node that dies go by themselves as well.
        """
        if self._orders is None:
            self._orders = self.popen(["sh", "-c", "exec ip -force -batch - 2>/dev/null"])

    def order(self, lines: Sequence[str]) -> None:
        """Have batch lines carried out at once, all in one go, by an ip(8) that already runs."""
        self.arm()
        assert self._orders is not None and self._orders.stdin is not None
        self._orders.stdin.write("".join(f"{line}\n" for line in lines))
        self._orders.stdin.flush()

    def end(self) -> None:
        """End the world and everything in it; it may be gone already. Raises CommandFailed."""
        pid = self.pid
        if pid is not None:
            # The first process has no last words: the kernel does all the tidying.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for child in (self._orders, self._outer):
            if child is not None:
                child.communicate()
        self._orders = self._outer = None
        # With the first process of a world all others are gone: the kernel waits for them (pid_namespaces(7)).
        if pid is not None:
            entry.ended(pid, _END_SECONDS)
        if not wait_until(lambda: not entry.find(self.name), _END_SECONDS):
            left = ", ".join(f"{pid} ({place})" for place, pid in entry.find(self.name).items())
            raise CommandFailed(
                f"lab '{self.name}': still there {_END_SECONDS:g} s after SIGKILL: {left}; "
                "a process may be stuck in the kernel"
            )

    def _running(self) -> int:
        pid = self.pid
        if pid is None:
            raise ApplianceError(f"lab '{self.name}': not up; `vgw lab up` makes it")
        return pid


def world_argv(name: str, privileged: bool, tied: bool) -> list[str]:
    """The command that becomes a world: it prints `ready` once its bridges are there."""
    bridges = "\n".join(
        f"link add {bridge} up type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        for bridge in BRIDGES
    )
    script = (
        "mount -t tmpfs -o mode=755 tmpfs /run\n"
        f"mkdir -p /run/lock {DISK}\n"
        f"hostname {name}\n"
        f"{OWN_KERNEL_FILES}"
        f"ip -batch - <<END\nlink set lo up\n{bridges}\nEND\n"
        "echo ready\n"
        f"exec '{sys.executable}' -m vgw_lab.worlds.reaper >{DISK}/log 2>&1\n"
    )
    user = [] if privileged else ["--user", "--map-root-user"]
    tie = ["setpriv", "--pdeathsig", "KILL"] if tied else []
    spaces = ["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc"]
    return [*tie, "unshare", *user, *spaces, "--kill-child", "sh", "-ec", script]


def refusal(complaint: str, settings: dict[str, str]) -> str:
    """Why the kernel made no world, in a sentence. `settings` are the sysctls that can forbid it."""
    for key, (forbids, allows) in _FORBIDDING.items():
        if settings.get(key) == forbids:
            return (
                f"the kernel lets a plain user make no namespaces: {key} is {forbids}; an "
                f"administrator can allow it with `sysctl -w {key}={allows}`, or run this as root"
            )
    return (
        f"the kernel made no namespaces for the lab: {complaint.strip() or 'no reason given'}; "
        "run it as root or as a user who may make user namespaces; in a container, both need "
        "CAP_SYS_ADMIN and a seccomp profile that allows unshare(2)"
    )
