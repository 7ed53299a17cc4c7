"""Settings under /proc/sys, in a directory that stands for it, and those that are made by netlink."""

import errno
import os
import socket
import struct
from pathlib import Path

import pytest

from appliance import MissingInterface, MissingKernelFeature, ReadOnlySysctl, netlink
from appliance.drivers import devconf, sysctl
from appliance.planning.wanted import Change

from .kernel_stand_ins import OpenDoors, RoutingTable, opened

FORWARD, FILTER = "net.ipv4.ip_forward", "net.ipv4.conf.lo.rp_filter"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sysctl, "ROOT", tmp_path)
    for key, value in ((FORWARD, "0"), (FILTER, "1"), ("net.ipv4.ip_local_port_range", "9\t99")):
        path = sysctl.path_of(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return tmp_path


@pytest.fixture
def read_only(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root could write any file that a test can make; a mount that is read-only has no other sign.
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> RoutingTable:
    found = RoutingTable(local=True)
    doors: OpenDoors = opened(monkeypatch)
    doors.lead(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE, to=found.door)
    return found


def test_a_setting_is_found_by_its_name_also_where_an_interface_has_dots() -> None:
    assert sysctl.path_of(sysctl.forwarding("eth0")) == Path(
        "/proc/sys/net/ipv4/conf/eth0/forwarding"
    )
    dotted = sysctl.path_of("net.ipv4.neigh.eth0.10.base_reachable_time")
    assert dotted == Path("/proc/sys/net/ipv4/neigh/eth0.10/base_reachable_time")


def test_what_differs_is_told_with_what_it_is_and_then_written(settings: Path) -> None:
    wanted = {FORWARD: "1", FILTER: "1", "net.ipv4.ip_local_port_range": "10 99"}
    changes = sysctl.diff(wanted)
    assert [str(change) for change in changes] == [
        "~ sysctl net.ipv4.ip_forward = 1 (is 0)",
        "~ sysctl net.ipv4.ip_local_port_range = 10 99 (is 9 99)",
    ]
    assert sysctl.refusals(wanted) == ()
    sysctl.apply(changes)
    assert sysctl.diff(wanted) == ()


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        ("net.ipv4.conf.gone0.rp_filter", MissingInterface, "there is no such interface here"),
        ("net.netfilter.nf_conntrack_max", MissingKernelFeature, "load nf_conntrack on the host"),
        ("net.ipv4.no_such", MissingKernelFeature, "load the module that brings it on the host"),
    ],
)
def test_a_setting_that_is_not_there_is_told_with_what_is_missing(
    settings: Path, key: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=f"{key} .wanted: 1.: .*{words}"):
        sysctl.diff({key: "1"})


def test_what_the_kernel_refuses_is_told_with_the_remedy(settings: Path) -> None:
    sysctl.path_of(FORWARD).unlink()
    sysctl.path_of(FORWARD).symlink_to("/dev/full")
    with pytest.raises(ReadOnlySysctl) as error:
        sysctl.apply([Change("~", "", (FORWARD, "1"))])
    assert str(error.value) == (
        "sysctl net.ipv4.ip_forward must be 1 and could not be written: No space left on device; set "
        "it from outside (on a host `sysctl -w net.ipv4.ip_forward=1`, in compose `sysctls: "
        "[net.ipv4.ip_forward=1]`)"
    )


def test_of_read_only_settings_an_interfaces_own_can_be_made_still(read_only: None) -> None:
    wanted = {FORWARD: "1", FILTER: "0"}
    (told,) = sysctl.refusals(wanted)
    assert told.startswith(
        "sysctl net.ipv4.ip_forward must be 1 and could not be written: it is read"
    )


def test_an_interfaces_own_setting_is_made_by_netlink_where_the_file_is_read_only(
    read_only: None, kernel: RoutingTable
) -> None:
    sysctl.apply(sysctl.diff({FILTER: "0"}))
    (message,) = kernel.told
    # RTM_SETLINK, of this interface; AF_SPEC holds AF_INET holds INET_CONF holds setting 8 and its value.
    assert netlink.HEAD.unpack_from(message)[1] == 19
    assert struct.unpack_from("=i", message, 20)[0] == socket.if_nametoindex("lo")
    assert struct.unpack("=HHHHHHHHI", message[32:]) == (20, 26, 16, socket.AF_INET, 12, 1, 8, 8, 0)
    assert sysctl.path_of(FILTER).read_text() == "1\n", "the file was not touched"


def test_the_kernels_word_about_an_interfaces_setting_is_told(
    read_only: None, kernel: RoutingTable
) -> None:
    kernel.refuses = errno.EPERM
    with pytest.raises(
        ReadOnlySysctl, match="could not be written: Operation not permitted; set it"
    ):
        sysctl.apply(sysctl.diff({FILTER: "0"}))
    with pytest.raises(OSError, match="no interface"):
        devconf.put("net.ipv4.conf.vgw-no-such.rp_filter", 1)


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("net.ipv4.conf.eth0.rp_filter", True),
        ("net.ipv4.conf.eth0.10.send_redirects", True),
        ("net.ipv4.conf.all.rp_filter", False),
        ("net.ipv4.conf.default.forwarding", False),
        ("net.ipv4.conf.eth0.arp_ignore", False),
        ("net.ipv4.ip_forward", False),
    ],
)
def test_only_an_interfaces_own_settings_are_made_by_netlink(key: str, *, known: bool) -> None:
    assert devconf.knows(key) is known
