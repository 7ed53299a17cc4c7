"""A node that holds the floating addresses: when its kernel goes on serving, and when it falls silent, without any program."""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import converge
from appliance.config import gateway_file
from appliance.config.model import Failback
from appliance.planning import virtual_macs
from appliance.planning.wanted import Names
from appliance.run_dir import RunDir
from appliance.site import this_node
from appliance.vrrp import Role
from appliance.wires.arp import Frames
from tests.kernel.behind import TCP, VIP, Behind
from tests.kernel.conftest import Namespace
from tests.kernel.connections import until
from tests.kernel.test_adverts import GROUP, OWN, PEER, VRRP, advert, packet, send
from tests.kernel.wanted import plan_of

VGW = "192.168.100.99"
# Others' addresses on the same interfaces: who answers for them has dealt with what was asked before.
FENCES = {VGW: "192.168.100.98", VIP: "203.0.113.98"}
# A lease that outlasts every stumble of the machine that the test runs on; and the shortest.
LONG, SHORT = "advert_interval: 20", "advert_interval: 0.02, realtime_priority: 20"
PRIORITY, FAREWELL = 90, 0
BEATS = 3781
# Types of conntrackd's messages (network.h).
NEW, CONTROL = 0, 10


class Frozen:
    """A node that holds the floating addresses, none of whose programs runs: the test says for them what it wants said."""

    def __init__(self, file: Path) -> None:
        config = gateway_file.parse(file.read_bytes(), str(file))
        self.first = config.vgw.vrrp_version << 4 | 1
        self.plain = config.vgw.failback is Failback.PLAIN
        self.to_own, self.to_peer = (
            (OWN, PEER) if config.vgw.transport == "unicast" else (GROUP, GROUP)
        )
        # In every role the rules are the same.
        converge.converge_fully(plan_of(file, Role.BACKUP), RunDir())
        site = this_node.site(config, "master", file)
        homes = virtual_macs.homes(config, site.interfaces, Names())
        for address, home in ((VGW, homes.vgw), (VIP, homes.wan_vip)):
            for one in (address, FENCES[address]):
                run("ip", "addr", "add", f"{one}/24", "dev", home, "noprefixroute")
        for address, interface in ((PEER, "eth1"), ("10.99.0.3", "eth2")):
            run("ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:03", "dev", interface)
        self.behind = Behind()

    def hears(self, priority: int = PRIORITY, **forged: str) -> None:
        """An advert of the peer's comes in."""
        source = forged.get("source", PEER)
        send([packet(advert(self.first, priority), self.to_own, source)], self.to_own)

    def advertises(self, priority: int = 100) -> None:
        """An advert of its own leaves, as keepalived sends it."""
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, VRRP) as own:
            own.bind((OWN, 0))
            own.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth1")
            own.setsockopt(socket.SOL_IP, socket.IP_TTL, 255)
            own.setsockopt(socket.SOL_IP, socket.IP_MULTICAST_TTL, 255)
            own.sendto(advert(self.first, priority), (self.to_peer, 0))

    def beats(self) -> None:
        """A beat of its agent's leaves."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.bind(("10.99.0.2", 0))
            own.sendto(b"{}", ("10.99.0.3", BEATS))

    def tells(self, kind: int) -> None:
        """A message of conntrackd's leaves, of version 1 and this type."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.bind(("10.99.0.2", 0))
            own.sendto(bytes((0x10 | kind,)) + bytes(15), ("10.99.0.3", BEATS - 1))

    def leaves(self) -> tuple[bool, bool, bool]:
        """Whether an advert, a word of a flow and a control message leave."""
        return tuple(
            map(passes, (self.advertises, lambda: self.tells(NEW), lambda: self.tells(CONTROL)))
        )  # type: ignore[return-value]

    def answers(self) -> tuple[bool, bool]:
        """Whether it answers ARP for the VGW, and for the WAN VIP."""
        lan = self.behind.lan.answers(VGW, FENCES[VGW])
        return lan, self.behind.wan.answers(VIP, FENCES[VIP])

    def forwards(self) -> bool:
        """Whether a new flow from inside leaves."""
        return self.behind.begins(TCP) == [VIP]

    def serves(self) -> tuple[bool, ...]:
        """All three."""
        return (*self.answers(), self.forwards())


def passes(deed: Callable[[], None]) -> bool:
    """Whether what it sends leaves: a packet that is dropped on its way out is refused to its sender."""
    try:
        deed()
    except PermissionError:
        return False
    return True


SERVES, SILENT = (True, True, True), (False, False, False)


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture(params=["01-standard", "02-fast", "03-classic", "07-hot"])
def file(request: pytest.FixtureRequest, cases: dict[str, Path], tmp_path: Path) -> Path:
    """A configuration of each profile, with a long lease."""
    return with_interval(cases[request.param], LONG, tmp_path)


def with_interval(case: Path, words: str, directory: Path) -> Path:
    text = case.read_text()
    changed = text.replace("profile: ", f"{words}, profile: ")
    assert changed != text
    found = directory / "gateway.yaml"
    found.write_text(changed)
    return found


def test_a_node_alone_serves_though_nothing_on_it_speaks(namespace: Namespace, file: Path) -> None:
    namespace(lambda: equal(Frozen(file).serves(), SERVES))


