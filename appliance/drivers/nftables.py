"""The firewall by nftables (nft(8)): one table of ours, replaced whole. See `firewall` for its verbs."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
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
_UNSUPPORTED = ("Operation not supported", "Protocol not supported", "Unable to initialize Netlink")


class Nftables:
    """Our table in the kernel, by its name; `memory` is the file that remembers it, as digests.

    nft prints a table in words of its own, which change with its version; so the text that was loaded and
    what the kernel then listed are remembered. Without that file the table is loaded again: a
    replacement costs no connection.
    """

    programs: Sequence[str] = ("nft",)
    notices: Sequence[tuple[int, int]] = ((netlink.NETFILTER, _RULES_GROUP),)

    def __init__(self, table: str, memory: Path) -> None:
        self.table, self.memory = table, memory
        self.what = f"table inet {table}"
        self.tables = frozenset({("inet", table)})
        # The ruleset's number when our table was listed last, and the listing.
        self._listed: tuple[int | None, str | None] = (None, None)

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

    def text(self, ruleset: Ruleset) -> str:
        """The nft script that puts our table in place of the former one."""
        return nft_text.text(ruleset, self.table)

    def diff(self, wanted: Ruleset | None) -> tuple[Change, ...]:
        """The whole table, or nothing: it is put, replaced or removed."""
        actual = self.listing()
        if wanted is None:
            return () if actual is None else (Change("-", self.what),)
        script = nft_text.text(wanted, self.table)
        if actual is None:
            return (Change("+", self.what, script),)
        try:
            remembered = json.loads(system.read(self.memory) or "{}")
        except ValueError:
            remembered = {}
        if remembered == {"loaded": _digest(script), "listed": _digest(actual)}:
            return ()
        return (Change("~", self.what, script),)

    def try_out(self, changes: Sequence[Change]) -> None:
        """Have nft and the kernel check the script that would be loaded (nft(8), --check)."""
        for change in changes:
            if change.payload is not None:
                _load(change.payload, "--check")

    def apply(self, changes: Sequence[Change]) -> None:
        """Load or remove our table whole."""
        for change in changes:
            if change.payload is None:
                _load(nft_text.removal(self.table))
                system.remove(self.memory)
                continue
            _load(change.payload)
            digests = {"loaded": _digest(change.payload), "listed": _digest(self.listing() or "")}
            system.put(self.memory, json.dumps(digests))

    def in_force(self) -> bool:
        """Whether our table is there: all of it came at one stroke."""
        return self.listing() is not None

    def listing(self) -> str | None:
        """Our table as nft lists it, without counters' values; None where there is none.

        nft is started only where the ruleset has another number than at the last listing: each change of anybody's
        gives it one. The number is asked for first, so a change meanwhile makes the listing an old one.
        """
        number = _number()
        if number is None or number != self._listed[0]:
            self._listed = (number, self._list())
        return self._listed[1]

    def _list(self) -> str | None:
        result = system.attempt(["nft", "--stateless", "list", "table", "inet", self.table])
        if result.returncode == 0:
            return result.stdout
        if "No such file or directory" in result.stderr:
            return None
        raise _explained(result.output)

    def counters(self) -> tuple[Count, ...]:
        """The rules of our table that drop and count, in its order; those of one chain and comment are one."""
        result = system.attempt(["nft", "--json", "list", "table", "inet", self.table])
        return counts(result.stdout) if result.returncode == 0 else ()

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


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()
