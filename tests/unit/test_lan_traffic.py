"""The count of packets that come in by the LAN."""

from pathlib import Path

import pytest

from appliance.wires import lan_traffic

LISTING = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:    1360      16    0    0    0     0          0         0     1360      16    0
  eth1:91004512  412871    0    0    0     0          0         0 81004512  312871    0
"""


def test_the_packets_of_an_interface() -> None:
    assert lan_traffic.packets("eth1", LISTING) == 412_871
    assert lan_traffic.packets("lo", LISTING) == 16
    assert lan_traffic.packets("eth", LISTING) is None
    assert lan_traffic.packets("", LISTING) is None


def test_the_lan_is_still_since_the_count_last_rose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lan_traffic, "_COUNTS", tmp_path / "dev")

    def count(packets: int) -> None:
        (tmp_path / "dev").write_text(f"head\nhead\n  eth1: 99 {packets} 0 0\n")

    traffic = lan_traffic.LanTraffic()
    count(5)
    assert [traffic.still("eth1", now) for now in (11.0, 12.5)] == [0.0, 1.5]
    count(6)
    assert traffic.still("eth1", 13.0) == 0.0
    assert traffic.still("eth2", 14.0) is None
    assert traffic.still("eth1", 20.0) == 0.0, "what came meanwhile is not known"
