"""What the internet saw on its wire: packets that came out translated, and any that did not."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from appliance import CommandFailed
from appliance.system import Result

_TABLE = "vgw_capture"


@dataclass(frozen=True)
class Capture:
    """Packets that reached the internet, since the lab came up.

    `translated` came from the WAN VIP; `untranslated` from an address that must stay inside;
    `offenders` are the (source, destination) pairs of the latter.
    """

    translated: int
    untranslated: int
    offenders: tuple[tuple[str, str], ...]


def ruleset(interface: str, hidden: Sequence[IPv4Network], vip: IPv4Address) -> str:
    """The nftables text that counts, at the earliest hook there is (netdev ingress, nft(8))."""
    prefixes = ", ".join(str(network) for network in hidden)
    return f"""\
table netdev {_TABLE} {{
  counter translated {{ }}
  counter untranslated {{ }}
  set offenders {{ type ipv4_addr . ipv4_addr; flags dynamic; size 1024; }}
  chain seen {{
    type filter hook ingress device "{interface}" priority 0; policy accept;
    ip saddr {vip} counter name translated
    ip saddr {{ {prefixes} }} counter name untranslated add @offenders {{ ip saddr . ip daddr }}
  }}
}}
"""


def read(run: Callable[[Sequence[str]], Result]) -> Capture:
    """The counts so far; `run` runs a program on the internet node. Raises CommandFailed."""
    done = run(["nft", "-j", "list", "table", "netdev", _TABLE])
    if done.returncode != 0:
        raise CommandFailed(f"the capture on the internet node cannot be read: {done.output}")
    return parse(done.stdout)


def parse(text: str) -> Capture:
    """The counts in what `nft -j list table` printed (libnftables-json(5))."""
    entries = json.loads(text)["nftables"]
    counters = {e["counter"]["name"]: e["counter"]["packets"] for e in entries if "counter" in e}
    elements = next(e["set"] for e in entries if "set" in e).get("elem", [])
    pairs = (element.get("elem", {}).get("val", element) for element in elements)
    return Capture(
        translated=counters["translated"],
        untranslated=counters["untranslated"],
        offenders=tuple(sorted(tuple(pair["concat"]) for pair in pairs)),
    )
