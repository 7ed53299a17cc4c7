"""A name that we accept for the sync interface is one that conntrackd's parser accepts, and the other way round."""

import subprocess
from pathlib import Path

import pytest

from appliance.config import reserved_names
from tests.kernel.conftest import Namespace

# The lock cannot be made, so a conntrackd that has read its file ends at once.
FILE = """
Sync {{
    Mode FTFW {{
    }}
    UDP {{
        IPv4_address 10.99.0.2
        IPv4_Destination_Address 10.99.0.3
        Port 3780
        Interface {name}
    }}
}}
General {{
    LockFile {missing}/lock
}}
"""
NAMES = (
    *("eth2", "eth2.10", "a_b", "a-b", "udp", "none", "e0x", "sync0", "up", "ens3f0np0"),
    *("10g0", "_a", ".x", "0", "e0", "dead", "on", "no", "for", "Sync", "UDP", "Port", "TIME_WAIT"),
)


@pytest.mark.parametrize("name", NAMES)
def test_what_we_accept_conntrackd_reads(namespace: Namespace, tmp_path: Path, name: str) -> None:
    file = tmp_path / "conntrackd.conf"
    file.write_text(FILE.format(name=name, missing=tmp_path / "none"))

    def body() -> None:
        done = subprocess.run(
            ["conntrackd", "-C", str(file)], capture_output=True, text=True, timeout=20, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode != 0, said
        assert ("syntax error" not in said) is reserved_names.conntrackd_reads(name), said

    namespace(body)
