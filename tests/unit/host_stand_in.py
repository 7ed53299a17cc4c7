"""What a command finds beside the kernel's tables: capabilities, programs, neighbours, and other gateways."""

import errno
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from appliance.processes import claim
from appliance.site import probes

from .machine_stand_in import Gateway
from .program_stand_ins import installed

ALL_CAPABILITIES = "000001ffffffffff"


@dataclass
class Neighbours:
    """Who is on the networks: the MAC that answers for an address, and the adverts that are heard."""

    macs: dict[str, str] = field(default_factory=dict)
    adverts: list[tuple[str, int]] = field(default_factory=list)
    """Who sent each, and its virtual router id."""
    asked: list[str] = field(default_factory=list)

    def link(self) -> "PacketSocket":
        """A packet socket (packet(7)) on one of the networks."""
        return PacketSocket(self)


class PacketSocket:
    """Answers wait before a question returns; who listens hears all adverts, and then silence."""

    def __init__(self, neighbours: Neighbours) -> None:
        self.neighbours = neighbours
        self.waiting: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def bind(self, where: tuple[str, int]) -> None:
        """Who asks for IP packets hears the adverts."""
        if where[1] == 0x0800:
            self.waiting += [_advert(*one) for one in self.neighbours.adverts]

    def getsockname(self) -> tuple[str, int, int, int, bytes]:
        return ("lo", 0x0806, 0, 1, bytes.fromhex("020000000001"))

    def settimeout(self, _: float) -> None:
        """Never waits."""

    def send(self, question: bytes) -> None:
        """An ARP question (RFC 826); who has the address answers."""
        address = socket.inet_ntoa(question[38:42])
        self.neighbours.asked.append(address)
        if mac := self.neighbours.macs.get(address):
            sender = bytes.fromhex(mac.replace(":", ""))
            head = struct.pack("!6s6sHHHBBH", question[6:12], sender, 0x0806, 1, 0x0800, 6, 4, 2)
            self.waiting += [question, head + sender + question[38:42] + bytes(10)]

    def recv(self, _: int) -> bytes:
        if not self.waiting:
            raise TimeoutError
        return self.waiting.pop(0)


def _advert(sender: str, router_id: int) -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 255, 112, 0, socket.inet_aton(sender), b""
    )
    return head + bytes((0x21, router_id, 100, 1, 0, 1, 0, 0))


class UnixSocket:
    """A unix socket whose names nobody else sees: no supervisord listens, and a claim is kept on paper."""

    def __init__(self, claims: list[str]) -> None:
        self.claims = claims

    def settimeout(self, _: float) -> None:
        """Never waits."""

    def connect(self, place: str) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", place)

    def bind(self, name: bytes) -> None:
        self.claims.append(name[1:].decode())

    def set_inheritable(self, _: bool) -> None:
        """It goes to the program that the process becomes."""

    def detach(self) -> int:
        return -1

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Host:
    """All of that on one machine."""

    machine: Gateway
    directory: Path
    neighbours: Neighbours = field(default_factory=Neighbours)
    claims: list[str] = field(default_factory=list)

    def may(self, capabilities: str) -> None:
        """Have this process these capabilities, as a mask in hexadecimal digits."""
        (self.directory / "status").write_text(f"Name:\tvgw\nCapEff:\t{capabilities}\n")

    def another_gateway(self, words: str) -> None:
        """Have somebody else's claim in this network."""
        line = f"0000: 00000002 00000000 00010000 0001 01 7 @vgw {words}\n"
        (self.directory / "unix").write_text(
            "Num RefCount Protocol Flags Type St Inode Path\n" + line
        )

    def nobody_supervises(self) -> None:
        """Have claims kept on paper; then no supervisord can answer."""
        sockets = self.machine.sockets
        sockets.lead(socket.AF_UNIX, socket.SOCK_STREAM, to=lambda: UnixSocket(self.claims))


def host(monkeypatch: pytest.MonkeyPatch, directory: Path, machine: Gateway) -> Host:
    """One that has all it needs, and no neighbours."""
    found = Host(machine, directory)
    found.may(ALL_CAPABILITIES)
    (directory / "unix").write_text("")
    (directory / "protocols").touch()
    for name in (*probes.PROGRAMS, "modprobe"):
        if not (directory / name).exists():
            installed(monkeypatch, directory, name, "#!/bin/true\n")
    monkeypatch.setattr(probes, "_OWN_STATUS", directory / "status")
    monkeypatch.setattr(probes, "CONNTRACK", directory / "protocols")
    monkeypatch.setattr(probes, "FILES", (str(directory / "protocols"),))
    monkeypatch.setattr(claim, "_SOCKETS", directory / "unix")
    for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
        machine.sockets.lead(socket.AF_PACKET, kind, to=found.neighbours.link)
    return found
