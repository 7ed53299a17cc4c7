"""Record what the kernel answers about each recorded ruleset: `python -m tests.rulesets.record`, in a network of its own."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

from appliance import netlink, nfnetlink
from appliance.filters import legacy_kernel
from tests.rulesets import RULESETS

# What to load, and by which program; the first word of a file's name is the tape's.
LOADS = {
    "ufw": ("iptables-nft-restore", "ufw.rules"),
    "ufw-mended": ("iptables-nft-restore", "ufw-mended.rules"),
    "docker": ("iptables-nft-restore", "docker.rules"),
    "docker-mended": ("iptables-nft-restore", "docker-mended.rules"),
    "firewalld": ("nft -f -", "firewalld.nft"),
    "firewalld-mended": ("nft -f -", "firewalld-mended.nft"),
    "words": ("nft -f -", "words.nft"),
}
LEGACY = {
    "legacy-ufw": "ufw.rules",
    "legacy-docker": "docker.rules",
    "legacy-docker-mended": "docker-mended.rules",
}


def nft_tape() -> dict[str, list[str]]:
    """All answers by what is asked for: the kind of message, and for what."""
    tape = {
        "tables": _bodies(nfnetlink._NFT_GET_TABLE, 0, b""),
        "chains": _bodies(nfnetlink._NFT_GET_CHAIN, 0, b""),
    }
    for one in nfnetlink.chains():
        key = f"rules {one.family} {one.table} {one.name}"
        wanted = netlink.attribute(1, nfnetlink._named(one.table))
        wanted += netlink.attribute(2, nfnetlink._named(one.name))
        if found := _bodies(nfnetlink._NFT_GET_RULE, one.family, wanted):
            tape[key] = found
    for body in map(bytes.fromhex, _bodies(nfnetlink._NFT_GET_SET, 0, b"")):
        told = netlink.attributes(body, nfnetlink._GENMSG.size)
        family, table, name = body[0], nfnetlink.text(told[1]), nfnetlink.text(told[2])
        wanted = netlink.attribute(1, told[1]) + netlink.attribute(2, told[2])
        tape[f"set {family} {table} {name}"] = [body.hex()]
        tape[f"elements {family} {table} {name}"] = _bodies(
            nfnetlink._NFT_GET_ELEMENTS, family, wanted
        )
    return tape


def _bodies(kind: int, family: int, wanted: bytes) -> list[str]:
    return [body.hex() for body in nfnetlink._list(kind, family, wanted)]


def legacy_tape() -> dict[str, list[str]]:
    """Each table: where its chains begin and end, and its rules."""
    return {
        table.name: [*map(json.dumps, (table.begins, table.ends)), table.rules.hex()]
        for table in legacy_kernel.tables()
    }


def _write(name: str, tape: dict[str, list[str]]) -> None:
    words = json.dumps(tape, sort_keys=True).encode()
    (RULESETS / f"{name}.tape").write_bytes(gzip.compress(words, mtime=0))


def main() -> None:
    """Load, record, and take away; in a namespace, as the process that this one starts for it."""
    if sys.argv[1:] != ["inside"]:
        again = [sys.executable, "-m", "tests.rulesets.record", "inside"]
        os.execvp("unshare", ["unshare", "--net", "--map-root-user", *again])
    for name, (program, file) in LOADS.items():
        _run(program, RULESETS / file)
        _write(name, nft_tape())
        _run("nft flush ruleset")
    for name, file in LEGACY.items():
        _run("iptables-legacy-restore", RULESETS / file)
        _write(name, legacy_tape())


def _run(program: str, file: Path = Path("/dev/null")) -> None:
    with file.open() as script:
        subprocess.run(program.split(), stdin=script, check=True)


if __name__ == "__main__":
    main()