def equal(found: object, wanted: object) -> None:
    assert found == wanted


def test_a_silent_node_whose_peer_leads_answers_nobody_and_begins_no_flow(
    namespace: Namespace, file: Path
) -> None:
    def body() -> None:
        node = Frozen(file)
        assert node.serves() == SERVES
        node.hears()
        assert node.serves() == SILENT
        assert node.behind.gets_an_answer(TCP) is False, "that flow never began"
        node.hears(FAREWELL)
        assert node.serves() == SERVES, "the peer has left: nobody else would answer"

    namespace(body)


def test_flows_that_are_known_pass_a_silent_node(namespace: Namespace, file: Path) -> None:
    def body() -> None:
        node = Frozen(file)
        assert node.forwards()
        node.hears()
        assert node.behind.gets_an_answer(TCP)
        assert node.answers() == (False, False)

    namespace(body)


def test_who_advertises_serves_whatever_its_peer_says(namespace: Namespace, file: Path) -> None:
    def body() -> None:
        node = Frozen(file)
        node.advertises()
        node.hears()
        node.hears(254)
        assert node.serves() == SERVES

    namespace(body)


def test_who_only_beats_forwards_as_a_standby_does_and_answers_nobody(
    namespace: Namespace, file: Path
) -> None:
    def body() -> None:
        node = Frozen(file)
        node.hears()
        node.beats()
        assert (node.forwards(), node.answers()) == (True, (False, False))

    namespace(body)


def test_a_farewell_of_its_own_is_no_sign_of_life(namespace: Namespace, file: Path) -> None:
    def body() -> None:
        node = Frozen(file)
        node.advertises(FAREWELL)
        node.hears()
        assert node.answers() == (False, False)

    namespace(body)


def test_who_stood_still_says_nothing_of_leading_and_of_flows_until_its_agent_has_beaten(
    namespace: Namespace, file: Path
) -> None:
    def body() -> None:
        node = Frozen(file)
        node.hears()
        assert not passes(lambda: node.tells(NEW))
        assert passes(lambda: node.tells(CONTROL))
        assert passes(lambda: node.advertises(FAREWELL))
        assert passes(node.advertises) is node.plain, (
            "where VRRP alone decides, its word is not kept back"
        )
        node.beats()
        assert node.leaves() == (True, True, True)

    namespace(body)


def test_a_peer_that_has_left_keeps_nobody_silent(namespace: Namespace, file: Path) -> None:
    def body() -> None:
        node = Frozen(file)
        node.hears()
        node.hears(FAREWELL)
        assert node.leaves() == (True, True, True)

    namespace(body)


def test_a_stranger_on_the_lan_silences_nobody(namespace: Namespace, file: Path) -> None:
    def body() -> None:
        node = Frozen(file)
        node.hears(source="192.168.100.10")
        node.first ^= 0x10  # of another version
        node.hears()
        assert node.serves() == SERVES

    namespace(body)


def test_a_silent_node_serves_again_when_its_peer_falls_silent_too(
    namespace: Namespace, cases: dict[str, Path], tmp_path: Path
) -> None:
    def body() -> None:
        node = Frozen(with_interval(cases["01-standard"], SHORT, tmp_path))
        node.advertises()
        began = time.monotonic()

        def silent() -> bool:
            node.hears()
            return node.answers() == (False, False)

        until(silent, "its own lease has run out")
        assert time.monotonic() - began >= 0.06 - 0.01, "three adverts must be missing"
        until(lambda: node.serves() == SERVES, "its peer is heard no more")

    namespace(body)


def test_a_machines_ping_of_the_vgw_is_the_leaders_to_answer(
    namespace: Namespace, file: Path
) -> None:
    def body() -> None:
        node = Frozen(file)
        assert node.behind.pings(VGW)
        node.hears()
        assert not node.behind.pings(VGW)
        assert node.behind.pings(OWN), "its own address is nobody else's"

    namespace(body)


def test_a_standby_hears_its_masters_virtual_macs(
    namespace: Namespace, cases: dict[str, Path], tmp_path: Path
) -> None:
    def body() -> None:
        file = with_interval(cases["07-hot"], LONG, tmp_path)
        node = Frozen(file)
        node.hears()
        for one in plan_of(file, Role.BACKUP).links:
            frames = Frames(one.name, one.mac)
            assert frames.read(1.0) is None
            end, address = (
                (node.behind.lan, VGW) if one.parent == "eth1" else (node.behind.wan, VIP)
            )
            end.announces(address, one.mac)
            end.settle()
            assert frames.read(2.0) == 2.0, f"{one.name} did not hear who has {address}"

    namespace(body)


def test_what_traffic_put_into_our_tables_is_no_change_of_them(
    namespace: Namespace, cases: dict[str, Path], tmp_path: Path
) -> None:
    def body() -> None:
        file = with_interval(cases["01-standard"], LONG, tmp_path)
        node = Frozen(file)
        node.hears()
        node.beats()
        node.advertises()
        run("nft", "add", "table", "ip", "strangers")  # so that ours is listed again
        assert converge.differences(plan_of(file, Role.BACKUP), RunDir()) == ()

    namespace(body)
