"""What stands where a program would be found: short scripts, first on PATH, that keep what they are given in files."""

import os
from pathlib import Path

import pytest

# As nft(8): a script is taken whole or not at all, checked alone with --check, and a table that is not there is an error.
# Beside `refuses` it ends in an error each time, beside `stumbles` once, beside `disapproves` where it checks. It logs what it was asked.
# The shell itself does what it can, for the tests start it thousands of times.
NFT = """#!/bin/sh
echo "$*" >> "$0.log"
[ -f "$0.stumbles" ] && { rm "$0.stumbles"; echo "Error: busy" >&2; exit 1; }
[ -f "$0.refuses" ] && { cat "$0.refuses" >&2; exit 1; }
case "$1" in
-f | --check) text=$(cat); family=${text#* }; family=${family%% *} ;;
*) family=$4 ;;
esac
kept="$0.$family"; [ "$family" = inet ] && kept="$0.table"
case "$1" in
-f) case "$text" in *{*) printf '%s\\n' "$text" > "$kept" ;; *) rm -f "$kept" ;; esac ;;
--check) [ "$family" = inet ] && printf '%s\\n' "$text" > "$0.checked"
    [ ! -f "$0.disapproves" ] || { cat "$0.disapproves" >&2; exit 1; } ;;
--json) [ "$family" = inet ] && exec cat "$0.json"; exec cat "$kept.json" ;;
*) [ -f "$kept" ] || { echo "Error: No such file or directory" >&2; exit 1; }; exec cat "$kept" ;;
esac
"""
# As keepalived(8): it tells its version, refuses a broken file, and logs what it was asked.
KEEPALIVED = """#!/bin/sh
[ "$1" = --version ] && { echo "Keepalived v2.2.7 (01/16,2022)" >&2; exit; }
echo "$*" >> "$0.log"
! grep -n broken "$3"
"""
# As conntrackd(8) where none runs: asked for counters, it reads its file and then finds nobody.
CONNTRACKD = """#!/bin/sh
echo "$*" >> "$0.log"
if grep -q broken "$2"; then echo "[ERROR] parsing config file in line (1), symbol 'broken': syntax error"
else echo "[ERROR] can't connect: is conntrackd running? appropriate permissions?"; fi >&2
exit 1
"""


def installed(monkeypatch: pytest.MonkeyPatch, directory: Path, name: str, script: str) -> Path:
    """A program of this name, as long as the test takes."""
    program = directory / name
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return program
