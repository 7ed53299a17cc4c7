"""A witness on the LAN: who says that he is MASTER, and when. Runs in the world, or on the standby.

It listens until its standard input ends and then prints what it saw, one JSON object a line.
"""

import argparse
import ctypes
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_PROMISC = 263, 1, 1
_SO_ATTACH_FILTER = 26
_VRRP = 112
# Classic BPF: all of ARP, and of IPv4 what is VRRP (linux/filter.h); the probe's packets would
# otherwise keep the witness busy and late.
_FILTER = (
    (0x28, 0, 0, 12),
    (0x15, 3, 0, 0x0806),
    (0x15, 0, 3, 0x0800),
    (0x30, 0, 0, 23),
    (0x15, 0, 1, _VRRP),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


@dataclass(frozen=True)
class Sight:
    """One thing seen on the LAN.

    `kind` is `advert` (a VRRP advert; `source` sent it with `priority`, 0 meaning that it leaves) or
    `arp` (a gratuitous ARP: `source` says that it is at `mac`). `at` is monotonic, in seconds.
    """

    at: float
    kind: str
    source: str
    mac: str
    vrid: int = 0
    priority: int = 0


def parse(frame: bytes, at: float) -> Sight | None:
    """The advert (RFC 3768, RFC 9568) or gratuitous ARP (RFC 5227) in an Ethernet frame, if any."""
    mac = frame[6:12].hex(":")
    kind = frame[12:14]
    if kind == b"\x08\x06" and len(frame) >= 42 and frame[28:32] == frame[38:42]:
        return Sight(at, "arp", socket.inet_ntoa(frame[28:32]), frame[22:28].hex(":"))
    if kind != b"\x08\x00" or len(frame) < 34 or frame[23] != _VRRP:
        return None
    message = frame[14 + (frame[14] & 15) * 4 :]
    if len(message) < 8 or message[0] & 15 != 1:
        return None
    source = socket.inet_ntoa(frame[26:30])
    return Sight(at, "advert", source, mac, vrid=message[1], priority=message[2])


def takeover(sights: Iterable[Sight], source: str, vrid: int, since: float) -> float | None:
    """Seconds from `since` to the first advert of the new MASTER at `source`; None when none came."""
    for sight in sights:
        advert = (sight.kind, sight.source, sight.vrid) == ("advert", source, vrid)
        if advert and sight.at > since and sight.priority > 0:
            return sight.at - since
    return None


def listener_on(interface: str, steps: Sequence[tuple[int, int, int, int]]) -> socket.socket:
    """A socket that hears what passes a filter on an interface, whomever it is for (packet(7))."""
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program)
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    attached = struct.pack("HL", len(steps), ctypes.addressof(buffer))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)
    listener.bind((interface, _ETH_P_ALL))
    # Unicast adverts pass the bridge by; a bridge in promiscuous mode hands us those too.
    member = struct.pack("IHH8s", socket.if_nametoindex(interface), _PACKET_MR_PROMISC, 0, b"")
    listener.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, member)
    return listener


def listen(interface: str) -> list[Sight]:
    """All that is seen until standard input ends."""
    sights: list[Sight] = []
    with listener_on(interface, _FILTER) as listener:
        print("listening", time.monotonic(), flush=True)
        while True:
            ready = select.select([listener, sys.stdin], [], [])[0]
            if listener in ready:
                sight = parse(listener.recv(2048), time.monotonic())
                if sight is not None:
                    sights.append(sight)
            elif sys.stdin in ready:
                return sights


def read(lines: Iterable[str]) -> list[Sight]:
    """What a witness printed, as it saw it."""
    found: list[dict[str, Any]] = [json.loads(line) for line in lines if line.startswith("{")]
    return [Sight(**fields) for fields in found]


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--interface", default="lan")
    for seen in listen(options.parse_args().interface):
        print(json.dumps(asdict(seen)))
