"""Who else translates on this machine changes nothing about what leaves from the WAN VIP."""

import subprocess
from pathlib import Path

import pytest

from appliance import converge
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.kernel.behind import TCP, Behind
from tests.kernel.conftest import Namespace
from tests.kernel.wanted import hold_addresses, plan_of

# What recipes for a gateway have people add to Docker's or ufw's tables, where iptables puts it.
MASQUERADE = """
table ip nat {
	chain POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "eth0" masquerade
	}
}
"""


def nft(script: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True)


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_flow_leaves_from_the_wan_vip_whoever_else_would_translate_it(
    namespace: Namespace, cases: dict[str, Path], first: str
) -> None:
    def body() -> list[str]:
        if first == "theirs":
            nft(MASQUERADE)
        hold_addresses(Role.MASTER)
        converge.converge_fully(plan_of(cases["01-standard"], Role.MASTER), RunDir())
        if first == "ours":
            nft(MASQUERADE)
        with Behind() as machine:
            return machine.begins(TCP)

    assert namespace(body) == ["203.0.113.99"]
