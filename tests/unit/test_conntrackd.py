"""What waits for conntrackd is read from the kernel's lists of sockets."""

from appliance.conntrack.conntrackd import Queues, waiting

NETLINK = """\
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
000000004f731416 0   14         000000d1 100      0        0     2        0        6701498
0000000019e9f022 12  23         00000000 16640    0        0     2        9        6700546
00000000df6930f2 12  2713440451 00000007 45459200 0        0     2        4711     6701170
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  1: 0200630A:0EC4 00000000:0000 07 00000000:00001A00 00:00000000 00000000     0        0 6701171 2 0000000000000000 0
  2: 0200630A:0EC5 00000000:0000 07 00000000:000000FF 00:00000000 00000000     0        0 6701172 2 0000000000000000 0
"""


def test_the_queues_of_the_one_who_listens_for_entries() -> None:
    assert waiting(NETLINK, UDP, 3780) == Queues(events=45459200, messages=6656, dropped=4711)


def test_nobody_listens() -> None:
    netlink, udp = (text.splitlines(keepends=True)[0] for text in (NETLINK, UDP))
    assert waiting(netlink, udp, 3780) == Queues(0, 0, 0)
