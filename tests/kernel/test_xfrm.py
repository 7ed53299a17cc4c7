"""Policies for what no ruleset has seen: made, put right and taken away, and never a stranger's."""

import errno
import os
import subprocess
from ipaddress import IPv4Address

from appliance.drivers import xfrm
from appliance.planning.wanted import Block, Names
from tests.kernel.conftest import Namespace

MARK, OURS = Names().mark, Names().policy
WANTED = (Block(IPv4Address("203.0.113.99"), MARK),)
STRANGER = "src 10.0.0.0/8 dst 203.0.113.99/32 dir in action block priority 7"


def ip_xfrm(words: str) -> str:
    done = subprocess.run(["ip", "xfrm", "policy", *words.split()], check=True, capture_output=True)
    return done.stdout.decode()


def test_whatever_is_done_to_them_they_are_as_wanted_again(namespace: Namespace) -> None:
    def body() -> None:
        assert [change.sign for change in xfrm.diff(WANTED, closed=False, priority=OURS)] == ["+"]
        xfrm.apply(xfrm.diff(WANTED, closed=False, priority=OURS), OURS)
        assert xfrm.diff(WANTED, closed=False, priority=OURS) == ()
        assert f"mark 0/{MARK:#x}" in ip_xfrm("list")
        ip_xfrm("flush")
        ip_xfrm(f"add {STRANGER}")
        xfrm.apply(xfrm.diff(WANTED, closed=False, priority=OURS), OURS)
        other = (Block(IPv4Address("203.0.113.98"), MARK),)
        assert sorted(change.sign for change in xfrm.diff(other, closed=False, priority=OURS)) == [
            "+",
            "-",
        ]
        xfrm.apply(xfrm.diff(other, closed=False, priority=OURS), OURS)
        xfrm.apply(xfrm.diff((), closed=False, priority=OURS), OURS)
        assert xfrm.diff((), closed=False, priority=OURS) == ()
        assert ip_xfrm("list").count("action block") == 1, "the stranger's stays"

    namespace(body)


def test_a_closed_network_has_what_lets_the_rest_in_before_and_loses_it_after(
    namespace: Namespace,
) -> None:
    def body() -> None:
        ip_xfrm(f"add {STRANGER}")
        added = xfrm.diff(WANTED, closed=True, priority=OURS)
        assert added[-1].what == "policy setdefault in block"
        xfrm.apply(added, OURS)
        assert xfrm.diff(WANTED, closed=True, priority=OURS) == ()
        assert "in:  block" in ip_xfrm("getdefault"), ip_xfrm("getdefault")
        ip_xfrm("flush")
        xfrm.apply(xfrm.diff(WANTED, closed=True, priority=OURS), OURS)
        assert xfrm.diff(WANTED, closed=True, priority=OURS) == ()
        ip_xfrm(f"add {STRANGER}")
        removed = xfrm.diff((), closed=False, priority=OURS)
        assert removed[0].what == "policy setdefault in block"
        xfrm.apply(removed, OURS)
        assert xfrm.diff((), closed=False, priority=OURS) == ()
        assert "in:  accept" in ip_xfrm("getdefault"), ip_xfrm("getdefault")
        assert ip_xfrm("list").count("dir in") == 1, "the stranger's stays"

    namespace(body)


def test_a_strangers_default_stays(namespace: Namespace) -> None:
    def body() -> None:
        ip_xfrm("setdefault in block")
        assert xfrm.diff((), closed=False, priority=OURS) == ()
        assert "in:  block" in ip_xfrm("getdefault")

    namespace(body)


def test_the_network_of_a_namespace_is_its_own(namespace: Namespace) -> None:
    def body() -> None:
        assert xfrm.own_network()

    namespace(body)


def connect_from_outside(vip: str) -> int:
    """What a peer in a namespace beside this one is told by a port that nobody listens on."""
    beside = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
    try:
        here = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{beside.pid}/ns/net") == here:
            assert beside.poll() is None
        inside = ["nsenter", "--target", str(beside.pid), "--net"]
        for command in (
            ["ip", "link", "add", "out", "type", "veth", "peer", "far", "netns", str(beside.pid)],
            ["ip", "address", "replace", f"{vip}/24", "dev", "out"],
            ["ip", "link", "set", "out", "up"],
            [*inside, "ip", "address", "add", "198.51.100.1/24", "dev", "far"],
            [*inside, "ip", "link", "set", "far", "up"],
        ):
            subprocess.run(command, check=True)
        script = (
            "import socket, sys\n"
            "caller = socket.socket()\n"
            "caller.settimeout(1.5)\n"
            f"sys.exit(caller.connect_ex(('{vip}', 9)))\n"
        )
        return subprocess.run([*inside, "python3", "-c", script], check=False).returncode
    finally:
        beside.kill()
        beside.wait()
        subprocess.run(["ip", "link", "delete", "out"], check=False, capture_output=True)


def test_a_network_whose_policies_have_gone_answers_nobody(namespace: Namespace) -> None:
    """As in the moment in which a node dies: first the ruleset goes, then the policies, then the rest."""
    vip = "198.51.100.99"  # none of the fixture's networks

    def body() -> None:
        assert connect_from_outside(vip) == errno.ECONNREFUSED, "nothing of ours: TCP resets"
        xfrm.apply(xfrm.diff((Block(IPv4Address(vip), MARK),), closed=True, priority=OURS), OURS)
        assert connect_from_outside(vip) == errno.EAGAIN, "no answer in time"
        ip_xfrm("flush")
        assert connect_from_outside(vip) == errno.EAGAIN, "no answer in time"

    namespace(body)
