"""A flood of new flows: one datagram each, as fast as they can be sent. Runs on a machine of the lab.

It ends by itself after so many flows, and prints one JSON object. What passes the router is handled on
the sender's processor; so this is the first one, and daemons that are measured beside it get the others.
"""

import argparse
import json
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence

_UDP = struct.Struct("!HHHH")
FIRST_PORT, _LAST_PORT = 1024, 65000
# Prefixes for documentation (RFC 5737): nobody answers there, so each flow stays as it began.
NOWHERE = "198.51.100.1"


def headers(flows: int, ports: Sequence[int]) -> Iterator[tuple[bytes, int]]:
    """So many datagrams without content or checksum, no two of one flow, and where each goes."""
    span = _LAST_PORT - FIRST_PORT
    for number in range(flows):
        lap, place = divmod(number, span)
        # The ports take turns, and each lap begins with another, so that no pair comes twice.
        target = ports[(place + lap) % len(ports)]
        yield _UDP.pack(FIRST_PORT + place, target, _UDP.size, 0), target


def main() -> None:
    """Send, as the arguments say; on a processor that the daemons leave alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default=NOWHERE)
    parser.add_argument("--ports", type=int, nargs=2, metavar=("FIRST", "HOW_MANY"))
    parser.add_argument("--flows", type=int, default=10_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    first, many = options.ports
    datagrams = [header for header, _ in headers(options.flows, range(first, first + many))]
    # A raw socket: the source port is then a field like any other (raw(7)).
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as sender:
        sender.connect((options.target, 0))
        began, used = time.monotonic(), time.process_time()
        for datagram in datagrams:
            sender.send(datagram)
        spent = {"seconds": time.monotonic() - began, "processor": time.process_time() - used}
    print(json.dumps(spent))


if __name__ == "__main__":
    main()
