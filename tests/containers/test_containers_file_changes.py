"""How a change of the file gets into containers: through the folder that is mounted, one node after the other."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.containers.hosts import COMPOSE
from tests.containers.pair import NODES, Pair
from tests.waiting import eventually

FORWARD = "  destination: [{protocol: tcp, port: 8080, to: 192.168.100.10}]"
# A machine tells whoever connects to its port as whom it sees him; it ends by itself.
TELLER = """
import socket
server = socket.create_server(("", 8080))
server.settimeout(60)
for _ in range(%d):
    asker, (address, _) = server.accept()
    asker.sendall(address.encode())
    asker.close()
"""
ASKER = """
import socket
asker = socket.create_connection(("203.0.113.99", 8080), 5, (%r, 0))
print(asker.recv(99).decode())
"""
# Who asks from outside, and as whom a machine sees him: who is on the WAN's own subnet would be translated by the engine.
SEEN = {"203.0.113.1": "192.168.100.99", "8.8.8.8": "8.8.8.8"}


@pytest.fixture
def folder(pair: Pair, tmp_path: Path) -> Path:
    """A copy of compose/etc that both nodes have in its place until the test is over."""
    found, overlay = tmp_path / "etc", tmp_path / "overlay.yaml"
    shutil.copytree(COMPOSE / "etc", found)
    node = {"volumes": [f"{found}:/etc/vgw:ro"]}
    overlay.write_text(yaml.safe_dump({"services": dict.fromkeys(NODES, node)}))
    tmp_path.chmod(0o755)
    pair.up(overlays=[overlay])
    assert eventually(pair.settled), [pair.logs(node)[-2000:] for node in NODES]
    return found


def test_a_change_by_whatever_editor_gets_in_one_node_after_the_other(
    pair: Pair, folder: Path
) -> None:
    # As most editors do, sed puts another file in the place of the old one.
    change = ["sed", "-i", f"/^nat:/a\\\\{FORWARD}", str(folder / "gateway.yaml")]
    subprocess.run(change, check=True)
    try:
        for node in reversed(NODES):
            assert "~ table inet vgw" in pair.exec(node, "vgw", "check")[1]
            assert "~ table inet vgw" in pair.shell(node, "vgw apply")
            assert "table inet vgw" not in pair.shell(node, "vgw check")
            assert "192.168.100.10" in pair.shell(node, "nft list chain inet vgw redirected")
        assert pair.pings()
        pair.container("noeud1").exec_run(["python3", "-c", TELLER % len(SEEN)], detach=True)
        assert eventually(lambda: ":8080" in pair.shell("noeud1", "ss -Hltn"))
        for address, seen in SEEN.items():
            code, told = pair.exec("internet", "python3", "-c", ASKER % address)
            assert (code, told.strip()) == (0, seen), address
    finally:
        pair.up()
