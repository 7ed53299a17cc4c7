"""Looks at the pair each 100 ms: who answers for the VGW, who holds it, and who says what.

It runs in the world. It asks the LAN who has the VGW, reads what each gateway holds and what it says
of itself, and notes what the gateways send of their own to end other people's flows: a packet that
they forward has left its sender with one hop more. At the end of its standard input it prints what
changed when, one JSON object a line.
"""

import argparse
import contextlib
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from appliance.run_dir import RunDir
from vgw_lab.instruments import witness
from vgw_lab.instruments.lookout import answer, question
from vgw_lab.measures.invariants import Look, Watch
from vgw_lab.worlds import entry
from vgw_lab.worlds.running import local_addresses, told_role

_EVERY_SECONDS = 0.1
_OWN_TTL = 64
_TOO_BIG = 4
_FIB = "net/fib_trie"
# Classic BPF (linux/filter.h): ARP; of IPv4 with a fresh TTL, ICMP unreachable and TCP with RST.
_FILTER = (
    (0x28, 0, 0, 12),
    (0x15, 11, 0, 0x0806),
    (0x15, 0, 11, 0x0800),
    (0x30, 0, 0, 22),
    (0x15, 0, 9, _OWN_TTL),
    (0xB1, 0, 0, 14),
    (0x30, 0, 0, 23),
    (0x15, 3, 0, 6),
    (0x15, 0, 5, 1),
    (0x50, 0, 0, 14),
    (0x15, 2, 3, 3),
    (0x50, 0, 0, 27),
    (0x45, 0, 1, 0x04),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


class Places:
    """Where the gateways' files are, found again after a restart."""

    def __init__(self, gateways: Sequence[str]) -> None:
        self.gateways = gateways
        self.pids: dict[str, int] = {}

    def read(self, node: str, path: str) -> str:
        """A file of a gateway's first process's directory; empty when there is none."""
        with contextlib.suppress(OSError, KeyError):
            return Path(f"/proc/{self.pids[node]}/{path}").read_text(encoding="utf-8")
        return ""

    def refresh(self) -> None:
        """Look for the first processes of gateways that are not where they were."""
        if all(self.read(node, _FIB) for node in self.gateways):
            return
        self.pids = {}
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                numbers = (directory / "status").read_text().partition("NSpid:")[2].split("\n")[0]
                if numbers.split()[1:] != ["1"]:
                    continue
                words = (directory / "environ").read_text(errors="replace").split("\0")
                for node in self.gateways:
                    if f"{entry.NODE_TAG}={node}" in words:
                        self.pids[node] = int(directory.name)

    def look(self, at: float, vgw: str, answering: Iterable[str]) -> Look:
        """The pair as it is now."""
        self.refresh()
        holders, roles = [], []
        for node in self.gateways:
            if vgw in local_addresses(self.read(node, _FIB)):
                holders.append(node)
            if role := told_role(self.read(node, f"root{RunDir().status}")):
                roles.append((node, role))
        return Look(at, tuple(sorted(answering)), tuple(holders), tuple(roles))


def refusal(frame: bytes, own: Sequence[str] = ()) -> str | None:
    """A RST or unreachable in a few words; None for others, and for what goes to the pair's `own`.

    That a packet is too big (RFC 1191) is no refusal.
    """
    if frame[12:14] != b"\x08\x00":
        return None
    source, target = (socket.inet_ntoa(frame[at : at + 4]) for at in (26, 30))
    ports = 14 + (frame[14] & 15) * 4
    icmp = frame[23] == socket.IPPROTO_ICMP
    if target in own or (icmp and frame[ports + 1] == _TOO_BIG):
        return None
    if icmp:
        return f"an ICMP unreachable from {source} to {target}"
    near, far = struct.unpack_from("!HH", frame, ports)
    return f"a RST from {source}:{near} to {target}:{far}"


class Looker:
    """The program at work. `macs` tells whose a MAC is; what is sent to `own` is the pair's affair."""

    def __init__(
        self, vgw: str, places: Places, macs: Mapping[str, str], own: Sequence[str]
    ) -> None:
        self.vgw, self.places, self.macs, self.own = vgw, places, macs, own
        self.watch = Watch()
        self.answering: set[str] = set()

    def hear(self, frame: bytes) -> None:
        """Take in what came by on a bridge."""
        source = frame[6:12].hex(":")
        if mac := answer(frame, self.vgw):
            self.answering.add(mac)
        # A network without processes is one that is being taken down: nobody's answer.
        elif source in self.macs and self.places.read(self.macs[source], _FIB):
            said = refusal(frame, self.own)
            self.watch.refusals.setdefault(source, []).extend([said] if said else [])

    def look(self, now: float) -> None:
        """Keep how it is, if that differs from how it was; what was answered until now counts."""
        look = self.places.look(now, self.vgw, self.answering)
        former = self.watch.looks[-1] if self.watch.looks else None
        if former is None or replace(look, at=former.at) != former:
            self.watch.looks.append(look)
        self.answering = set()

    def run(self) -> Watch:
        """Look each 100 ms until standard input ends."""
        with witness.listener_on("lan", _FILTER) as lan, witness.listener_on("wan", _FILTER) as wan:
            asked = question(lan.getsockname()[4], self.vgw)
            print("looking", flush=True)
            due = time.monotonic()
            while True:
                wait = max(due - time.monotonic(), 0)
                ready = select.select([lan, wan, sys.stdin], [], [], wait)[0]
                for listener in (lan, wan):
                    if listener in ready:
                        self.hear(listener.recv(2048))
                now = time.monotonic()
                if now >= due:
                    self.look(now)
                    with contextlib.suppress(OSError):
                        lan.send(asked)
                    due = max(due + _EVERY_SECONDS, now)
                if sys.stdin in ready:
                    self.watch.end = now
                    return self.watch


def main() -> None:
    """Look on, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vgw", required=True)
    parser.add_argument("--gateway", action="append", default=[])
    parser.add_argument("--mac", action="append", default=[])
    parser.add_argument("--own", action="append", default=[])
    options = parser.parse_args()
    places = Places(options.gateway)
    macs = {mac: node for node, _, mac in (word.partition("=") for word in options.mac)}
    watch = Looker(options.vgw, places, macs, options.own).run()
    for look in watch.looks:
        print(json.dumps(asdict(look)))
    print(json.dumps({"refusals": watch.refusals, "end": watch.end}))


if __name__ == "__main__":
    main()
