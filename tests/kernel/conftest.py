"""Namespaces of a test's own: its code runs in a child that the kernel has given a network to itself."""

import ctypes
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
GOLDEN = Path(__file__).parents[1] / "golden"
LINKS = ("eth0", "eth1", "eth2", "eth3")

Body = Callable[[], Any]
Namespace = Callable[[Body], Any]


@pytest.fixture
def namespace() -> Namespace:
    """Run a function in namespaces of its own and give what it returns (as JSON can); what it raises fails the test."""
    if not _allowed():
        pytest.skip("no network namespaces here: run as root, or allow user namespaces")
    return _run


@pytest.fixture
def tracked(namespace: Namespace) -> Namespace:
    """The same, where the kernel reports what happens to connections, as the gateway's settings ask."""

    def run(body: Body) -> Any:
        def prepared() -> Any:
            Path("/proc/sys/net/netfilter/nf_conntrack_events").write_text("1")
            return body()

        return namespace(prepared)

    return run


@pytest.fixture
def cases() -> dict[str, Path]:
    """The golden configurations by the name of their folder."""
    return {path.parent.name: path for path in sorted(GOLDEN.glob("[0-9][0-9]-*/gateway.yaml"))}


def _allowed() -> bool:
    tried = subprocess.run(
        ["unshare", "--map-root-user", "--net", "--mount", "true"], check=False, capture_output=True
    )
    return tried.returncode == 0


def _run(body: Body) -> Any:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 0
        try:
            _enter()
            said = json.dumps(body())
        except BaseException:  # noqa: BLE001 - whatever it is, the parent reports it
            said, status = traceback.format_exc(), 1
        os.write(writer, said.encode()[:60_000])
        sys.stdout.flush()
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, said or f"the child ended with status {status}"
    return json.loads(said)


def _enter() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNET | CLONE_NEWNS | (CLONE_NEWUSER if user else 0)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    libc.mount(b"tmpfs", b"/run", b"tmpfs", 0, None)
    # The other ends live in a namespace of their own: nobody here answers for our addresses.
    lines = ["link set lo up"]
    for name in LINKS:
        lines += [f"link add {name} type veth peer name peer-{name}", f"link set {name} up"]
        lines += [f"link set peer-{name} arp off up"]
    lines += [
        "addr add 203.0.113.2/24 dev eth0",
        "addr add 192.168.100.2/24 dev eth1",
        "addr add 10.99.0.2/24 dev eth2",
    ]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.environ["VGW_NODE"] = "master"
