"""A hundred flows that speak often, and when each was answered. Runs on a machine.

It says `beating` and how many flows are open; when standard input ends it prints one JSON object: how
many flows were answered within each bin of time, under the outside address they began with.
"""

import argparse
import json
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from appliance import CommandFailed
from vgw_lab.instruments.flows import Generator
from vgw_lab.worlds.running import Lab

FLOWS = 100
BIN_SECONDS = 0.1
_EVERY_SECONDS = 0.05
_BEFORE_SECONDS = 0.5


@dataclass
class Beat:
    """The flows that beat, and by bin of the monotonic clock how many of them were answered."""

    flows: int = 0
    answered: dict[int, int] = field(default_factory=dict)

    def since(self, moment: float, seconds: float) -> dict[float, int]:
        """The same by seconds since a moment, without holes, from a little before it to so much later."""
        if not self.flows:
            return {}
        first, last = (int((moment + at) / BIN_SECONDS) for at in (-_BEFORE_SECONDS, seconds))
        return {
            round(number * BIN_SECONDS - moment, 3): self.answered.get(number, 0)
            for number in range(first, last)
        }


@contextmanager
def beating(lab: Lab, wanted: bool) -> Iterator[Beat]:
    """Watch such flows for a while, where they are wanted; filled in at the end."""
    beat = Beat()
    if not wanted:
        yield beat
        return
    child = lab.node(lab.topology.machines[-1].name).instrument("bench.pulse", [])
    assert child.stdout is not None
    try:
        word, _, number = child.stdout.readline().partition(" ")
        if word != "beating":
            raise CommandFailed("the pulse did not start; what its machine said stands above")
        beat.flows = int(number)
        yield beat
    finally:
        printed, _ = child.communicate()
    beat.answered = {int(number): count for number, count in json.loads(printed).items()}


def watch(generator: Generator) -> dict[int, int]:
    """Have all flows speak at an even pace until standard input ends; the count of each bin."""
    bins: dict[int, set[int]] = {}
    due = time.monotonic()
    generator.epoll.register(sys.stdin.fileno(), select.EPOLLIN)
    while True:
        now = time.monotonic()
        if now >= due:
            due = now + _EVERY_SECONDS
            for flow in generator.flows:
                if flow.alive:
                    flow.send(now)
        for number, _ in generator.epoll.poll(max(due - time.monotonic(), 0)):
            if number == sys.stdin.fileno():
                return {number: len(flows) for number, flows in bins.items()}
            flow = generator.by_number[number]
            if flow.alive:
                flow.receive(time.monotonic())
            if flow.alive and not flow.changed:
                bins.setdefault(int(flow.answered / BIN_SECONDS), set()).add(number)


def main() -> None:
    """Watch the flows, half of them TCP and half UDP."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="8.8.8.8")
    parser.add_argument("--who", type=int, default=1007, help="port of the service that answers")
    options = parser.parse_args()
    ports = {"client": options.who, "udp": options.who}
    generator = Generator(options.target, ports, tick=0.25)
    for mode in ports:
        generator.plan(mode, mode, FLOWS // len(ports), 0)
    print("beating", generator.open_all(), flush=True)
    print(json.dumps(watch(generator)))


if __name__ == "__main__":
    main()
