"""One look at the world each: what this process may do, what is installed, who else is on the LAN."""

import socket
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from appliance import system
from appliance.addresses import Address
from appliance.config.model import Config, Interfaces
from appliance.drivers import passage, routes
from appliance.drivers.firewall import Firewall
from appliance.drivers.routes import Link
from appliance.planning.wanted import Names
from appliance.site import way_out
from appliance.wires import arp

# Linux's numbers of the capabilities we ask about (capabilities(7), include/uapi/linux/capability.h).
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_NICE": 23}
_ETH_P_ALL, _ETH_P_IP = 0x0003, 0x0800
_VRRP = 112
_OWN_STATUS = Path("/proc/self/status")
CONNTRACK = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_loose")
PROGRAMS = ("conntrack", "conntrackd", "ip", "keepalived", "setpriv")
# Without it conntrackd knows no protocol by its name: it starts, and tells the peer of no connection.
FILES = ("/etc/protocols",)


def capabilities() -> frozenset[str]:
    """The effective capabilities of this process, of those we ask about."""
    status = _OWN_STATUS.read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    bits = int(line.split()[1], 16)
    return frozenset(name for name, bit in _CAPABILITIES.items() if bits >> bit & 1)


def obstacle(
    config: Config, interfaces: Interfaces, names: Names, links: Mapping[str, Link]
) -> str:
    """Why the kernel would not send packets from inside to the upstream router; empty where it would."""
    question = way_out.question(config, interfaces, names)
    return way_out.stolen(config, question, passage.passages(question, links), passage.rulings)


def programs(firewall: Firewall) -> dict[str, bool]:
    """Each program that the gateway runs, and each file that these need: whether it is installed."""
    needed = (*PROGRAMS, *firewall.programs)
    found = {name: system.find_program(name) is not None for name in needed}
    return found | {name: Path(name).exists() for name in FILES}


def lacking(firewall: Firewall) -> frozenset[str]:
    """The features that the running kernel lacks, by the names of their modules."""
    tracking = frozenset() if CONNTRACK.exists() else frozenset({"nf_conntrack"})
    return tracking | firewall.lacking()


def load_modules() -> None:
    """Ask the kernel for connection tracking where it is a module that nobody has needed yet.

    What cannot be loaded here, as in a container, the preflight names.
    """
    if not CONNTRACK.exists() and system.find_program("modprobe"):
        system.attempt(["modprobe", "--quiet", "nf_conntrack"])


def answers(interface: str, addresses: Iterable[Address], wait: float) -> dict[Address, str]:
    """Who on the interface's network answers ARP for these addresses within `wait` seconds, as MACs."""
    wanted = set(addresses)
    found: dict[Address, str] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(arp.ETH_P_ARP)) as link:
        link.bind((interface, arp.ETH_P_ARP))
        mine = link.getsockname()[4]
        for address in sorted(wanted):
            link.send(arp.question(mine, address))
        for frame in _frames(link, wait):
            operation, sender = struct.unpack("!20xH6x4s", frame[:32])
            if operation == 2 and (address := Address(sender)) in wanted:
                found[address] = frame[22:28].hex(":")
            if wanted == found.keys():
                break
    return found


def router_ids(interface: str, wait: float) -> dict[int, frozenset[Address]]:
    """The virtual router ids advertised on the interface's network within `wait` seconds, by whom."""
    heard: dict[int, frozenset[Address]] = {}
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)) as link:
        link.bind((interface, _ETH_P_IP))
        for packet in _frames(link, wait):
            start = (packet[0] & 0xF) * 4
            if packet[9] == _VRRP and len(packet) > start + 2:
                sender = Address(packet[12:16])
                if not routes.holds(sender):
                    number = packet[start + 1]
                    heard[number] = heard.get(number, frozenset()) | {sender}
    return heard


def _frames(link: socket.socket, wait: float) -> Iterable[bytes]:
    end = system.monotonic() + wait
    while (left := end - system.monotonic()) > 0:
        link.settimeout(left)
        try:
            yield link.recv(2048)
        except TimeoutError:
            return
