"""The agents' beats over the loopback of whoever runs this, and whose an address is."""

import errno
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import pytest

from appliance import CommandFailed
from appliance.wires import local_address
from appliance.wires.beat_socket import Beats

from .kernel_stand_ins import has_come, opened, refused

OWN, PEER, OTHER = map(IPv4Address, ("127.0.0.1", "127.0.0.2", "127.0.0.3"))


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
def sockets() -> Iterator[Callable[[IPv4Address, IPv4Address], Beats]]:
    port, made = free_port(), []

    def made_socket(own: IPv4Address, peer: IPv4Address) -> Beats:
        made.append(Beats(own, peer, port))
        return made[-1]

    yield made_socket
    for one in made:
        one.socket.close()


def test_beats_come_from_the_peer_in_order_and_from_nobody_else(
    sockets: Callable[[IPv4Address, IPv4Address], Beats],
) -> None:
    here, there, stranger = sockets(OWN, PEER), sockets(PEER, OWN), sockets(OTHER, OWN)
    assert here.receive() == []
    stranger.send(b"no beat")
    has_come(here)
    assert here.receive() == []
    for beat in (b"one", b"two"):
        there.send(beat)
        has_come(here)
        assert here.receive() == [beat]
    assert here.receive() == []


def test_a_beat_that_nobody_takes_is_no_error(
    sockets: Callable[[IPv4Address, IPv4Address], Beats],
) -> None:
    # TEST-NET-1 (RFC 5737): from loopback there is no way to it.
    here = sockets(OWN, IPv4Address("192.0.2.1"))
    here.send(b"one")
    sockets(OTHER, PEER).send(b"two")
    assert here.receive() == []


def test_a_socket_is_there_before_its_link_has_the_address(
    sockets: Callable[[IPv4Address, IPv4Address], Beats],
) -> None:
    assert sockets(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")).receive() == []


def test_the_machines_own_address_is_told_from_anybody_elses() -> None:
    assert local_address.holds("127.0.0.1")
    assert not local_address.holds("192.0.2.1")


def test_a_kernel_that_does_not_say_who_has_an_address_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened(monkeypatch).lead(socket.AF_NETLINK, to=refused(errno.EMFILE))
    with pytest.raises(CommandFailed, match=r"the kernel did not tell who has 192\.0\.2\.1: "):
        local_address.holds("192.0.2.1")


def test_a_beat_is_stretched_to_what_the_interface_takes_and_stays_a_beat(
    sockets: Callable[[IPv4Address, IPv4Address], Beats],
) -> None:
    here, there = sockets(OWN, PEER), sockets(PEER, OWN)
    most = here.stretch(b'{"node": "master"}')
    assert most > 1500, "the loopback takes long ones"
    has_come(there)
    came = there.receive()
    assert [len(one) + 28 for one in came][:2] == [most, 9000]
    assert {one.rstrip(b" ") for one in came} == {b'{"node": "master"}'}


def test_where_the_kernel_tells_no_way_nothing_is_stretched(
    sockets: Callable[[IPv4Address, IPv4Address], Beats],
) -> None:
    # A socket without SO_BROADCAST has no way there (ip(7)).
    assert sockets(OWN, IPv4Address("255.255.255.255")).stretch(b"one") == 0
