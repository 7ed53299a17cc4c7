"""Somebody flushes the ruleset: nothing leaks, no flow ends, and the rules are back."""

import re
import subprocess

from .conftest import REPOSITORY, Lab, eventually
from .test_lab_gateway import pings, shell, told

# Opens connections to a server that speaks each 250 ms; when its input ends it waits for a word by each,
# and counts those that ended.
LISTEN = """
import socket, sys
flows = [socket.create_connection(("8.8.8.8", 19)) for _ in range(50)]
print("open", flush=True)
sys.stdin.read()
ended = 0
for flow in flows:
    flow.settimeout(5)
    try:
        flow.recv(1 << 20)  # what came meanwhile
        ended += not flow.recv(1 << 20)
    except OSError:
        ended += 1
print(ended)
"""


def test_not_even_a_flushed_ruleset_lets_a_packet_out_untranslated(standard_lab: Lab) -> None:
    before = standard_lab.json("capture")
    repairs = told(standard_lab, "master")["repairs"]
    shell(standard_lab, "noeud1", "ping -q -i 0.002 -w 4 8.8.8.8 >/dev/null & echo started")
    for _ in range(5):
        shell(standard_lab, "master", "nft flush ruleset")
        assert eventually(
            lambda: "leak-guard" in standard_lab.exec("master", "nft", "list", "ruleset").stdout, 2
        )
    after = standard_lab.json("capture")
    assert after["untranslated"] == 0, after
    assert after["translated"] > before["translated"] + 100, "there was no traffic to leak"
    assert eventually(lambda: told(standard_lab, "master")["repairs"] >= repairs + 5, 2)
    assert pings(standard_lab, "noeud1")


def resets(lab: Lab, node: str) -> int:
    """How many connections a node's own TCP has reset (/proc/net/snmp)."""
    names, values = re.findall(
        "^Tcp: (.*)$", lab.exec(node, "cat", "/proc/net/snmp").stdout, re.MULTILINE
    )
    return int(dict(zip(names.split(), values.split(), strict=True))["OutRsts"])


def test_a_flushed_ruleset_ends_no_flow(standard_lab: Lab) -> None:
    before = resets(standard_lab, "master")
    listener = subprocess.Popen(
        standard_lab.argv("exec", "noeud1", "--", "python3", "-c", LISTEN),
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert listener.stdout is not None
    assert listener.stdout.readline() == "open\n"
    # What the server says while no rule translates it back meets the MASTER itself.
    shell(standard_lab, "master", "for _ in $(seq 60); do nft flush ruleset; sleep 0.05; done")
    assert eventually(
        lambda: "leak-guard" in standard_lab.exec("master", "nft", "list", "ruleset").stdout, 5
    )
    said, _ = listener.communicate(timeout=20)
    assert said == "0\n", "flows ended"
    assert resets(standard_lab, "master") == before
