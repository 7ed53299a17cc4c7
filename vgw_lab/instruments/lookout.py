"""Looks each 100 ms from within a gateway: does it hold the VGW, what does it say, who else answers?

For engines that keep the nodes' networks to themselves; it needs nothing but its own source. A look is
one JSON object a line, with what has changed since the last; so what it said stays when its node dies.
The kernel's own counter tells of RSTs, of which a gateway sends none. (That of ICMP unreachables
counts what is sent to the peer too, whose beats come before there is an agent to hear them.)
"""

import argparse
import contextlib
import itertools
import json
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

_EVERY_SECONDS = 0.1
_ETH_P_ARP = 0x0806


def question(mac: bytes, address: str) -> bytes:
    """An ARP probe (RFC 5227): who has the address? It tells nobody where the asker is."""
    head = b"\xff" * 6 + mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    return head + mac + bytes(4) + bytes(6) + socket.inet_aton(address)


def answer(frame: bytes, address: str) -> str | None:
    """The MAC that a frame says an address is at, in reply to a question; None for other frames."""
    reply = frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x02"
    if not reply or frame[28:32] != socket.inet_aton(address):
        return None
    return frame[22:28].hex(":")


def bearer(own: str, links: Path = Path("/sys/class/net")) -> str:
    """The MAC by which this node answers for the VGW: its own, but for a virtual one."""
    virtual = links / "vgw-lan" / "address"
    return virtual.read_text(encoding="ascii").strip() if virtual.exists() else own


def refusals(snmp: str) -> int:
    """How many RSTs the kernel has sent of its own (/proc/net/snmp, RFC 4022)."""
    names, values = (line.split() for line in snmp.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("OutRsts")])


def look(vgw: str, status: Path) -> dict[str, Any]:
    """The node as it is now; `status` is the file in which it says what it is."""
    lines = Path("/proc/net/fib_trie").read_text(encoding="ascii").splitlines()
    local = {
        above.strip(" |-") for above, line in itertools.pairwise(lines) if "host LOCAL" in line
    }
    role = None
    with contextlib.suppress(OSError, ValueError, KeyError):
        role = str(json.loads(status.read_text(encoding="utf-8"))["role"])
    snmp = Path("/proc/net/snmp").read_text(encoding="ascii")
    return {"holds": vgw in local, "role": role, "refused": refusals(snmp)}


def run(vgw: str, interface: str, status: Path) -> None:
    """Look until standard input ends."""
    said: dict[str, Any] = {}
    heard: set[str] = set()
    due = time.monotonic()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ARP)) as lan:
        lan.bind((interface, _ETH_P_ARP))
        mac = lan.getsockname()[4]
        print("looking", time.monotonic(), flush=True)
        while True:
            ready = select.select([lan, sys.stdin], [], [], max(due - time.monotonic(), 0))[0]
            if lan in ready:
                with contextlib.suppress(OSError):  # the interface went down
                    other = answer(lan.recv(2048), vgw)
                    heard |= {other} if other else set()
            now = time.monotonic()
            if now >= due:
                found = look(vgw, status)
                # Nobody hears himself: who holds it answers for it, by a virtual MAC where there is one.
                found["mac"] = mac.hex(":")
                found["answering"] = sorted(
                    heard | ({bearer(found["mac"])} if found["holds"] else set())
                )
                news = {key: value for key, value in found.items() if said.get(key) != value}
                print(json.dumps({"at": now, **news}), flush=True)
                said, heard = found, set()
                with contextlib.suppress(OSError):
                    lan.send(question(mac, vgw))
                due = max(due + _EVERY_SECONDS, now)
            if sys.stdin in ready:
                print(json.dumps({"at": now, "end": True}), flush=True)
                return


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--vgw", required=True)
    options.add_argument("--interface", required=True)
    options.add_argument("--status", type=Path, required=True, help="the node's status file")
    given = options.parse_args()
    run(given.vgw, given.interface, given.status)
