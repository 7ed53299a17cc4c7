"""Two real conntrackds: the replica of a flow that lives outlives its own timer, if it is refreshed."""

import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.conntrack import table
from tests.kernel.conftest import Namespace
from tests.kernel.connections import setting, until, whole_table

IN_PEER = ["ip", "netns", "exec", "peer"]
VGW = "192.168.100.99"
TIMER = 6  # seconds, of UDP and of established TCP here
PORT = 5000  # of both servers

CONFIGURATION = """
Sync {{
  Mode FTFW {{ DisableExternalCache yes }}
  UDP {{
    IPv4_address {own}
    IPv4_Destination_Address {other}
    Port 3780
    Interface {interface}
    Checksum on
  }}
}}
General {{
  HashSize 1024
  HashLimit 8192
  LogFile {directory}/log
  LockFile {directory}/lock
  UNIX {{ Path {directory}/control }}
  NetlinkBufferSize 2097152
  NetlinkBufferSizeMaxGrowth 8388608
  Filter From Kernelspace {{ Protocol Accept {{ TCP UDP ICMP }} }}
}}
"""


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with the block."""
    program = subprocess.Popen(command)
    try:
        yield program
    finally:
        program.terminate()
        program.wait(timeout=10)


@contextlib.contextmanager
def pair() -> Iterator[None]:
    """conntrackd here and in the namespace `peer`, over eth2; eth1 is the LAN, the peer is BACKUP."""
    setup = """
        ip netns add peer
        ip link set peer-eth2 netns peer
        ip -n peer link set peer-eth2 arp on up
        ip -n peer link set lo up
        ip -n peer addr add 10.99.0.3/24 dev peer-eth2
        ip netns exec peer sh -c "echo 1 > /proc/sys/net/netfilter/nf_conntrack_events"
        nft add table ip t
        nft add chain ip t o "{ type filter hook output priority 0; }"
        nft add rule ip t o ct state new counter
        nft add chain ip t raw "{ type filter hook output priority raw; }"
        nft add rule ip t raw udp dport 3780 notrack
        nft add chain ip t early "{ type filter hook prerouting priority raw; }"
        nft add rule ip t early udp dport 3780 notrack
    """
    subprocess.run(["sh", "-ec", setup], check=True)
    commands = []
    for name, own, other, interface in (
        ("here", "10.99.0.2", "10.99.0.3", "eth2"),
        ("peer", "10.99.0.3", "10.99.0.2", "peer-eth2"),
    ):
        directory = Path("/run") / name
        directory.mkdir()
        text = CONFIGURATION.format(own=own, other=other, interface=interface, directory=directory)
        (directory / "conf").write_text(text)
        enter = IN_PEER if name == "peer" else []
        commands.append([*enter, "conntrackd", "-C", str(directory / "conf")])
    with running(commands[0]), running(commands[1]):
        for name in ("here", "peer"):
            until(lambda name=name: Path(f"/run/{name}/control").exists(), f"{name} is up")  # type: ignore[misc]
        yield


def replicas() -> list[int]:
    """Seconds that the peer's kernel still gives the two flows; 0 without a replica."""
    shown = subprocess.run(
        [*IN_PEER, "conntrack", "-L"], capture_output=True, text=True, check=True
    ).stdout
    found = {
        protocol: int(seconds)
        for protocol, seconds in re.findall(
            rf"^(\w+) +\d+ (\d+) .*dport={PORT}", shown, re.MULTILINE
        )
    }
    return [found.get("udp", 0), found.get("tcp", 0)]


@contextlib.contextmanager
def flows() -> Iterator[Callable[[], None]]:
    """A UDP flow and a TCP connection with this machine; gives what sends on both."""
    with (
        socket.socket(type=socket.SOCK_DGRAM) as receiver,
        socket.create_server((VGW, PORT)),
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.create_connection((VGW, PORT)) as stream,
    ):
        receiver.bind((VGW, PORT))
        datagrams.connect((VGW, PORT))

        def send() -> None:
            datagrams.send(b"x")
            stream.send(b"x")
            ours = [e.remaining for e in whole_table().values() if e.origin[48:50] == b"\x13\x88"]
            assert len(ours) == 2 and min(ours) >= TIMER - 1, ours

        yield send


def test_a_replica_lives_as_long_as_its_flow_is_refreshed(tracked: Namespace) -> None:
    def body() -> None:
        setting("udp_timeout", TIMER)
        setting("tcp_timeout_established", TIMER)
        subprocess.run(["ip", "addr", "add", f"{VGW}/24", "dev", "eth1"], check=True)
        refresh = [sys.executable, "-m", "appliance.conntrack.replica_refresh", "--address", VGW]
        refresh += ["--udp", f"{TIMER}", "--icmp", f"{TIMER}", "--tcp-established", f"{TIMER}"]
        timers = {"udp": TIMER, "tcp_established": TIMER}

        with pair(), flows() as send:

            def with_traffic(true: Callable[[list[int]], bool], what: str) -> None:
                def sent() -> bool:
                    send()
                    return true(replicas())

                until(sent, what)

            # What is wrong without a refresh: the flows live, their replicas do not.
            with_traffic(lambda left: min(left) > 0, "the replicas have arrived")
            with_traffic(lambda left: max(left) <= TIMER - 4, "traffic does not arm them")
            # One touch arms them again (a message has whole seconds, rounded down; so has a view).
            for kind in timers:
                stale = table.rearmed(kind, timers, time.monotonic() - 2)
                assert table.touch(stale, rate=100) == (1, 0)
            with_traffic(lambda left: min(left) >= TIMER - 2, "the touches armed the replicas")
            # The program does so for as long as there is traffic, and no longer.
            with running(refresh):
                end = time.monotonic() + 2 * TIMER
                while time.monotonic() < end:
                    send()
                    # A third of the timer, a second to look at what is due, and the rounding.
                    assert min(replicas()) >= 1
                    time.sleep(0.1)
                until(lambda: max(replicas()) == 0, "replicas of quiet flows expire")

    tracked(body)


def test_the_canary_arrives_at_the_peer(tracked: Namespace) -> None:
    def body() -> None:
        look = "from appliance.conntrack import table; raise SystemExit(not table.planted(42))"

        def seen() -> bool:
            done = subprocess.run([*IN_PEER, sys.executable, "-c", look], check=False)
            return done.returncode == 0

        with pair():
            assert not seen()
            table.plant(42)
            until(seen, "the peer sees the canary")

    tracked(body)
