"""Two real conntrackds: the replica of a flow that lives outlives its own timer, if it is refreshed."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.drivers import conntrack
from tests.kernel.connections import setting, table, until

Namespace = Callable[[Callable[[], None]], None]
IN_PEER = ["ip", "netns", "exec", "peer"]
VGW = "192.168.100.99"
TIMER = 6  # seconds, of a UDP entry here

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
        nft add rule ip t o udp dport 5000 ct state new counter
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
            until(lambda name=name: Path(f"/run/{name}/control").exists(), 10, f"{name} is up")  # type: ignore[misc]
        yield


def replica() -> int:
    """Seconds that the peer's kernel still gives the flow; 0 without a replica."""
    shown = subprocess.run(
        [*IN_PEER, "conntrack", "-L", "-p", "udp"], capture_output=True, text=True, check=True
    )
    lines = [line for line in shown.stdout.splitlines() if "dport=5000" in line]
    return int(lines[0].split()[2]) if lines else 0


def refresh() -> list[str]:
    """The command of a refresh that knows this timer."""
    module = [sys.executable, "-m", "appliance.refresh", "--address", VGW]
    return [*module, "--udp", str(TIMER), "--icmp", str(TIMER)]


def test_a_replica_lives_as_long_as_its_flow_is_refreshed(tracked: Namespace) -> None:
    def body() -> None:
        setting("udp_timeout", TIMER)
        subprocess.run(["ip", "addr", "add", f"{VGW}/24", "dev", "eth1"], check=True)
        with (
            pair(),
            socket.socket(type=socket.SOCK_DGRAM) as server,
            socket.socket(type=socket.SOCK_DGRAM) as client,
        ):
            server.bind((VGW, 5000))
            client.connect((VGW, 5000))

            def live() -> int:
                """Send a datagram; seconds that our own kernel gives the flow then."""
                client.send(b"x")
                entry = next(e for e in table().values() if e.origin[48:50] == b"\x13\x88")
                return entry.remaining

            def traffic_until(true: Callable[[], bool], seconds: float, what: str) -> None:
                def sent() -> bool:
                    assert live() >= TIMER - 1
                    return true()

                until(sent, seconds, what)

            # What is wrong without a refresh: the flow lives, its replica does not.
            traffic_until(lambda: replica() > 0, 10, "the replica has arrived")
            traffic_until(lambda: replica() <= TIMER - 4, 10, "traffic does not arm the replica")
            # One touch arms it again (a message has whole seconds, rounded down, and so has a view).
            stale = conntrack.stale("udp", {"udp": TIMER}, time.monotonic() - 2)
            assert conntrack.touch(stale, rate=100) == (1, 0)
            traffic_until(lambda: replica() >= TIMER - 2, 2, "the touch armed the replica")
            # The program does so for as long as there is traffic, and no longer.
            with running(refresh()):
                end = time.monotonic() + 2 * TIMER
                lowest = TIMER
                while time.monotonic() < end:
                    assert live() >= TIMER - 1
                    lowest = min(lowest, replica())
                    time.sleep(0.1)
                assert lowest >= 1, (
                    "it lags by a third of the timer, a second to look, and rounding"
                )
                until(lambda: replica() == 0, 2 * TIMER, "the replica of a flow that ended ends")

    tracked(body)


def test_the_canary_arrives_at_the_peer(tracked: Namespace) -> None:
    def body() -> None:
        look = (
            "from appliance.drivers import conntrack; raise SystemExit(not conntrack.planted(42))"
        )

        def seen() -> bool:
            done = subprocess.run([*IN_PEER, sys.executable, "-c", look], check=False)
            return done.returncode == 0

        with pair():
            assert not seen()
            conntrack.plant(42)
            until(seen, 5, "the peer sees the canary")

    tracked(body)
