"""What the pair promises between faults: who gets out and how, who does not get in, what is healed."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Bound
from tests.lab.conftest import REPOSITORY, Lab, judged, told
from tests.waiting import PATIENCE, eventually
from vgw_lab.worlds.namespaces import NamespaceLab

# A forged advert as an owner of the address would send it: VRRPv3, priority 255 (RFC 9568, 5.2).
FORGE = """
import socket, struct
body = struct.pack("!BBBBHH4s", 0x31, 51, 255, 1, 10, 0, socket.inet_aton("192.168.100.99"))
with socket.socket(socket.AF_INET, socket.SOCK_RAW, 112) as raw:
    raw.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
    for _ in range(20):
        raw.sendto(body, ("192.168.100.3", 0))
        raw.sendto(body, ("192.168.100.2", 0))
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1).close()
    print("open")
except TimeoutError:
    print("silent")
except OSError as error:
    print(error.strerror)
"""


def shell(lab: Lab, node: str, script: str) -> str:
    """What a script that has to succeed printed on a node."""
    done = lab.exec(node, "sh", "-ec", script)
    assert done.returncode == 0, f"{node}: {script}: {done.stdout}{done.stderr}"
    return done.stdout


def pings(lab: Lab, node: str, address: str = "8.8.8.8") -> bool:
    return lab.exec(node, "ping", "-c1", "-W1", address).returncode == 0


def test_each_nodes_own_traffic_has_its_own_way_out(standard_lab: Lab) -> None:
    ways = {
        node: shell(standard_lab, node, "ip route get 8.8.8.8") for node in ("master", "backup")
    }
    assert "via 203.0.113.1 dev eth0" in ways["master"]
    assert "src 203.0.113.99" in ways["master"], "the MASTER speaks as the WAN VIP"
    assert "src 203.0.113.3" in ways["backup"]
    assert all(pings(standard_lab, node) for node in ways)


@pytest.fixture(scope="module")
def one_address_lab() -> Iterator[Lab]:
    lab = Lab("one")
    lab.must("up", "--no-node-wan")
    yield from judged(lab)


def test_with_one_address_in_all_the_backup_goes_out_by_its_peer(
    one_address_lab: Lab, bound: Bound
) -> None:
    lab = one_address_lab
    assert "via 10.99.0.2 dev eth2" in shell(lab, "backup", "ip route get 8.8.8.8")
    assert all(pings(lab, node) for node in ("master", "backup", "noeud1", "noeud2"))
    verdict = lab.drilled("power-off")
    assert eventually(lambda: told(lab, "master")["role"] == "MASTER")
    assert all(pings(lab, node) for node in ("master", "backup", "noeud1"))
    with bound:
        assert verdict["broken"] == []


def test_nobody_gets_in_and_nobody_is_answered(standard_lab: Lab) -> None:
    lab = standard_lab
    for address in ("203.0.113.99", "203.0.113.2", "203.0.113.3"):
        said = lab.exec("internet", "python3", "-c", CONNECT, address, "22").stdout.strip()
        assert said == "silent", f"{address} answered {said}: what is unknown is dropped"
    shell(lab, "internet", "ip route add 192.168.100.0/24 via 203.0.113.2")
    try:
        assert not pings(lab, "internet", "192.168.100.10"), "the inside is reached from outside"
    finally:
        shell(lab, "internet", "ip route del 192.168.100.0/24")


def test_a_forged_source_on_the_lan_is_dropped_and_counted(standard_lab: Lab) -> None:
    lab = standard_lab
    # It must know the gateway's MAC already: an ARP request from a forged address is not answered.
    assert pings(lab, "noeud2")
    before = counted(lab, "master", "forged source")
    shell(lab, "noeud2", "ip addr add 172.16.9.9/32 dev eth0")
    try:
        done = lab.exec("noeud2", "ping", "-c2", "-W1", "-I", "172.16.9.9", "8.8.8.8")
        assert done.returncode != 0
    finally:
        shell(lab, "noeud2", "ip addr del 172.16.9.9/32 dev eth0")
    assert counted(lab, "master", "forged source") >= before + 2


def test_a_source_of_ours_from_outside_is_dropped_and_counted(standard_lab: Lab) -> None:
    lab = standard_lab
    assert pings(lab, "internet", "203.0.113.99")
    what, nodes = "a source of ours from outside", ("master", "backup")
    before = {node: counted(lab, node, what) for node in nodes}
    shell(lab, "internet", "ip addr add 192.168.100.77/32 dev lo")
    try:
        for address in ("203.0.113.99", "203.0.113.3"):
            done = lab.exec("internet", "ping", "-c2", "-W1", "-I", "192.168.100.77", address)
            assert done.returncode != 0
    finally:
        shell(lab, "internet", "ip addr del 192.168.100.77/32 dev lo")
    for node in nodes:
        assert counted(lab, node, what) >= before[node] + 2


def counted(lab: Lab, node: str, comment: str) -> int:
    """Packets that the rule with this comment has counted."""
    listed = shell(lab, node, "nft list table inet vgw")
    found = re.search(rf'packets (\d+) bytes \d+ drop comment "[^"]*{comment}', listed)
    assert found, listed
    return int(found[1])


def test_forged_adverts_move_nothing_and_check_names_the_sender(standard_lab: Lab) -> None:
    lab = standard_lab
    before = {node: told(lab, node)["role_changes"] for node in ("master", "backup")}
    dropped = counted(lab, "backup", "VRRP from anybody else")
    assert lab.exec("noeud1", "python3", "-c", FORGE).returncode == 0
    assert eventually(lambda: counted(lab, "backup", "VRRP from anybody else") >= dropped + 20)
    assert {node: told(lab, node)["role_changes"] for node in before} == before
    shell(lab, "noeud1", f"for i in $(seq 60); do python3 -c '{FORGE}'; done >/dev/null 2>&1 &")
    checked = lab.exec("backup", "vgw", "check")
    assert checked.returncode == 15, checked.stdout + checked.stderr
    assert "virtual_router_id 51 is used by 192.168.100.10" in checked.stderr


def test_a_killed_program_comes_back_and_the_pair_with_it(standard_lab: Lab) -> None:
    lab = standard_lab
    for pattern in ("[a]ppliance.agent", "[k]eepalived --dont-fork"):
        pids = shell(lab, "master", f"pgrep -f '{pattern}'").split()
        shell(lab, "master", f"kill -9 {' '.join(pids)}")
        assert eventually(
            lambda pattern=pattern, pids=pids: (
                not set(  # type: ignore[misc]
                    lab.exec("master", "pgrep", "-f", pattern).stdout.split() or pids
                )
                & set(pids)
            )
        ), f"{pattern} did not come back"
    assert eventually(lambda: told(lab, "master")["role"] == "MASTER")
    assert eventually(lambda: NamespaceLab(lab.name).holders() == ("master",))
    assert eventually(lambda: pings(lab, "noeud1"))


def test_a_program_that_cannot_be_kept_alive_ends_the_node(free_lab: Lab) -> None:
    lab = free_lab
    lab.must("up")
    shell(
        lab,
        "master",
        "mount --bind /bin/false $(command -v keepalived); "
        "kill $(pgrep -f '[k]eepalived --dont-fork')",
    )
    assert eventually(lambda: "192.168.100.99" in shell(lab, "backup", "ip -4 addr show eth1"))
    assert eventually(lambda: "the node ends" in lab("logs", "master").stdout)
    assert "keepalived could not be kept alive" in lab("logs", "master").stdout
    assert pings(lab, "noeud1")


def test_ports_opened_from_outside_lead_inside_and_only_they(free_lab: Lab, tmp_path: Path) -> None:
    lab = free_lab
    sample = Path(__file__).parents[1] / "golden" / "01-standard" / "gateway.yaml"
    file = tmp_path / "gateway.yaml"
    opened = "  destination: [{protocol: tcp, port: 8080, to: 192.168.100.10, to_port: 80}]\n"
    file.write_text(sample.read_text().replace("machines:", f"{opened}machines:"))
    lab.must("up", "--config", str(file))
    shell(lab, "noeud1", "cd /tmp; python3 -m http.server 80 >/dev/null 2>&1 & echo started")

    def connect(port: str) -> str:
        words = ("python3", "-c", CONNECT, "203.0.113.99", port)
        return lab.exec("internet", *words).stdout.strip()

    assert eventually(lambda: connect("8080") == "open")
    assert connect("80") == "silent"


def test_start_refuses_a_second_time(standard_lab: Lab) -> None:
    done = standard_lab.exec("master", "vgw", "start")
    assert done.returncode == 1
    assert "already runs here" in done.stderr


def test_check_names_who_has_taken_this_nodes_address(standard_lab: Lab) -> None:
    lab = standard_lab
    shell(lab, "noeud2", "ip addr add 192.168.100.3/24 dev eth0")
    try:
        done = lab.exec("backup", "vgw", "check")
    finally:
        shell(lab, "noeud2", "ip addr del 192.168.100.3/24 dev eth0")
    assert done.returncode == 15, done.stdout + done.stderr
    assert re.search(r"192.168.100.3 answers ARP from 02:00:", done.stderr)


# Looks each 10 ms for so many seconds who has the VGW, and prints how long both had it.
BOTH = """
import sys, time
from vgw_lab.worlds import labs
lab, seconds = labs.open_lab(sys.argv[1]), float(sys.argv[2])
master = lab.holders()[0]
lab.node(master).signal("keepalived", "KILL")
both, began, before = 0.0, time.monotonic(), time.monotonic()
taken = False
while before - began < seconds:
    holders = lab.holders()
    now = time.monotonic()
    both += now - before if len(holders) > 1 else 0
    taken, before = taken or holders == (lab.other(master),), now
    time.sleep(0.01)
print(both, taken)
"""


def test_who_lost_keepalived_lets_go_when_the_peer_has_taken_over(
    standard_lab: Lab, bound: Bound
) -> None:
    lab = standard_lab
    assert eventually(lambda: told(lab, "backup")["role"] == "BACKUP")
    done = subprocess.run(
        [sys.executable, "-c", BOTH, lab.name, "1.5"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    both, taken = done.stdout.split()
    assert eventually(lambda: told(lab, "master")["role"] == "MASTER")
    with bound:
        assert taken == "True", "supervisord had keepalived back before the peer missed it"
        assert float(both) < 0.15, f"both nodes had the VGW for {both} s"
