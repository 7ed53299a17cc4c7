"""The firewall by nftables (nft(8)): a table of ours in each family, replaced whole. See `firewall` for its verbs."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance import (
    ApplianceError,
    CommandFailed,
    MissingKernelFeature,
    netlink,
    nfnetlink,
    system,
)
from appliance.planning import nft_text, witness
from appliance.planning.ruleset import Count, FirstPackets, Ruleset
from appliance.planning.wanted import Change

_RULES_GROUP = 1 << 6  # NFNLGRP_NFTABLES is the seventh
# The elements of a timer's set, which is there while the timer runs; nft prints them last.
_RUNNING = re.compile(
    r"(\tflags dynamic,timeout\n(?:\t\ttimeout \w+\n)?)\t\telements = \{[^}]*\}\n"
)
_AT_AN_INTERFACE = """table ip vgw {
	chain out {
		type filter hook output priority 300
		meta l4proto 112 dup to 127.0.0.1 device "lo"
	}
}
table netdev vgw {
	chain in { type filter hook ingress device "lo" priority filter; }
}
"""
_UNSUPPORTED = ("Operation not supported", "Protocol not supported", "Unable to initialize Netlink")


@dataclass(frozen=True)
class _Loading:
    """What is to become of our table in a family: the script that puts it, or None to take it away."""

    family: str
    script: str | None = None


class Nftables:
    """Our tables in the kernel, by their name; `memory` is the file that remembers them, as digests.

    nft prints a table in words of its own, which change with its version; so the text that was loaded and
    what the kernel then listed are remembered. Without that file the tables are loaded again: a
    replacement costs no connection.
    """

    programs: Sequence[str] = ("nft",)
    notices: Sequence[tuple[int, int]] = ((netlink.NETFILTER, _RULES_GROUP),)

    def __init__(self, table: str, memory: Path) -> None:
        self.table, self.memory = table, memory
        self.tables = frozenset((family, table) for family in nft_text.FAMILIES)
        # The ruleset's number when a table of ours was listed last, and the listing; by family.
        self._listed: dict[str, tuple[int | None, str | None]] = {}

    def lacking(self) -> frozenset[str]:
        """Both features, where the kernel does not even tell whether our table is there."""
        try:
            self.listing()
        except ApplianceError:
            return frozenset({"nf_tables", "nf_nat"})
        return frozenset()

    def supported(self, ruleset: Ruleset) -> tuple[str, ...]:
        """What nft has no words for."""
        return nft_text.problems(ruleset)

    def sees_frames(self) -> bool:
        """Whether the kernel has chains for what comes in by an interface, and makes copies."""
        return not any(
            phrase in system.attempt(["nft", "--check", "-f", "-"], _AT_AN_INTERFACE).output
            for phrase in _UNSUPPORTED
        )

    def text(self, ruleset: Ruleset) -> str:
        """The nft script that puts our tables in place of the former ones."""
        return nft_text.text(ruleset, self.table)

    def diff(self, wanted: Ruleset | None) -> tuple[Change, ...]:
        """Each table whole, or nothing: it is put, replaced or removed. The firewall comes first, and goes last."""
        scripts = nft_text.scripts(wanted, self.table) if wanted else {}
        remembered = self._remembered()
        found = (
            self._difference(family, scripts.get(family), remembered.get(family))
            for family in (nft_text.FAMILIES if wanted else reversed(nft_text.FAMILIES))
        )
        return tuple(change for change in found if change)

    def _difference(self, family: str, script: str | None, remembered: object) -> Change | None:
        actual, what = self.listing(family), f"table {family} {self.table}"
        if script is None:
            return None if actual is None else Change("-", what, _Loading(family))
        if actual is None:
            return Change("+", what, _Loading(family, script))
        if remembered == _digests(script, actual):
            return None
        return Change("~", what, _Loading(family, script))

    def _remembered(self) -> dict[str, object]:
        try:
            found = json.loads(system.read(self.memory) or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def try_out(self, changes: Sequence[Change]) -> None:
        """Have nft and the kernel check the scripts that would be loaded (nft(8), --check)."""
        for change in changes:
            if change.payload.script is not None:
                _load(change.payload.script, "--check")

    def apply(self, changes: Sequence[Change]) -> None:
        """Load or remove each table whole."""
        for change in changes:
            family, script = change.payload.family, change.payload.script
            kept = {
                one: digests
                for one, digests in self._remembered().items()
                if one in nft_text.FAMILIES and one != family
            }
            if script is None:
                _load(nft_text.removal(family, self.table))
            else:
                _load(script)
                kept[family] = _digests(script, self.listing(family) or "")
            if kept:
                system.put(self.memory, json.dumps(kept))
            else:
                system.remove(self.memory)

    def in_force(self) -> bool:
        """Whether the firewall is there: all of it came at one stroke. What sees frames lets nothing through."""
        return self.listing() is not None

    def listing(self, family: str = nft_text.IP) -> str | None:
        """A table of ours as nft lists it, without what traffic writes; None where there is none.

        nft is started only where the ruleset has another number than at the last listing: each change of anybody's
        gives it one. The number is asked for first, so a change meanwhile makes the listing an old one.
        """
        number = _number()
        if number is None or number != self._listed.get(family, (None, None))[0]:
            self._listed[family] = (number, self._list(family))
        return self._listed[family][1]

    def _list(self, family: str) -> str | None:
        result = system.attempt(["nft", "--stateless", "list", "table", family, self.table])
        if result.returncode == 0:
            return _RUNNING.sub(r"\1", result.stdout)
        if "No such file or directory" in result.stderr:
            return None
        raise _explained(result.output)

    def counters(self) -> tuple[Count, ...]:
        """The rules of our tables that drop and count, in their order; those of one chain and comment are one."""
        listings = (
            system.attempt(["nft", "--json", "list", "table", family, self.table])
            for family in nft_text.FAMILIES
        )
        return tuple(
            found for one in listings if one.returncode == 0 for found in counts(one.stdout)
        )

    def first_packets(self) -> FirstPackets | None:
        """What our two chains that see each flow's first packet have counted; asks the kernel without a program."""
        try:
            set_out, left = self._counted(witness.SETTING_OUT), self._counted(witness.LEAVING)
        except OSError as error:
            raise CommandFailed(f"the kernel did not tell our counters: {error.strerror}") from None
        if not left:
            return None
        pings, flows = witness.PINGS, witness.FLOWS
        return FirstPackets(set_out[pings], left[pings], set_out[flows], left[flows])

    def _counted(self, chain: str) -> Counter[str]:
        """The packets that each kind of counting rule of a chain has met; nothing where there is no such chain."""
        found: Counter[str] = Counter()
        for rule in nfnetlink.rules(nfnetlink.INET, self.table, chain):
            if (packets := nfnetlink.packets(rule)) is not None:
                found[rule.comment] += packets
        return found


