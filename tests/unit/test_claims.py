"""Claims of addresses by ARP: the kernel's own filter passes on what is watched, and no more is remembered than has its use."""

import itertools
import socket
import struct
from collections.abc import Iterator
from typing import Self

import pytest

from appliance.addresses import Address
from appliance.wires.claims import Claim, Claims

from .kernel_stand_ins import opened

VGW, PEERS, ANOTHER = (Address(f"192.168.100.{number}") for number in (99, 3, 50))
MAC = "02:00:00:00:00:03"


class Wire:
    """Stands for packet sockets, which a plain user may not have: two ends of a real one, and what was sent."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.setblocking, self.setsockopt = self.near.setblocking, self.near.setsockopt
        self.bound: list[str] = []
        self.sent: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """It stays for the next who opens one."""

    def bind(self, where: tuple[str, int]) -> None:
        if where[0] != "lo":
            raise OSError(where)
        self.bound.append(where[0])

    def getsockname(self) -> tuple[str, int, int, int, bytes]:
        return ("lo", 0x0806, 0, 772, bytes.fromhex("02 00 00 00 00 02"))

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def recv(self, size: int) -> bytes:
        return self.near.recv(size)

    def close(self) -> None:
        """It stays for the next who opens one."""

    def claim(self, address: Address, mac: str = MAC) -> None:
        """Somebody says that an address is his."""
        ends = bytes.fromhex(mac.replace(":", "")) + address.packed + bytes(10)
        self.far.send(struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + ends)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    made = Wire()
    opened(monkeypatch).lead(socket.AF_PACKET, to=lambda: made)
    yield made
    made.near.close()
    made.far.close()


def test_what_claims_a_watched_address_is_heard_and_nothing_else(wire: Wire) -> None:
    claims = Claims()
    assert claims.hear("lo", (VGW, PEERS), 1.0) == {}
    for address in (ANOTHER, VGW, PEERS):
        wire.claim(address)
    wire.far.send(VGW.packed)  # too short for the filter
    assert claims.hear("lo", (VGW, PEERS), 2.0) == {Claim(VGW, MAC): 2.0, Claim(PEERS, MAC): 2.0}
    wire.claim(VGW)
    assert claims.hear("lo", (VGW, PEERS), 3.0) == {Claim(VGW, MAC): 3.0, Claim(PEERS, MAC): 2.0}
    assert wire.bound == ["lo"]


def test_other_addresses_and_an_interface_made_anew_begin_with_nothing(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = Claims()
    claims.hear("lo", (VGW,), 1.0)
    wire.claim(VGW)
    assert claims.hear("lo", (VGW,), 2.0)
    assert claims.hear("lo", (PEERS,), 3.0) == {}
    wire.claim(PEERS)
    assert claims.hear("lo", (PEERS,), 4.0)
    monkeypatch.setattr("socket.if_nametoindex", lambda _: 7)
    assert claims.hear("lo", (PEERS,), 5.0) == {}
    assert len(wire.bound) == 3


def test_of_an_interface_that_is_gone_nothing_is_known(wire: Wire) -> None:
    claims = Claims()
    claims.hear("lo", (VGW,), 1.0)
    wire.claim(VGW)
    assert claims.hear("lo", (VGW,), 2.0)
    assert claims.hear("vgw-no-such", (VGW,), 3.0) == {}
    claims.ask("vgw-no-such", (VGW,))
    assert wire.sent == []


def test_of_many_claims_the_latest_are_remembered(wire: Wire) -> None:
    claims = Claims()
    for number in range(100):
        claims.hear("lo", (VGW,), float(number))
        wire.claim(VGW, f"02:00:00:00:01:{number:02x}")
    found = claims.hear("lo", (VGW,), 100.0)
    assert (len(found), Claim(VGW, "02:00:00:00:01:63") in found) == (64, True)


def test_who_sends_without_an_end_is_not_read_without_an_end(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims, said = Claims(), itertools.count(1)
    claims.hear("lo", (VGW,), 1.0)

    def endless(_: int) -> bytes:
        next(said)
        return bytes(8) + bytes(6) + VGW.packed + bytes(10)

    monkeypatch.setattr(wire, "recv", endless)
    assert claims.hear("lo", (VGW,), 2.0) == {Claim(VGW, "00:00:00:00:00:00"): 2.0}
    assert next(said) == 501


def test_a_question_goes_to_everybody_and_names_no_sender(wire: Wire) -> None:
    Claims().ask("lo", (VGW,))
    (frame,) = wire.sent
    assert frame.hex() == "ffffffffffff0200000000020806" + "0001080006040001" + "020000000002" + (
        "00000000" + "000000000000" + "c0a86463"
    )
    Claims().announce("lo", VGW)
    assert wire.sent[1][28:32] == VGW.packed
