"""What the gateway itself costs: throughput, packets, new connections, mappings, replication."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from appliance import CommandFailed
from vgw_lab.bench.router import FIRST_MAPPED, FULL, MASQUERADE, PLAIN, Router
from vgw_lab.instruments.flood import NOWHERE
from vgw_lab.worlds.topology import INTERNET
from vgw_lab.worlds.world import wait_until

VARIANTS = (FULL, PLAIN, MASQUERADE)
MAPPINGS = (10, 100, 1000)
WITH, WITHOUT = "with replication", "without replication"
_SETTLE_SECONDS = 20.0
_FLOOD_SECONDS = 60.0
_TRIES = 3
_TARGET = "8.8.8.8"
_UNHEARD = """\
table ip bench {
    chain unheard {
        type filter hook prerouting priority raw; policy accept;
        udp dport >= 1024 drop
    }
}
"""
Say = Callable[[str], None]
Row = dict[str, Any]


def throughput(router: Router, runs: int, seconds: float, say: Say) -> Iterator[Row]:
    """Per round and variant: TCP in Gbit/s, and 64-byte datagrams a second that arrive."""
    with _receiver(router):
        for turn in range(runs):
            for variant in in_turn(VARIANTS, turn):
                say(f"throughput, {variant}, round {turn + 1}")
                router.become(variant)
                tcp = _iperf(router, seconds, [])["sum_received"]
                small = _iperf(router, seconds, ["-u", "-l", "64", "-b", "0"])["sum"]
                arrived = small["packets"] - small["lost_packets"]
                yield {
                    "round": turn,
                    "variant": variant,
                    "gbits": tcp["bits_per_second"] / 1e9,
                    "packets": arrived / small["seconds"],
                }


def in_turn(variants: tuple[Any, ...], turn: int) -> tuple[Any, ...]:
    """The variants in another order each round: none always follows the same one."""
    first = turn % len(variants)
    return variants[first:] + variants[:first]


@contextmanager
def _receiver(router: Router) -> Iterator[None]:
    """iperf3 on the internet; bound, for by UDP it would answer from another address than asked."""
    server = router.lab.node(INTERNET).popen(["iperf3", "-s", "-B", _TARGET])
    probe = ["iperf3", "-c", _TARGET, "-n", "1"]
    try:
        ready = wait_until(
            lambda: router.lab.node(INTERNET).run(probe).returncode == 0, _SETTLE_SECONDS, 0.2
        )
        if not ready:
            raise CommandFailed("iperf3 -s: it does not answer on the internet node")
        yield
    finally:
        router.lab.node(INTERNET).signal("iperf3", "KILL")
        server.communicate()


def _iperf(router: Router, seconds: float, words: list[str]) -> Row:
    argv = ["iperf3", "-c", _TARGET, "-J", "-t", f"{seconds:g}", "-O", "0.2", *words]
    done = router.lab.node(router.machine).run(argv)
    if done.returncode != 0:
        raise CommandFailed(f"{router.machine}: {' '.join(argv)}: {done.output[-300:]}")
    return dict(json.loads(done.stdout)["end"])


def connections(router: Router, runs: int, flows: int, say: Say) -> Iterator[Row]:
    """Per round: new flows a second with replication and without, and what replication sends."""
    router.become(FULL)
    router.order(router.peer, "vgw", "apply", "--role", "BACKUP")
    for turn in range(runs):
        for variant in in_turn((WITH, WITHOUT), turn):
            say(f"new connections, {variant}, round {turn + 1}")
            once = _replicated if variant == WITH else _alone
            yield _best(once(router, turn, flows) for _ in range(_TRIES))


@dataclass(frozen=True)
class Spent:
    """What a flood took: seconds, and seconds of a processor; the latter no neighbour can lengthen."""

    seconds: float
    processor: float


def _flood(router: Router, node: str, target: str, ports: tuple[int, int], flows: int) -> Spent:
    """Send new flows from a node to a range of ports, a first one and how many."""
    words = ["--target", target, "--ports", *map(str, ports), "--flows", str(flows)]
    child = router.lab.node(node).instrument("flood", words)
    printed, _ = child.communicate(timeout=_FLOOD_SECONDS)
    return Spent(**json.loads(printed))


def _best(rows: Iterable[Row]) -> Row:
    """The try of the highest rate: what disturbs the machine can only make one slower."""
    return max(rows, key=lambda row: float(row["rate"]))


def _replicated(router: Router, turn: int, flows: int) -> Row:
    """A flood under replication, and what that sent for each flow; ends when all has arrived.

    The daemons are new each time: they would go on to tell of the former try's flows, which are over.
    """
    router.forget()
    with router.replicating():
        sent = router.sent_bytes("sync")
        row = _flooded(router, turn, WITH, flows)
        _settle(lambda: router.entries(router.peer))
        replicas = router.entries(router.peer) / row["flows"]
        sync_bytes = (router.sent_bytes("sync") - sent) / row["flows"]
    return {**row, "sync_bytes": sync_bytes, "replicas": replicas}


def _flooded(router: Router, turn: int, variant: str, flows: int) -> Row:
    """One flood from behind the router; counted by the entries it made."""
    spent = _flood(router, router.machine, NOWHERE, (9999, 8), flows)
    return {"round": turn, "variant": variant, **_rates(router, spent)}


def _alone(router: Router, turn: int, flows: int) -> Row:
    """A flood that nobody is told of."""
    router.forget()
    return _flooded(router, turn, WITHOUT, flows)


def _rates(router: Router, spent: Spent) -> Row:
    """How many flows arrived; how many that is a second, and a second of the processor that sent them."""
    arrived = router.entries(router.name)
    return {
        "flows": arrived,
        "rate": arrived / spent.seconds,
        "processor_rate": arrived / spent.processor,
    }


def _settle(count: Callable[[], int]) -> None:
    """Wait until a count stays as it is for a moment."""
    former = [-1]

    def still() -> bool:
        former.append(count())
        return former[-1] == former[-2]

    wait_until(still, _SETTLE_SECONDS, every=0.3)


def mappings(router: Router, runs: int, flows: int, say: Say) -> Iterator[Row]:
    """Per round and number of mappings: new inbound flows a second, and the time the rules take to load.

    Each flow begins at the WAN VIP and is led to a machine that drops it, so that nothing but the
    gateway's work is in the figure.
    """
    router.load(router.machine, _UNHEARD)
    for turn in range(runs):
        for number in in_turn(MAPPINGS, turn):
            say(f"{number} mappings, round {turn + 1}")
            router.map_ports(number)
            row = _best(_inbound(router, turn, number, flows) for _ in range(_TRIES))
            yield {**row, "load_ms": router.load_seconds() * 1000}


def _inbound(router: Router, turn: int, number: int, flows: int) -> Row:
    """One flood from outside through so many mappings in turn, into an empty table."""
    router.forget()
    vip = str(router.lab.topology.wan_vip.ip)
    spent = _flood(router, INTERNET, vip, (FIRST_MAPPED, number), flows)
    return {"round": turn, "variant": number, **_rates(router, spent)}