def _number() -> int | None:
    """The number of the ruleset in force, of this network; None where the kernel does not tell."""
    try:
        return nfnetlink.generation()
    except OSError:
        return None


def counts(listing: str) -> tuple[Count, ...]:
    """The counters of rules that drop in what `nft --json list table` printed (libnftables-json(5))."""
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for item in json.loads(listing)["nftables"]:
        rule = item.get("rule", {})
        for part in rule.get("expr", ()):
            if "counter" in part and {"drop": None} in rule["expr"]:
                name, count = (rule["chain"], rule.get("comment", "")), part["counter"]
                packets, octets = totals.get(name, (0, 0))
                totals[name] = (packets + count["packets"], octets + count["bytes"])
    return tuple(Count(*name, *total) for name, total in totals.items())


def _load(script: str, *options: str) -> None:
    result = system.attempt(["nft", *options, "-f", "-"], script)
    if result.returncode != 0:
        raise _explained(result.output)


def _explained(output: str) -> CommandFailed | MissingKernelFeature:
    if any(phrase in output for phrase in _UNSUPPORTED):
        return MissingKernelFeature(
            f"nft: {output}: this kernel has no nf_tables, or not for us; "
            "load it on the host with `modprobe nf_tables nf_nat nft_chain_nat nft_fib_inet`"
        )
    return CommandFailed(f"nft refused our table: {output}")


def _digests(script: str, listing: str) -> dict[str, str]:
    """What is remembered of a table: its script, and what nft said of it then."""
    return {"loaded": _digest(script), "listed": _digest(listing)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
