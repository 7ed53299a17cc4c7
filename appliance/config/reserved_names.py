"""Names of interfaces that are ours on every node, or that a daemon's file cannot hold."""

import re

# The macvlan interfaces that bear the virtual MACs.
LAN = "vgw-lan"
WAN = "vgw-wan"
NAMES = frozenset({LAN, WAN})

# The words of conntrackd.conf(5), of those that an interface may be named; conntrackd 1.4.7 was asked for each.
_CONNTRACKD_WORDS = """
ACKWindowSize ALARM Accept Address Backlog CLOSED CLOSE_WAIT CacheTimeout Checksum CommitTimeout
Default ESTABLISHED ExpectMax ExpectTimeout ExpectationSync FIN_WAIT FTFW Filter From General
Group HashLimit HashSize Helper IPv4_address IPv4_interface IPv6_address Ignore Interface
Kernelspace LAST_ACK LISTEN LockFile LogFile Mode Multicast NOTRACK Nice No On Options Path
Policy PollSecs Port Priority Protocol PurgeTimeout QueueLen QueueNum RcvSocketBuffer
RefreshTime ResendQueueSize SYN_RECV SYN_SENT Scheduler SndSocketBuffer StartupResync State
Stats Sync Syslog Systemd TCP TIME_WAIT Type UDP UNIX Userspace alarm for no off on yes
"""
# It takes what has hexadecimal digits alone for the beginning of an IPv6 address.
_CONNTRACKD_READS = re.compile(r"(?![0-9A-Fa-f]+$)[A-Za-z]")


def conntrackd_reads(interface: str) -> bool:
    """Whether conntrackd's file can hold this name of an interface; it knows no quotes."""
    return interface not in _CONNTRACKD_WORDS.split() and bool(_CONNTRACKD_READS.match(interface))


def unreadable(interface: str) -> str:
    """What to say of a name that it cannot."""
    return (
        f"conntrackd's file cannot hold the name {interface}: one that begins with no letter, is a hexadecimal number "
        f"or a word of that file; rename it, as by `ip link set {interface} down; ip link set {interface} name sync0`"
    )
