"""Silent death: a node's links stay up and nothing passes them, as when a kernel hangs."""

from appliance import CommandFailed
from vgw_lab.faults.fault import Fault
from vgw_lab.worlds.namespaces import NamespaceLab
from vgw_lab.worlds.running import Lab

_TABLE = "bridge vgw_silence"


def ruleset(ports: tuple[str, ...]) -> str:
    """The nftables text that drops every frame from and to some ports of the world's bridges."""
    listed = ", ".join(f'"{port}"' for port in ports)
    return f"""\
table {_TABLE} {{
    chain from {{
        type filter hook prerouting priority -300; policy accept;
        iifname {{ {listed} }} drop
    }}
    chain into {{
        type filter hook postrouting priority 300; policy accept;
        oifname {{ {listed} }} drop
    }}
}}
"""


def _silence(lab: Lab, node: str) -> None:
    spec = lab.topology.node(node)
    _order(lab, ruleset(tuple(spec.port(wire.bridge) for wire in spec.wires)))


def _speak(lab: Lab, _node: str) -> None:
    """Let it be heard again; it may be so already."""
    _order(lab, f"table {_TABLE}\ndelete table {_TABLE}\n")


def _order(lab: Lab, script: str) -> None:
    assert isinstance(lab, NamespaceLab), "only a world of ours has bridges to drop frames on"
    done = lab.world.run(["nft", "-f", "-"], script)
    if done.returncode != 0:
        raise CommandFailed(f"lab '{lab.name}': nft on the bridges: {done.output}")


SILENT_DEATH = Fault("silent-death", "the node hangs with its links up", "silent", _silence, _speak)
