"""The way out and the peer's adverts, by what a plain user may have in the place of raw sockets."""

import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest

from appliance.wires import adverts, uplink
from appliance.wires.adverts import Advert, Adverts, arrival
from appliance.wires.uplink import Uplink

from .kernel_stand_ins import has_come, opened

OWN, PEER, OTHER = map(IPv4Address, ("127.0.0.1", "127.0.0.2", "127.0.0.3"))


class Net(socket.socket):
    """Raw ICMP for whoever may not have it: echoes come back from hosts that live, by UDP, with an IP header."""

    alive: frozenset[str] = frozenset()
    ages = 0
    """How many samples late an answer is."""

    def sendto(self, request: bytes, to: Any) -> int:  # type: ignore[override]
        """Answer for a host, if it lives."""
        kind, code, sum_, mark, number = struct.unpack("!BBHHH", request)
        assert (kind, code, to[1]) == (8, 0, 0) and checks(request)
        reply = struct.pack("!BBHHH", 0, 0, sum_, mark, number - self.ages)
        if to[0] in self.alive:
            self.bring(to[0], b"\x45" + bytes(19) + reply)
        return len(request)

    def bring(self, host: str, packet: bytes) -> None:
        """Have a packet come from a host."""
        with real_socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((host, 0))
            sender.sendto(packet, self.getsockname())
        has_come(self)


real_socket = socket.socket


def checks(message: bytes) -> bool:
    """Whether the Internet checksum of a message is right (RFC 1071): all words together make ones."""
    total: int = sum(struct.unpack(f"!{len(message) // 2}H", message))
    return (total & 0xFFFF) + (total >> 16) == 0xFFFF


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Iterator[Net]:
    made = Net(socket.AF_INET, socket.SOCK_DGRAM)
    doors = opened(monkeypatch)
    doors.lead(socket.AF_INET, socket.SOCK_RAW, to=lambda: made)
    yield made
    made.close()


def sampled(way_out: Uplink, now: float, times: int = 1) -> float:
    """So many samples, and the time after them."""
    for _ in range(times):
        way_out.sample(now)
        now += uplink.SAMPLE_INTERVAL
    return now


def test_the_way_out_works_while_one_of_its_targets_answers(net: Net) -> None:
    way_out = Uplink(OWN, (PEER, OTHER), 100.0)
    assert way_out.works() is None
    net.alive = frozenset((str(OTHER),))
    now = sampled(way_out, 100.0, 2)
    assert way_out.works() is None, "one sample has ended"
    now = sampled(way_out, now)
    assert way_out.works() is True
    way_out.receive(now)
    assert way_out.quiet(now) == 0.0


def test_the_way_out_fails_when_two_samples_in_a_row_were_silent_and_works_again_by_two(
    net: Net,
) -> None:
    way_out = Uplink(OWN, (PEER, OTHER), 100.0)
    net.alive = frozenset((str(OTHER),))
    now = sampled(way_out, 100.0, 4)
    net.alive = frozenset()
    seen = []
    for _ in range(4):
        now = sampled(way_out, now)
        seen.append(way_out.works())
    assert seen == [True, True, False, False]
    assert way_out.quiet(now) > 3 * uplink.SAMPLE_INTERVAL
    net.alive = frozenset((str(PEER),))
    sampled(way_out, now, 3)
    assert way_out.works() is True


def test_an_answer_to_an_earlier_sample_came_too_late(net: Net) -> None:
    way_out = Uplink(OWN, (PEER,), 100.0)
    net.alive, net.ages = frozenset((str(PEER),)), 1
    sampled(way_out, 100.0, 3)
    assert way_out.works() is False


def test_who_was_not_let_run_does_not_say_that_nobody_answered(net: Net) -> None:
    way_out = Uplink(OWN, (PEER,), 100.0)
    sampled(way_out, 100.0)
    sampled(way_out, 110.0)
    assert (way_out.works(), way_out.quiet(110.0)) == (None, 0.0)


def test_an_answer_of_a_stranger_and_a_broken_packet_say_nothing(net: Net) -> None:
    way_out = Uplink(OWN, (PEER,), 100.0)
    way_out.sample(100.0)
    good = b"\x45" + bytes(19) + struct.pack("!BBHHH", 0, 0, 0, way_out.mark, way_out.number)
    for host, packet, quiet in ((OTHER, good, 1.0), (PEER, good[:25], 1.0), (PEER, good, 0.0)):
        net.bring(str(host), packet)
        way_out.receive(101.0)
        assert way_out.quiet(101.0) == quiet


def test_an_advert_of_the_peers_is_told_with_its_time_and_its_priority(net: Net) -> None:
    heard = Adverts(PEER, 51)
    net.bind((str(OWN), 0))
    assert heard.read() is None

    def after(host: IPv4Address, *advert: int) -> Advert | None:
        net.bring(str(host), b"\x45" + bytes(19) + bytes(advert))
        return heard.read()

    before = time.monotonic()
    last = after(PEER, 0x31, 51, 100, 1)
    assert last and last.priority == 100
    assert before <= last.at <= time.monotonic()
    assert after(OTHER, 0x31, 51, 99, 1) == last, "of another machine"
    assert after(PEER, 0x31, 52, 99, 1) == last, "of another router"
    assert after(PEER, 0x31, 51) == last, "half of one"
    farewell = after(PEER, 0x31, 51, 0, 1)
    assert farewell and farewell.priority == 0
    assert heard.read() == farewell


def test_an_advert_came_between_two_looks_whatever_the_clock_on_the_wall_says() -> None:
    assert arrival(0.03, looked=99.8, now=100.0) == pytest.approx(99.97)
    assert arrival(3600.0, looked=99.8, now=100.0) == 99.8, "set an hour ahead since it came"
    assert arrival(-3600.0, looked=99.8, now=100.0) == 100.0, "set an hour behind"


def test_an_advert_without_a_stamp_came_at_no_time() -> None:
    assert adverts._stamp([(socket.SOL_SOCKET, 99, b"12345678")]) == 0.0
