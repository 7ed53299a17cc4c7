"""The frames of a virtual MAC and the place of the peer, with stand-ins for the kernel's side of a link."""

import errno
import socket
from ipaddress import IPv4Address
from typing import Self

import pytest

from appliance import rtnetlink
from appliance.wires import arp
from appliance.wires.arp import Frames
from appliance.wires.neighbours import Neighbour

from .kernel_stand_ins import opened
from .rtnetlink_stand_in import Machine, machine


class Link:
    """A packet socket, which a plain user may not have: frames wait in it, and what is sent is kept."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, bytes]] = []
        self.sent: list[bytes] = []
        self.bound: list[tuple[str, int]] = []
        self.closed = 0
        self.down = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed += 1

    def setblocking(self, _: bool) -> None:
        pass

    def bind(self, where: tuple[str, int]) -> None:
        self.bound.append(where)

    def getsockname(self) -> tuple[str, int, int, int, bytes]:
        return ("lo", 0x0806, 0, 772, bytes.fromhex("02 00 5e 00 01 33"))

    def send(self, frame: bytes) -> None:
        if self.down:
            raise OSError(errno.ENETDOWN, "Network is down")
        self.sent.append(frame)

    def recvfrom(self, _: int) -> tuple[bytes, tuple[str, int, int, int, bytes]]:
        if not self.waiting:
            raise BlockingIOError
        kind, sender = self.waiting.pop(0)
        return b"\0", ("lo", 0x0806, kind, 1, sender)


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Link:
    made = Link()
    opened(monkeypatch).lead(socket.AF_PACKET, to=lambda: made)
    return made


MASTERS = bytes.fromhex("00 00 5e 00 01 33")


def test_a_frame_of_the_virtual_mac_is_told_and_no_other_nor_our_own(link: Link) -> None:
    heard = Frames("lo", "00:00:5e:00:01:33")
    assert heard.read(1.0) is None
    assert link.bound == [("lo", 0x0806)]
    link.waiting = [(1, bytes(6)), (4, MASTERS)]
    assert heard.read(2.0) is None
    link.waiting = [(1, MASTERS), (1, bytes(6))]
    assert heard.read(3.0) == 3.0
    assert heard.read(4.0) == 3.0


def test_an_interface_that_came_back_is_listened_to_again(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = [7]
    monkeypatch.setattr("socket.if_nametoindex", lambda _: index[0])
    heard = Frames("lo", "00:00:5e:00:01:33")
    heard.read(1.0)
    index[0] = 8
    heard.read(2.0)
    assert (len(link.bound), link.closed) == (2, 1)


def test_of_an_interface_that_is_gone_nothing_is_heard(link: Link) -> None:
    assert Frames("vgw-no-such", "00:00:5e:00:01:33").read(1.0) is None


def test_a_gratuitous_arp_says_who_has_the_address_to_everybody(link: Link) -> None:
    arp.announce("lo", IPv4Address("192.168.100.99"))
    own, address = "02005e000133", "c0a86463"
    assert [frame.hex() for frame in link.sent] == [
        f"ffffffffffff{own}0806" + f"0001080006040001{own}{address}000000000000{address}"
    ]


def test_where_the_link_is_down_nobody_is_told(link: Link) -> None:
    link.down = True
    arp.announce("lo", IPv4Address("192.168.100.99"))
    assert link.sent == []


PEER = "192.168.100.3"
REACHABLE, STALE, FAILED = 0x02, 0x04, 0x20


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = machine(monkeypatch, opened(monkeypatch))
    found.add_link("eth0", up=True)
    return found


def kept() -> tuple[int, str]:
    """The state and the MAC that the kernel has for the peer."""
    return rtnetlink.neighbour(2, IPv4Address(PEER))


def test_a_peer_that_answers_no_more_keeps_the_mac_that_it_had(kernel: Machine) -> None:
    peer = Neighbour(IPv4Address(PEER))
    kernel.add_neighbour(2, PEER, REACHABLE, "02:00:00:00:00:01")
    peer.keep("eth0")
    kernel.add_neighbour(2, PEER, FAILED, "")
    peer.keep("eth0")
    assert kept() == (REACHABLE, "02:00:00:00:00:01")


def test_what_the_kernel_has_itself_is_left_to_it(kernel: Machine) -> None:
    kernel.add_neighbour(2, PEER, REACHABLE, "02:00:00:00:00:01")
    kernel.refuses = errno.EPERM
    Neighbour(IPv4Address(PEER)).keep("eth0")
    assert kept() == (REACHABLE, "02:00:00:00:00:01")


def test_the_mac_of_a_stale_entry_is_the_one_that_is_kept(kernel: Machine) -> None:
    kernel.add_neighbour(2, PEER, STALE, "02:00:00:00:00:02")
    Neighbour(IPv4Address(PEER)).keep("eth0")
    assert kept() == (REACHABLE, "02:00:00:00:00:02")


def test_of_a_peer_that_was_never_heard_nothing_is_kept(kernel: Machine) -> None:
    Neighbour(IPv4Address(PEER)).keep("eth0")
    assert kept() == (0, "")
    kernel.add_neighbour(2, PEER, FAILED, "02:00:00:00:00:03")
    Neighbour(IPv4Address(PEER)).keep("eth0")
    assert kept() == (FAILED, "02:00:00:00:00:03")


def test_without_an_interface_no_neighbour_is_kept() -> None:
    peer = Neighbour(IPv4Address("192.168.100.3"))
    peer.keep("vgw-no-such")
    assert peer.mac == ""
