"""Policies for what no ruleset has seen: made, put right and taken away, and never a stranger's."""

import errno
import logging
import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from appliance import CommandFailed, netlink
from appliance.drivers import xfrm
from appliance.planning.wanted import Block, BlockByDefault, Names

from .kernel_stand_ins import Policies, opened

MARK, OURS = Names().mark, Names().policy
WANTED = (Block(IPv4Address("203.0.113.99"), MARK),)
OTHER = (Block(IPv4Address("203.0.113.98"), MARK),)
MARKED = netlink.ATTRIBUTE.size + xfrm._VALUE.size  # bytes of the attribute of a mark
BLOCKS = 1  # XFRM_USERPOLICY_BLOCK


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Policies:
    found = Policies()
    opened(monkeypatch).lead(socket.AF_NETLINK, socket.SOCK_RAW, netlink.XFRM, to=found.door)
    return found


def signs(wanted: tuple[Block, ...], *, closed: bool = False) -> list[str]:
    return [change.sign for change in xfrm.diff(wanted, closed, OURS)]


def put(wanted: tuple[Block, ...], *, closed: bool = False) -> None:
    xfrm.apply(xfrm.diff(wanted, closed, OURS), OURS)


def test_what_was_made_differs_no_more_and_is_taken_away_again(kernel: Policies) -> None:
    assert signs(WANTED) == ["+"]
    put(WANTED)
    assert signs(WANTED) == []
    assert signs(OTHER) == ["+", "-"]
    put(OTHER)
    assert (signs(OTHER), signs(())) == ([], ["-"])
    put(())
    assert kernel.bodies == {}


def test_a_strangers_policy_is_none_of_ours(kernel: Policies) -> None:
    # Of another priority; without a mark; and with one that must be there.
    xfrm.apply(xfrm.diff(WANTED, False, OURS), 7)
    unmarked = xfrm._addition(OTHER[0], OURS)[netlink.HEAD.size : -MARKED]
    marked = netlink.attribute(xfrm._MARK, xfrm._VALUE.pack(MARK, MARK))
    for mark in (b"", marked, netlink.attribute(31, b"")):
        kernel.bodies[unmarked[: xfrm._SELECTOR.size] + mark] = unmarked + mark
    before = dict(kernel.bodies)
    assert signs(()) == []
    put(OTHER)
    put(())
    assert kernel.bodies == before


def test_a_closed_network_lets_the_rest_in_before_it_closes_and_opens_before_that_goes(
    kernel: Policies,
) -> None:
    added = xfrm.diff(WANTED, True, OURS)
    assert added[-1].payload == BlockByDefault()
    assert len(added) == 2 + len(xfrm._families())
    xfrm.apply(added, OURS)
    assert kernel.default == BLOCKS and signs(WANTED, closed=True) == []
    removed = xfrm.diff((), False, OURS)
    assert (removed[0].sign, removed[0].payload) == ("-", BlockByDefault())
    xfrm.apply(removed, OURS)
    assert kernel.default != BLOCKS and kernel.bodies == {}


def test_a_strangers_default_stays(kernel: Policies) -> None:
    kernel.default = BLOCKS
    assert signs(()) == []


def test_a_kernel_without_such_a_default_is_closed_by_the_other_policies_alone(
    kernel: Policies,
) -> None:
    kernel.refuses[xfrm._GET_DEFAULT] = errno.EINVAL
    assert signs(WANTED, closed=True) == ["+"]


def test_a_kernel_without_policies_differs_in_nothing_and_that_is_told_once(
    kernel: Policies, caplog: pytest.LogCaptureFixture
) -> None:
    xfrm._tell.cache_clear()
    kernel.refuses[xfrm._GET_POLICY] = errno.EPROTONOSUPPORT
    with caplog.at_level(logging.WARNING):
        assert signs(WANTED) == signs(WANTED) == []
    (told,) = caplog.messages
    assert told.startswith("the kernel has no IPsec policies (Protocol not supported): while")
    xfrm._tell.cache_clear()


def test_what_is_so_already_is_no_error_and_what_is_refused_is_told(kernel: Policies) -> None:
    added = xfrm.diff(WANTED, False, OURS)
    xfrm.apply(added, OURS)
    xfrm.apply(added, OURS)
    removed = xfrm.diff((), False, OURS)
    xfrm.apply(removed, OURS)
    xfrm.apply(removed, OURS)
    kernel.refuses[xfrm._NEW_POLICY] = errno.EPERM
    with pytest.raises(CommandFailed) as error:
        xfrm.apply(added, OURS)
    assert str(error.value) == f"the kernel refused + {WANTED[0]}: Operation not permitted"


@pytest.mark.parametrize(
    ("files", "own"),
    [(["somaxconn"], True), (["somaxconn", "netdev_budget"], False), ([], False)],
)
def test_a_network_of_its_own_shows_less_than_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], *, own: bool
) -> None:
    monkeypatch.setattr(xfrm, "_OF_THE_MACHINE", tmp_path / "netdev_budget")
    for name in files:
        (tmp_path / name).touch()
    assert xfrm.own_network() is own
