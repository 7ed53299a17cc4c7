"""The files of the set-ups that are not ours: each daemon's, the notify script, and the ruleset."""

from dataclasses import dataclass
from pathlib import Path

from vgw_lab.worlds.topology import NodeSpec, Topology

RUN = Path("/run/bench")
KEEPALIVED = RUN / "keepalived.conf"
CONNTRACKD = RUN / "conntrackd.conf"
SCRIPT = RUN / "primary-backup.sh"
RULESET = RUN / "nftables.conf"
# The manual: at least twice the kernel's table, which here is one with room for 300,000 entries.
_HASH_LIMIT = 1 << 20


@dataclass(frozen=True)
class Recipe:
    """What tells the set-ups apart.

    `groups`: an instance for each side, bound by a sync group; `stateful`: a filter that drops what
    belongs to no flow it knows.
    """

    version: int
    advert_interval: float
    authenticated: bool = False
    replicates: bool = True
    wan_vip: bool = True
    groups: bool = False
    stateful: bool = False


COURSE = Recipe(2, 1, authenticated=True, replicates=False, wan_vip=False)
RECIPE = Recipe(3, 0.1, stateful=True)
ROUTER_OS = Recipe(2, 1, groups=True)


def files(recipe: Recipe, plan: Topology, node: NodeSpec) -> dict[Path, str]:
    """All files of one node, by their paths there."""
    found = {KEEPALIVED: keepalived(recipe, plan, node), RULESET: ruleset(recipe, plan, node)}
    if recipe.replicates:
        found |= {CONNTRACKD: conntrackd(plan, node), SCRIPT: script()}
    return found


def interface(node: NodeSpec, bridge: str) -> str:
    """What a node calls its interface to a bridge."""
    return next(wire.interface for wire in node.wires if wire.bridge == bridge)


def keepalived(recipe: Recipe, plan: Topology, node: NodeSpec) -> str:
    """keepalived.conf(5)."""
    lan, wan = interface(node, "lan"), interface(node, "wan")
    vgw, wan_vip = str(plan.vgw.address), f"{plan.wan_vip} dev {wan}"
    notify = _notify() if recipe.replicates else ""
    head = "global_defs {\n    script_user root\n    enable_script_security\n}\n"
    if not recipe.groups:
        addresses = [vgw, wan_vip] if recipe.wan_vip else [vgw]
        return head + _instance(
            "VI_1", recipe, plan.vgw.virtual_router_id, node, lan, addresses, notify
        )
    sides = _instance("LAN", recipe, plan.vgw.virtual_router_id, node, lan, [vgw], "") + _instance(
        "WAN", recipe, plan.vgw.virtual_router_id + 1, node, wan, [wan_vip], ""
    )
    group = (
        "vrrp_sync_group SYNC {\n    group {\n        LAN\n        WAN\n    }\n" + notify + "}\n"
    )
    return head + group + sides


def _instance(
    name: str,
    recipe: Recipe,
    vrid: int,
    node: NodeSpec,
    interface: str,
    addresses: list[str],
    notify: str,
) -> str:
    # The sheet has the first node begin as MASTER.
    first = recipe.authenticated and node.priority >= 100
    authentication = "    authentication {\n        auth_type PASS\n        auth_pass 1234\n    }\n"
    listed = "".join(f"        {address}\n" for address in addresses)
    return f"""\
vrrp_instance {name} {{
    version {recipe.version}
    state {"MASTER" if first else "BACKUP"}
    interface {interface}
    virtual_router_id {vrid}
    priority {node.priority}
    advert_int {recipe.advert_interval:g}
{authentication if recipe.authenticated else ""}\
    virtual_ipaddress {{
{listed}\
    }}
{notify}\
}}
"""


def _notify() -> str:
    roles = {"notify_master": "primary", "notify_backup": "backup", "notify_fault": "fault"}
    return "".join(f'    {word} "{SCRIPT} {role}"\n' for word, role in roles.items())


def conntrackd(plan: Topology, node: NodeSpec) -> str:
    """conntrackd.conf(5): FTFW with the external cache, which is what the daemon does unless told."""
    peer = next(one for one in plan.gateways if one.name != node.name)
    addresses = {wire.bridge: wire.address for wire in node.wires}
    theirs = {wire.bridge: wire.address for wire in peer.wires}
    own, far = addresses["sync"], theirs["sync"]
    assert own is not None and far is not None
    ignored = [
        plan.vgw.address,
        plan.wan_vip,
        *filter(None, addresses.values()),
        *filter(None, theirs.values()),
    ]
    lines = "".join(f"            IPv4_address {address.ip}\n" for address in ignored)
    return f"""\
Sync {{
    Mode FTFW {{
        ResendQueueSize {_HASH_LIMIT}
        ACKWindowSize 300
    }}
    UDP {{
        IPv4_address {own.ip}
        IPv4_Destination_Address {far.ip}
        Port 3780
        Interface {interface(node, "sync")}
        Checksum on
    }}
}}
General {{
    HashSize {_HASH_LIMIT // 8}
    HashLimit {_HASH_LIMIT}
    LogFile off
    LockFile {RUN}/conntrackd.lock
    UNIX {{
        Path {RUN}/conntrackd.ctl
    }}
    NetlinkBufferSize 2097152
    NetlinkBufferSizeMaxGrowth 8388608
    Filter From Userspace {{
        Protocol Accept {{
            TCP
            UDP
        }}
        Address Ignore {{
            IPv4_address 127.0.0.1
{lines}\
        }}
    }}
}}
"""


def script() -> str:
    """The notify script: the manual's orders for each role, in the manual's order."""
    order = f"conntrackd -C {CONNTRACKD}"
    return f"""\
#!/bin/sh
case $1 in
primary) set -- -c -f -R -B ;;
backup) set -- -t -n ;;
fault) set -- -t ;;
esac
for word; do
    {order} "$word" || logger -t primary-backup "{order} $word failed"
done
"""


def ruleset(recipe: Recipe, plan: Topology, node: NodeSpec) -> str:
    """What translates and, where the set-up has one, the stateful filter, in the words of nft(8)."""
    action = f"snat to {plan.wan_vip.ip}" if recipe.wan_vip else "masquerade"
    rules = translation(plan, node, action)
    return rules + _stateful(node) if recipe.stateful else rules


def _stateful(node: NodeSpec) -> str:
    """Only what belongs to a flow passes, or what begins one; a TCP flow begins with a SYN."""
    return f"""\
table ip filter {{
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "{interface(node, "lan")}" ct state new tcp flags & (fin|syn|rst|ack) == syn accept
        iifname "{interface(node, "lan")}" ct state new meta l4proto != tcp accept
    }}
    chain input {{
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iifname {{ "lo", "{interface(node, "lan")}", "{interface(node, "sync")}" }} accept
        meta l4proto {{ icmp, vrrp }} accept
    }}
}}
"""


def translation(plan: Topology, node: NodeSpec, action: str) -> str:
    """A table with nothing but the translation of what leaves the LAN by the WAN."""
    return f"""\
table ip bench {{
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "{interface(node, "wan")}" ip saddr {plan.vgw.address.network} {action}
    }}
}}
"""
