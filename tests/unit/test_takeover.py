"""What a takeover is measured by: the peer's last advert, and the kernel's own count of forwarded packets."""

from pathlib import Path

import pytest

from appliance.agent import doors
from appliance.agent.takeover import detection
from appliance.wires.adverts import Advert

# /proc/net/snmp begins so (RFC 4293's names).
SNMP = """Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos
Ip: 1 64 70 0 0 42 0
Icmp: InMsgs
"""


@pytest.mark.parametrize(
    ("priority", "passed", "milliseconds"),
    [
        (100, 0.35, 350.0),  # it fell silent
        (100, 0.09, None),  # it advertises still: it was outranked, and nothing was missed
        (0, 0.05, 50.0),  # it said farewell
    ],
)
def test_what_was_missed_of_the_peer_is_measured_from_its_last_advert(
    priority: int, passed: float, milliseconds: float | None
) -> None:
    last = Advert(1000.0, priority)
    assert detection(last, 1000.0 + passed, interval=0.1) == milliseconds


def test_forwarded_packets_are_the_kernels_own_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "snmp").write_text(SNMP)
    monkeypatch.setattr(doors, "_SNMP", tmp_path / "snmp")
    assert doors.forwarded() == 42
