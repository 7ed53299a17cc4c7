"""Claims of addresses by ARP, as a kernel passes them on."""

import socket
import struct
import subprocess

from appliance.addresses import Address
from appliance.wires import arp
from appliance.wires.claims import Claim, Claims
from tests.kernel.behind import End
from tests.kernel.conftest import Namespace
from tests.waiting import PATIENCE, eventually

VGW, OWN, PEERS, ANOTHER = (Address(f"192.168.100.{number}") for number in (99, 2, 3, 50))
MAC = "02:00:00:00:00:03"
WATCHED = (VGW, OWN, PEERS)


def test_what_is_claimed_of_the_watched_addresses_is_heard_and_nothing_else(
    namespace: Namespace,
) -> None:
    def body() -> None:
        end, claims = End("eth1"), Claims()
        assert claims.hear("eth1", WATCHED, 1.0) == {}
        for address in (ANOTHER, *WATCHED):
            end.announces(str(address), MAC)
        everything = {Claim(address, MAC): 2.0 for address in WATCHED}
        assert eventually(lambda: claims.hear("eth1", WATCHED, 2.0) == everything)
        end.announces(str(VGW), MAC)
        assert eventually(lambda: claims.hear("eth1", WATCHED, 3.0)[Claim(VGW, MAC)] == 3.0)
        assert claims.hear("eth1", (ANOTHER,), 4.0) == {}, "another file, other addresses"
        end.announces(str(ANOTHER), MAC)
        assert eventually(
            lambda: claims.hear("eth1", (ANOTHER,), 5.0) == {Claim(ANOTHER, MAC): 5.0}
        )

    namespace(body)


def test_an_interface_that_was_made_anew_is_heard_again(namespace: Namespace) -> None:
    def body() -> None:
        claims = Claims()
        claims.hear("eth1", WATCHED, 1.0)
        for line in (
            "link del eth1",
            "link add eth1 type veth peer name peer-eth1",
            "link set eth1 up",
            "link set peer-eth1 up",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        assert claims.hear("eth1", WATCHED, 2.0) == {}
        End("eth1").announces(str(VGW), MAC)
        assert eventually(lambda: claims.hear("eth1", WATCHED, 3.0) == {Claim(VGW, MAC): 3.0})

    namespace(body)


def test_a_question_names_no_sender(namespace: Namespace) -> None:
    def body() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as link:
            link.settimeout(PATIENCE)
            link.bind(("peer-eth1", arp.ETH_P_ARP))
            Claims().ask("eth1", (VGW, PEERS))
            asked = [struct.unpack("!6xH6x4s6x4s", link.recv(64)[:28]) for _ in range(2)]
        assert asked == [(1, bytes(4), address.packed) for address in (VGW, PEERS)]

    namespace(body)


def test_who_claims_with_many_macs_is_remembered_within_bounds(namespace: Namespace) -> None:
    def body() -> None:
        end, claims = End("eth1"), Claims()
        claims.hear("eth1", WATCHED, 1.0)
        for number in range(100):
            end.announces(str(VGW), f"02:00:00:00:01:{number:02x}")
        last = Claim(VGW, "02:00:00:00:01:63")
        assert eventually(lambda: last in claims.hear("eth1", WATCHED, 2.0))
        assert len(claims.hear("eth1", WATCHED, 2.0)) == 64

    namespace(body)
