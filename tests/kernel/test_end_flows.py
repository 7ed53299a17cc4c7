"""Flows of a real kernel's table end where the new file does not allow them, and others stay, however large it is."""

import subprocess
import time
from pathlib import Path

from appliance.config import gateway_file
from appliance.conntrack import end_flows, permissions
from appliance.conntrack.ctnetlink import CONFIRMED
from appliance.conntrack.passing import Lack, Passing
from tests.conftest import Bound, Figure
from tests.kernel.conftest import Namespace
from tests.kernel.connections import fill, insert

Cases = dict[str, Path]
MANY = 100_000
NAT = "nat:\n"
PORT = "nat:\n  destination: [{protocol: tcp, port: 8080, to: 192.168.100.10, to_port: 80}]\n"
OUT = "-p {protocol} -s 192.168.100.10 -d 8.8.8.8 {ends} --src-nat 203.0.113.99 -t 300"
FLOWS = {
    "from outside": "-p tcp -s 198.51.100.7 -d 203.0.113.99 --sport 5000 --dport 8080 "
    "--dst-nat 192.168.100.10:80 -t 300 --state ESTABLISHED -u SEEN_REPLY,ASSURED",
    "tcp": OUT.format(protocol="tcp", ends="--sport 5001 --dport 443 --state ESTABLISHED"),
    "udp": OUT.format(protocol="udp", ends="--sport 5002 --dport 53"),
    "icmp": OUT.format(protocol="icmp", ends="--icmp-type 8 --icmp-code 0 --icmp-id 5"),
    "of the node": "-p udp -s 203.0.113.2 -d 8.8.8.8 --sport 5003 --dport 53 -t 300",
}


def file(cases: Cases, nat: str = NAT, more: str = "") -> Passing:
    text = cases["01-standard"].read_text().replace(NAT, nat) + more
    return permissions.of(gateway_file.parse(text))


def there() -> set[str]:
    """Which of the flows are in the table."""
    listed = subprocess.run(["conntrack", "-L"], check=True, capture_output=True, text=True).stdout
    marks = {
        "from outside": "dport=8080",
        "tcp": "sport=5001",
        "udp": "sport=5002",
        "icmp": "icmp ",
        "of the node": "sport=5003",
    }
    return {name for name, mark in marks.items() if mark in listed}


def test_each_kind_of_flow_ends_by_its_own_cause_and_no_other_with_it(
    tracked: Namespace, cases: Cases
) -> None:
    def body() -> None:
        subprocess.run(
            [
                "nft",
                "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }",
            ],
            check=True,
        )
        for line in FLOWS.values():
            insert(line)
        everything = there()
        assert everything == set(FLOWS)
        former = file(cases, PORT)
        assert end_flows.end(former, former) == {}
        for now, lost in (
            (file(cases, PORT, "forward:\n  rules: [{action: drop, protocol: udp}]\n"), "udp"),
            (file(cases, PORT, "forward:\n  rules: [{action: drop, protocol: icmp}]\n"), "icmp"),
            (file(cases), "from outside"),
        ):
            assert sum(end_flows.end(former, now).values()) == 1
            everything.remove(lost)
            assert there() == everything
        nobody = file(cases, PORT, "forward: {policy: drop}\n")
        assert end_flows.end(former, nobody) == {Lack.RULE: 1}
        assert there() == {"of the node"}

    tracked(body)


def test_in_a_large_table_the_few_are_found_soon(
    tracked: Namespace, cases: Cases, bound: Bound, figure: Figure
) -> None:
    def body() -> float:
        fill(MANY, 600, status=CONFIRMED)
        for line in FLOWS.values():
            insert(line)
        began = time.monotonic()
        assert end_flows.end(file(cases, PORT), file(cases)) == {Lack.PORT: 1}
        took = time.monotonic() - began
        assert there() == set(FLOWS) - {"from outside"}
        return took

    took = tracked(body)
    figure(f"one flow of {MANY} ended after {took:.2f} s")
    with bound:
        assert took <= 10
