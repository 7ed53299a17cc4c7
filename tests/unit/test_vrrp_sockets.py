"""The raw sockets for VRRP, out of the kernel's own list, and those of one process."""

import os
import socket
from pathlib import Path

import pytest

from appliance.wires import adverts

HEAD = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    " ref pointer drops\n"
)
LISTING = HEAD + (
    "  112: 0364A8C0:0070 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9001"
    " 2 000000003bb291ef 0\n"
    "    1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9002"
    " 2 000000003bb291ef 0\n"
    "  112: 00000000:0070 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 9003"
    " 2 000000003bb291ef 0\n"
)


def test_only_those_of_vrrp_count() -> None:
    assert adverts.inodes(LISTING) == ["9001", "9003"]
    assert adverts.inodes(HEAD) == []
    assert adverts.inodes("") == []


def test_a_process_that_has_none_and_one_that_is_not_there() -> None:
    # The listing of its own descriptors is one of them, and closed when it is looked at.
    assert adverts.sockets(os.getpid()) == 0
    assert adverts.sockets(0) is None


def test_the_raw_sockets_of_a_process_are_those_of_the_list_that_it_has_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as one, socket.socket() as two:
        inode = os.fstat(one.fileno()).st_ino
        row = f"112: 00:0070 0:0 07 0:0 0:0 0 0 0 {inode} 2 0 0"
        other = f"1: 00:0001 0:0 07 0:0 0:0 0 0 0 {os.fstat(two.fileno()).st_ino} 2 0 0"
        (tmp_path / "raw").write_text(f"head\n{row}\n{other}\n")
        monkeypatch.setattr(adverts, "_RAW_SOCKETS", tmp_path / "raw")
        assert adverts.sockets(os.getpid()) == 1
