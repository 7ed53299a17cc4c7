"""What must hold at every moment, looked at each 100 ms: who answers for the VGW, and who says what.

The program runs in the world. It asks the LAN who has the VGW, reads what each gateway holds and what
it says of itself, and counts what the gateways send of their own to end other people's flows: a
packet that they forward has left its sender with one hop more. At the end of its standard input it
prints what changed when, one JSON object a line.
"""

import argparse
import contextlib
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.lab import entry, witness
from appliance.lab.running import Lab, local_addresses

# Two nodes may answer, and a role and the addresses differ, for no longer; in seconds.
TWO_SECONDS = 0.6
DIFFER_SECONDS = 1.5
_EVERY_SECONDS = 0.1
_OWN_TTL = 64
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


@dataclass(frozen=True)
class Look:
    """The pair as it was from `at` on: who answers for the VGW (by MAC), who holds it, all roles."""

    at: float
    answering: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    roles: tuple[tuple[str, str], ...] = ()


@dataclass
class Watch:
    """All that was seen: the looks that differ from those before, and each MAC's refusals."""

    looks: list[Look] = field(default_factory=list)
    refusals: dict[str, list[str]] = field(default_factory=dict)
    end: float = 0.0

    @property
    def refused(self) -> int:
        """How many RSTs and unreachables the gateways sent of their own."""
        return sum(map(len, self.refusals.values()))


def lasting(
    watch: Watch, condition: Callable[[Look], bool], seconds: float
) -> list[tuple[float, float]]:
    """When a condition held for longer than so many seconds, and for how long it did."""
    found, begin = [], None
    for look in [*watch.looks, Look(watch.end)]:
        holds = condition(look) and look.at < watch.end
        if holds and begin is None:
            begin = look.at
        elif not holds and begin is not None:
            if look.at - begin > seconds:
                found.append((begin, look.at - begin))
            begin = None
    return found


def violations(watch: Watch, since: float, names: Mapping[str, str]) -> list[str]:
    """What did not hold, a sentence each. `since` is the fault; `names` has the nodes by MAC."""
    found = []
    for at, seconds in lasting(watch, lambda look: len(look.answering) > 1, TWO_SECONDS):
        both = next(look.answering for look in watch.looks if look.at == at)
        who = " and ".join(names.get(mac, mac) for mac in both)
        found.append(f"{who} both answered for the VGW for {seconds:.1f} s, {_when(at, since)}")
    gateways = dict.fromkeys(node for look in watch.looks for node, _ in look.roles)
    for node in gateways:
        for at, seconds in lasting(watch, lambda look, n=node: _differs(look, n), DIFFER_SECONDS):  # type: ignore[misc]
            look = next(look for look in watch.looks if look.at == at)
            holds = "holds the VGW" if node in look.holders else "does not hold the VGW"
            found.append(
                f"{node} says that it is {dict(look.roles)[node]} and {holds}, for {seconds:.1f} s, "
                f"{_when(at, since)}"
            )
    for mac, refusals in sorted(watch.refusals.items()):
        found.append(
            f"{names.get(mac, mac)} refused {len(refusals)} packets of flows that it forwards, "
            f"first with {refusals[0]}"
        )
    return found


def judge(lab: Lab, watch: Watch, since: float) -> list[str]:
    """What did not hold in a lab, a sentence each."""
    names = {wire.mac: spec.name for spec in lab.topology.nodes for wire in spec.wires}
    return violations(watch, since, names)


def _differs(look: Look, node: str) -> bool:
    role = dict(look.roles).get(node)
    return role is not None and (role == "MASTER") != (node in look.holders)


def _when(at: float, since: float) -> str:
    return f"{abs(at - since):.1f} s {'after' if at >= since else 'before'} the fault"


@contextlib.contextmanager
def watching(lab: Lab) -> Iterator[Watch]:
    """Look on for a while; filled in at the end. Nothing is seen where an engine has no world."""
    watch = Watch()
    child = lab.look_on([*_words(lab)])
    if child is None:
        yield watch
        return
    assert child.stdout is not None
    try:
        child.stdout.readline()
        yield watch
    finally:
        seen, _ = child.communicate()
    for line in seen.splitlines():
        if line.startswith("{"):
            _take(watch, json.loads(line))


def _words(lab: Lab) -> Iterator[str]:
    yield from ("--vgw", str(lab.topology.vgw.ip))
    for spec in lab.topology.gateways:
        yield from ("--gateway", spec.name)
        for wire in spec.wires:
            yield from ("--mac", wire.mac)
            if wire.address:
                yield from ("--own", str(wire.address.ip))


def _take(watch: Watch, found: Mapping[str, Any]) -> None:
    if "refusals" in found:
        watch.refusals, watch.end = dict(found["refusals"]), found["end"]
        return
    answering, holders = tuple(found["answering"]), tuple(found["holders"])
    roles = tuple((node, role) for node, role in found["roles"])
    watch.looks.append(Look(found["at"], answering, holders, roles))


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
        if all(self.read(node, "net/fib_trie") for node in self.gateways):
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
            if vgw in local_addresses(self.read(node, "net/fib_trie")):
                holders.append(node)
            with contextlib.suppress(ValueError, KeyError):
                role = json.loads(self.read(node, "root/run/vgw/status.json"))["role"]
                roles.append((node, str(role)))
        return Look(at, tuple(sorted(answering)), tuple(holders), tuple(roles))


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


def refusal(frame: bytes) -> str:
    """A RST or unreachable in a few words."""
    source, target = (socket.inet_ntoa(frame[at : at + 4]) for at in (26, 30))
    ports = 14 + (frame[14] & 15) * 4
    if frame[23] == socket.IPPROTO_ICMP:
        return f"an ICMP unreachable from {source} to {target}"
    near, far = struct.unpack_from("!HH", frame, ports)
    return f"a RST from {source}:{near} to {target}:{far}"


class Looker:
    """The program at work; `macs` and `own` are the gateways', what they tell each other is theirs."""

    def __init__(self, vgw: str, places: Places, macs: Sequence[str], own: Sequence[str]) -> None:
        self.vgw, self.places, self.macs, self.own = vgw, places, macs, own
        self.watch = Watch()
        self.answering: set[str] = set()

    def hear(self, frame: bytes) -> None:
        """Take in what came by on a bridge."""
        source, ipv4 = frame[6:12].hex(":"), frame[12:14] == b"\x08\x00"
        if mac := answer(frame, self.vgw):
            self.answering.add(mac)
        elif ipv4 and source in self.macs and socket.inet_ntoa(frame[30:34]) not in self.own:
            self.watch.refusals.setdefault(source, []).append(refusal(frame))

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
    watch = Looker(options.vgw, places, options.mac, options.own).run()
    for look in watch.looks:
        print(json.dumps(asdict(look)))
    print(json.dumps({"refusals": watch.refusals, "end": watch.end}))


if __name__ == "__main__":
    main()
