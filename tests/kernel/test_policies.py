"""Policies for what no ruleset has seen: made, put right and taken away, and never a stranger's."""

import subprocess
from collections.abc import Callable
from ipaddress import IPv4Address

from appliance.drivers import policies
from appliance.plan import Block

MARK = 0x10000
WANTED = (Block(IPv4Address("203.0.113.99"), MARK),)
STRANGER = "src 10.0.0.0/8 dst 203.0.113.99/32 dir in action block priority 7"
Namespace = Callable[[Callable[[], None]], None]


def xfrm(words: str) -> str:
    done = subprocess.run(["ip", "xfrm", "policy", *words.split()], check=True, capture_output=True)
    return done.stdout.decode()


def test_whatever_is_done_to_them_they_are_as_wanted_again(namespace: Namespace) -> None:
    def body() -> None:
        assert [change.sign for change in policies.diff(WANTED)] == ["+"]
        policies.apply(policies.diff(WANTED))
        assert policies.diff(WANTED) == ()
        assert f"mark 0/{MARK:#x}" in xfrm("list")
        xfrm("flush")
        xfrm(f"add {STRANGER}")
        policies.apply(policies.diff(WANTED))
        other = (Block(IPv4Address("203.0.113.98"), MARK),)
        assert sorted(change.sign for change in policies.diff(other)) == ["+", "-"]
        policies.apply(policies.diff(other))
        policies.apply(policies.diff(()))
        assert policies.diff(()) == ()
        assert xfrm("list").count("action block") == 1, "the stranger's stays"

    namespace(body)
