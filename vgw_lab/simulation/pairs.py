"""The gateway files that simulated pairs go by."""

from functools import cache

from appliance.config import gateway_file
from appliance.config.model import Config

NAMES = ("master", "backup")
# What a pair may be: its profile, and what is said beside it.
KINDS = {
    "standard": "profile: standard",
    "eager": "profile: standard, hold: 0",
    "fast": "profile: fast",
    "never": "profile: standard, failback: never",
    "classic": "profile: classic",
}
_FILE = """
vgw: {{address: 192.168.100.99/24, virtual_router_id: 51, {vgw}}}
lan: {{interface: eth1}}
wan: {{interface: eth0, address: 203.0.113.99/24, gateway: 203.0.113.1, probes: [{probe}]}}
sync: {{interface: eth2}}
nodes:
  master: {{priority: 100, lan: 192.168.100.2/24, wan: 203.0.113.2/24, sync: 10.99.0.2/24}}
  backup: {{priority: 90, lan: 192.168.100.3/24, wan: 203.0.113.3/24, sync: 10.99.0.3/24}}
nat:
  source: [{{from: 192.168.100.0/24}}]
"""


@cache
def config(kind: str, edition: int = 0) -> Config:
    """The file of a kind of pair; another edition means something else."""
    return gateway_file.parse(
        _FILE.format(vgw=KINDS[kind], probe=f"8.8.8.{8 + edition}"), "gateway.yaml"
    )
