"""nftables and iptables-legacy behind their doors: they answer what a real kernel has answered once (tests/rulesets)."""

import errno
import gzip
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance import netlink, nfnetlink
from appliance.filters.legacy_rules import LegacyTable
from appliance.filters.packets import HookPoint
from appliance.planning import witness
from tests.rulesets import RULESETS

from .kernel_stand_ins import Door, ending

Tape = dict[str, list[str]]
_GET = {
    nfnetlink._NFT_GET_TABLE: "tables",
    nfnetlink._NFT_GET_CHAIN: "chains",
    nfnetlink._NFT_GET_RULE: "rules",
    nfnetlink._NFT_GET_SET: "set",
    nfnetlink._NFT_GET_ELEMENTS: "elements",
}


def recorded(name: str) -> Tape:
    """What was recorded under a name."""
    tape: Tape = json.loads(gzip.decompress((RULESETS / f"{name}.tape").read_bytes()))
    return tape


def legacy(name: str) -> tuple[LegacyTable, ...]:
    """The tables of iptables-legacy that were recorded under a name."""
    return tuple(
        LegacyTable(table, _places(begins), _places(ends), bytes.fromhex(rules))
        for table, (begins, ends, rules) in recorded(name).items()
    )


def _places(told: str) -> dict[HookPoint, int]:
    return {HookPoint(name): at for name, at in json.loads(told).items()}


@dataclass
class Nftables:
    """What is in the kernel: a tape, and the counters of our own two chains."""

    tape: Tape = field(default_factory=dict)
    generation: int = 1
    restless: int = 0
    """How many times its number is asked for until it stays the same."""
    asked: int = 0
    """How many questions there have been."""
    refuses: bool = False
    """Whether nobody is told anything."""
    loaded: Path | None = None
    """Where the program nft keeps the tables that it loaded, the others as .ip and .netdev: another text there is another ruleset."""

    def load(self, name: str) -> None:
        """Have what was recorded under a name, and our counters no more."""
        self.tape, self.generation = recorded(name), self.generation + 1

    def unload(self) -> None:
        """Have nothing of anybody's."""
        self.tape, self.generation = {}, self.generation + 1

    def count(
        self, set_out: int = 0, left: int = 0, *, pings: int = 0, pings_left: int = 0
    ) -> None:
        """Have our rules that count say this."""
        for chain, flows, echoes in (
            (witness.SETTING_OUT, set_out, pings),
            (witness.LEAVING, left, pings_left),
        ):
            told = ((witness.PINGS, echoes), (witness.FLOWS, flows))
            rules = [_counting(chain, kind, packets) for kind, packets in told]
            self.tape[f"rules {nfnetlink.INET} vgw {chain}"] = [one.hex() for one in rules]

    def _loaded(self) -> int:
        if self.loaded is None:
            return 0
        places = (self.loaded, self.loaded.with_suffix(".ip"), self.loaded.with_suffix(".netdev"))
        return sum(zlib.crc32(place.read_bytes()) for place in places if place.exists())

    def door(self) -> Door:
        """A socket to it."""
        return Door(self.answers)

    def answers(self, kind: int, flags: int, message: bytes) -> Iterator[bytes]:
        """As nf_tables does, one object a buffer."""
        self.asked += 1
        if self.refuses:
            yield ending(errno.EPERM)
            return
        what, body = kind & 0xFF, message[netlink.HEAD.size :]
        if what == nfnetlink._NFT_GET_GENERATION:
            if self.restless:
                self.restless, self.generation = self.restless - 1, self.generation + 1
            number = struct.pack("!I", (self.generation + self._loaded()) % 2**32)
            told = [(nfnetlink._GENMSG.pack(0, 0, 0) + netlink.attribute(1, number)).hex()]
        else:
            names = netlink.attributes(body, nfnetlink._GENMSG.size)
            words = [str(body[0])] if names else []
            words += [nfnetlink.text(names[one]) for one in sorted(names)]
            told = self.tape.get(" ".join([_GET[what], *words]), [])
        for one in told:
            yield netlink.message(kind, 0, bytes.fromhex(one))
        dumps = flags & netlink.DUMP == netlink.DUMP
        yield ending(0, netlink.DONE if dumps else netlink.ERROR)


def _counting(chain: str, comment: str, packets: int) -> bytes:
    """A rule of ours that counts, as the kernel tells it."""
    counter = netlink.attribute(2, struct.pack("!Q", packets))
    step = netlink.attribute(1, b"counter\0") + netlink.attribute(2, counter)
    words = comment.encode() + b"\0"
    return (
        nfnetlink._GENMSG.pack(nfnetlink.INET, 0, 0)
        + netlink.attribute(nfnetlink._RULE_TABLE, b"vgw\0")
        + netlink.attribute(nfnetlink._RULE_CHAIN, chain.encode() + b"\0")
        + netlink.attribute(nfnetlink._RULE_EXPRESSIONS, netlink.attribute(1, step))
        + netlink.attribute(nfnetlink._RULE_USERDATA, bytes((0, len(words))) + words)
    )
