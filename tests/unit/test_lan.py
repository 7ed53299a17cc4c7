"""The count of packets that come in by the LAN."""

from appliance.wires import lan

LISTING = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs
    lo:    1360      16    0    0    0     0          0         0     1360      16    0
  eth1:91004512  412871    0    0    0     0          0         0 81004512  312871    0
"""


def test_the_packets_of_an_interface() -> None:
    assert lan.packets("eth1", LISTING) == 412_871
    assert lan.packets("lo", LISTING) == 16
    assert lan.packets("eth", LISTING) is None
    assert lan.packets("", LISTING) is None
