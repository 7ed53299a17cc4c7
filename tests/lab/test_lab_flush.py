"""Rules that are gone, or do not translate: nothing leaks, no flow ends, and the rules are back."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually, waited

from .conftest import REPOSITORY, Lab, told
from .test_lab_gateway import pings, shell

# Opens connections to a server that speaks each 250 ms; when its input ends it waits for a word by each,
# and counts those that ended.
LISTEN = """
import socket, sys
flows = [socket.create_connection(("8.8.8.8", 19)) for _ in range(50)]
print("open", flush=True)
sys.stdin.read()
ended = 0
for flow in flows:
    flow.settimeout(30)
    try:
        flow.recv(1 << 20)  # what came meanwhile
        ended += not flow.recv(1 << 20)
    except OSError:
        ended += 1
print(ended)
"""

# Often, for the repair takes a few milliseconds.
FLUSH = "for _ in $(seq 30); do nft flush ruleset; sleep 0.05; done"


@contextmanager
def pinging(lab: Lab, node: str, target: str) -> Iterator[None]:
    """An echo request each 2 ms from a node while the block runs."""
    command = f"ping -q -i 0.002 {target} >/dev/null 2>&1 & echo $!"
    pid = int(shell(lab, node, command))
    try:
        yield
    finally:
        shell(lab, node, f"kill {pid}")


def guarded(lab: Lab) -> bool:
    """Whether the MASTER's rules are there."""
    return "leak-guard" in lab.exec("master", "nft", "list", "ruleset").stdout


@pytest.mark.parametrize("target", ["8.8.8.8", "203.0.113.1"], ids=["far", "on the WAN's link"])
def test_not_even_a_flushed_ruleset_lets_a_packet_out_untranslated(
    standard_lab: Lab, target: str, bound: Bound
) -> None:
    took = []
    before = standard_lab.json("capture")
    repairs = told(standard_lab, "master")["repairs"]
    with pinging(standard_lab, "noeud1", target):
        shell(standard_lab, "master", FLUSH)
        for _ in range(5):
            shell(standard_lab, "master", "nft flush ruleset")
            took.append(waited(lambda: guarded(standard_lab)))
    after = standard_lab.json("capture")
    assert after["untranslated"] == 0, after
    assert after["translated"] > before["translated"] + 100, "there was no traffic to leak"
    took.append(waited(lambda: told(standard_lab, "master")["repairs"] >= repairs + 5))
    assert pings(standard_lab, "noeud1")
    with bound:
        assert max(took) <= 2


def test_nor_does_it_let_a_neighbour_on_the_wan_in(standard_lab: Lab) -> None:
    lan = "192.168.100.0/24"
    shell(standard_lab, "internet", f"ip route add {lan} via 203.0.113.99")
    try:
        before = counted(standard_lab, "noeud1", "Icmp", "InEchos")
        sent = counted(standard_lab, "internet", "Icmp", "OutEchos")
        with pinging(standard_lab, "internet", "192.168.100.10"):
            shell(standard_lab, "master", FLUSH)
        assert counted(standard_lab, "internet", "Icmp", "OutEchos") > sent + 100
        assert counted(standard_lab, "noeud1", "Icmp", "InEchos") == before
    finally:
        shell(standard_lab, "internet", f"ip route del {lan} via 203.0.113.99")


def counted(lab: Lab, node: str, protocol: str, counter: str) -> int:
    """What a node's kernel has counted so far (/proc/net/snmp)."""
    names, values = re.findall(
        f"^{protocol}: (.*)$", lab.exec(node, "cat", "/proc/net/snmp").stdout, re.MULTILINE
    )
    return int(dict(zip(names.split(), values.split(), strict=True))[counter])


def resets(lab: Lab, node: str) -> int:
    """How many connections a node's own TCP has reset."""
    return counted(lab, node, "Tcp", "OutRsts")


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
    assert eventually(lambda: guarded(standard_lab))
    said, _ = listener.communicate(timeout=PATIENCE)
    assert said == "0\n", "flows ended"
    assert resets(standard_lab, "master") == before


@contextmanager
def left_alone(lab: Lab) -> Iterator[None]:
    """Nobody repairs the MASTER's rules meanwhile."""
    order = "supervisorctl -s unix:///run/vgw/supervisor.sock {} agent"
    shell(lab, "master", order.format("stop"))
    try:
        yield
    finally:
        shell(lab, "master", order.format("start"))
        assert eventually(lambda: "snat ip to" in rules(lab, "translated"))


def rules(lab: Lab, chain: str) -> str:
    """One chain of the MASTER's, with what its rules have counted."""
    return lab.exec("master", "nft", "list", "chain", "inet", "vgw", chain).stdout


def dropped(lab: Lab, chain: str) -> int:
    """How many packets a chain has dropped because nothing translated them."""
    found = re.findall(r"packets (\d+) .* drop comment \"untranslated\"", rules(lab, chain))
    return sum(map(int, found))


def test_what_no_rule_translates_does_not_leave(standard_lab: Lab) -> None:
    lab = standard_lab
    send = "import socket; s = socket.socket(2, 2); s.bind(('', {})); s.sendto(b'?', ('8.8.8.8', 1007))"
    with left_alone(lab):
        shell(lab, "master", "nft flush chain inet vgw translated")
        before = {chain: dropped(lab, chain) for chain in ("leak-guard", "forwarded", "departing")}
        for port in (7001, 7002):
            shell(lab, "noeud1", f'python3 -c "{send.format(port)}"')
        assert dropped(lab, "leak-guard") == before["leak-guard"] + 2, "a flow's first packet"
        # As of a time before the gateway began: a flow that nobody translates, and that is known.
        flow = "-p udp -s 192.168.100.10 -d 8.8.8.8 --sport 7003 --dport 1007"
        shell(lab, "master", f"conntrack -I {flow} -t 60 -u SEEN_REPLY,ASSURED")
        shell(lab, "noeud1", f'python3 -c "{send.format(7003)}"')
        assert dropped(lab, "forwarded") == before["forwarded"] + 1, "a flow's other packets"
        shell(lab, "master", "ip addr add 192.168.100.77/32 dev lo")
        own = send.replace("('', {})", "('192.168.100.77', 7004)")
        shell(lab, "master", f'python3 -c "{own}" || true; ip addr del 192.168.100.77/32 dev lo')
        assert dropped(lab, "departing") == before["departing"] + 1, "the node's own"
        shell(lab, "master", f"conntrack -D {flow}")
