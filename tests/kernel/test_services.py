"""The node's own services, by the kernel: who asks for an address has none, and is heard where `input` opens DHCP."""

import socket
from pathlib import Path

import pytest

from appliance import converge
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.kernel.behind import MACHINE, UDP, Behind, packet
from tests.kernel.conftest import Namespace
from tests.kernel.wanted import hold_addresses, plan_of
from tests.waiting import PATIENCE

GATEWAY, NOWHERE, EVERYBODY = "192.168.100.2", "0.0.0.0", "255.255.255.255"


@pytest.mark.parametrize("case", ["01-standard", "07-hot"])
@pytest.mark.parametrize(
    ("opened", "port", "heard"),
    [
        ("67", 67, [NOWHERE, MACHINE]),
        ("53, 60-70", 67, [NOWHERE, MACHINE]),
        ("53, 67", 53, [MACHINE]),
        ("53", 53, [MACHINE]),
    ],
)
def test_who_has_no_address_is_heard_by_the_dhcp_server_where_there_is_one_and_by_nobody_else(
    namespace: Namespace,
    cases: dict[str, Path],
    tmp_path: Path,
    case: str,
    opened: str,
    port: int,
    heard: list[str],
) -> None:
    file = tmp_path / "gateway.yaml"
    rule = f"{{from: 192.168.100.0/24, protocol: udp, ports: [{opened}]}}"
    file.write_text(cases[case].read_text() + f"\ninput: [{rule}]\n")
    assert namespace(lambda: senders(file, port)) == heard


def senders(file: Path, port: int) -> list[str]:
    """Whom a service of a MASTER's hears: of one without an address, and a machine after it."""
    hold_addresses(Role.MASTER)
    converge.converge_fully(plan_of(file, Role.MASTER), RunDir())
    with Behind() as behind, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("", port))
        service.settimeout(PATIENCE)
        for source, to in ((NOWHERE, EVERYBODY), (MACHINE, GATEWAY)):
            behind.lan.send(packet(UDP, source, to, 68, service=port))
        heard = [service.recvfrom(2048)[1][0]]
        while heard[-1] != MACHINE:
            heard.append(service.recvfrom(2048)[1][0])
        return heard
