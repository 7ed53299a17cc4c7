"""Be the internet: own the addresses of the command line, count who comes untranslated, and serve."""

import os
import sys
from ipaddress import IPv4Address, IPv4Network

from appliance import system
from vgw_lab.worlds import capture, internet

INSIDE = [IPv4Network("192.168.100.0/24"), IPv4Network("10.99.0.0/24")]
WAN_VIP = IPv4Address(os.environ.get("VGW_WAN_VIP", "203.0.113.99"))


def main(addresses: list[str]) -> None:
    """Prepare this container's network, then serve until SIGTERM."""
    for address in addresses:
        system.attempt(["ip", "address", "add", f"{address}/32", "dev", "lo"])
    system.run(["nft", "-f", "-"], capture.ruleset("eth0", INSIDE, WAN_VIP))
    internet.serve(addresses)


if __name__ == "__main__":
    main(sys.argv[1:])
