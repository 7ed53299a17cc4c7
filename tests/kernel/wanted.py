"""Plans of the golden configurations on this machine, and the machine's state as comparable text."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from appliance.config import gateway_file
from appliance.drivers import sysctl
from appliance.drivers.nftables import Nftables
from appliance.planning.plan import plan
from appliance.planning.wanted import Names, Plan
from appliance.run_dir import RunDir
from appliance.site import this_node
from appliance.vrrp import Role


def plan_of(path: Path, role: Role, names: Names | None = None) -> Plan:
    """The plan of node `master`; the MASTER's addresses are put where keepalived would put them."""
    wanted = gateway_file.parse(path.read_bytes(), str(path))
    site = this_node.site(wanted, "master", path)
    return plan(wanted, "master", role, replace(site, names=names or site.names))


def hold_addresses(role: Role) -> None:
    """Give this machine the VGW and the WAN VIP, or take them, as keepalived does for a role."""
    verb = "replace" if role is Role.MASTER else "del"
    for address, interface in (("192.168.100.99/24", "eth1"), ("203.0.113.99/24", "eth0")):
        command = ["ip", "addr", verb, address, "dev", interface]
        subprocess.run(command, check=role is Role.MASTER, capture_output=True)


def listing() -> str | None:
    """Our table as nft lists it; None where there is none."""
    return Nftables(Names().table, RunDir().ruleset_digests).listing()


def state(plan: Plan) -> dict[str, Any]:
    """All that is ours on this machine, in an order of its own."""
    ours = str(plan.names.protocol)
    routes = _ip("route", "show", "table", "all", "proto", ours)
    rules = [rule for rule in _ip("rule", "show") if rule.get("protocol") == ours]
    return {
        "table": listing(),
        "links": [
            (link["ifname"], link["link"], link["address"], "UP" in link["flags"])
            for link in _ip("link", "show", "type", "macvlan")
        ],
        "routes": sorted(json.dumps(route, sort_keys=True) for route in routes),
        "rules": sorted(json.dumps(rule, sort_keys=True) for rule in rules),
        "sysctls": [(key, sysctl.path_of(key).read_text()) for key, _ in plan.sysctls],
        "forwarding": forwarding(),
    }


def forwarding() -> bool:
    """Whether any interface's IPv4 packets are passed on."""
    settings = [
        sysctl.path_of(sysctl.forwarding(name)) for name in ("eth0", "eth1", "eth2", "eth3")
    ]
    return any(path.exists() and path.read_text().strip() == "1" for path in settings)


def _ip(*words: str) -> list[dict[str, Any]]:
    done = subprocess.run(["ip", "-json", *words], check=False, capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found
