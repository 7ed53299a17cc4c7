"""Does anything come in by the LAN? The kernel's own count of packets, read as it is (proc_net_dev(5))."""

from pathlib import Path

_COUNTS = Path("/proc/net/dev")


def packets(interface: str, listing: str) -> int | None:
    """How many packets have come in by an interface, in the text of /proc/net/dev; None without it."""
    for line in listing.splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == interface and counts:
            return int(counts.split()[1])
    return None


class LanTraffic:
    """Remembers when the count last rose."""

    def __init__(self) -> None:
        self.count: int | None = None
        self.rose = 0.0

    def still(self, interface: str, now: float) -> float | None:
        """For how many seconds nothing has come in by it; None where that cannot be told.

        The interface may become another one at any time.
        """
        count = packets(interface, _COUNTS.read_text(encoding="ascii"))
        if count is None:
            self.count = None
            return None
        if count != self.count:
            self.count, self.rose = count, now
        return now - self.rose
