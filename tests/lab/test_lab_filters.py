"""Filters of other programs on a node: told with whose they are and the mend, the peer serves, and the mend mends."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Bound
from tests.rulesets import RULESETS
from tests.waiting import PATIENCE, eventually, waited
from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import Lab, pinging, told
from .test_lab_replication import must
from .test_lab_way_out import TOLD_SECONDS

INSIDE = "drops what comes from inside"
GUARD = "table inet guard { chain forward { type filter hook forward priority 0; policy drop; }; }"
ROUTE = "`ufw route allow in on eth1 out on eth0`"
ZONE = "`firewall-cmd --permanent --zone=trusted --change-interface=eth1; firewall-cmd --reload`"


class Filter(NamedTuple):
    """How somebody's filter comes and goes, and what is said of it. `program` is what that takes beside nft."""

    comes: str
    goes: str
    culprit: str
    mend: str
    program: str = "nft"


FILTERS = {
    "second table": Filter(
        f"nft '{GUARD}'",
        "nft delete table inet guard",
        f"a filter of another program {INSIDE}",
        "`nft insert rule inet guard forward iifname eth1 oifname eth0 accept; ",
    ),
    "ufw": Filter(
        f"nft -f {RULESETS}/ufw.nft", "nft delete table ip filter", f"ufw {INSIDE}", ROUTE
    ),
    "ufw by iptables": Filter(
        f"iptables-nft-restore < {RULESETS}/ufw.rules",
        "nft delete table ip filter",
        f"ufw {INSIDE}",
        ROUTE,
        "iptables-nft",
    ),
    "firewalld": Filter(
        f"nft -f {RULESETS}/firewalld.nft",
        "nft delete table inet firewalld",
        f"firewalld {INSIDE}",
        ZONE,
    ),
    "Docker": Filter(
        f"nft -f {RULESETS}/docker.nft",
        "nft delete table ip filter",
        f"Docker {INSIDE}",
        "`iptables-nft -I DOCKER-USER -i eth1 -o eth0 -j ACCEPT; ",
    ),
    "legacy": Filter(
        "iptables-legacy -P FORWARD DROP",
        "iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F FORWARD",
        f"a filter of another program {INSIDE}",
        "`iptables-legacy -I FORWARD -i eth1 -o eth0 -j ACCEPT; ",
        "iptables-legacy",
    ),
}


def needs(program: str) -> None:
    if not shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin"):
        pytest.skip(f"{program} is not installed")
    if program == "iptables-legacy":
        tried = subprocess.run(
            ["unshare", "--map-root-user", "--net", program, "-L"], check=False, capture_output=True
        )
        if tried.returncode != 0:
            pytest.skip("this kernel has no iptables-legacy (CONFIG_IP_NF_IPTABLES_LEGACY)")


@contextmanager
def beside(lab: Lab, node: str, found: Filter) -> Iterator[None]:
    """Somebody's filter on a node, for as long as the block takes."""
    wires = NamespaceLab(lab.name)
    wires.wait_healthy(PATIENCE)
    must(lab, node, "sh", "-ec", found.comes)
    try:
        yield
    finally:
        must(lab, node, "sh", "-ec", found.goes)
    wires.wait_healthy(PATIENCE)


def tells(lab: Lab, node: str, *words: str) -> float:
    """How long it took until a node says this in its status; it does also to `health` and `check`."""
    took = waited(lambda: all(one in " ".join(told(lab, node)["in_the_way"]) for one in words))
    health, checked = lab.exec(node, "vgw", "health"), lab.exec(node, "vgw", "check")
    assert health.returncode == 1
    assert checked.returncode == 17, checked.stderr
    for one in words:
        assert one in health.stderr and one in checked.stderr
    return took


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_that_drops_what_we_accept_is_told_with_the_mend_and_the_peer_serves(
    standard_lab: Lab, name: str, bound: Bound
) -> None:
    found, wires = FILTERS[name], NamespaceLab(standard_lab.name)
    needs(found.program)
    with beside(standard_lab, "master", found):
        took = tells(standard_lab, "master", found.culprit, found.mend)
        assert eventually(lambda: wires.holders() == ("backup",)), wires.log("master", 40)
        assert eventually(lambda: wires.pings("noeud1"))
    with bound:
        assert took <= TOLD_SECONDS


@pytest.mark.parametrize("name", ["second table", "Docker", "legacy"])
def test_the_command_that_is_named_is_the_mend(standard_lab: Lab, name: str) -> None:
    found, wires = FILTERS[name], NamespaceLab(standard_lab.name)
    needs("iptables-nft" if name == "Docker" else found.program)
    with beside(standard_lab, "backup", found):
        tells(standard_lab, "backup", found.culprit)
        assert not told(standard_lab, "backup")["ready"], "it would serve nobody"
        assert wires.holders() == ("master",)
        sentence, *_ = told(standard_lab, "backup")["in_the_way"]
        (command,) = re.findall("`([^`]+)`", sentence)
        must(standard_lab, "backup", "sh", "-ec", command)
        wires.wait_healthy(PATIENCE)
        assert standard_lab.exec("backup", "vgw", "check").returncode == 0
        must(standard_lab, "master", "vgw", "switchover")
        assert eventually(lambda: wires.pings("noeud1")), "and what passes is no mere belief"
        must(standard_lab, "backup", "vgw", "switchover")


def test_what_no_look_at_rules_can_judge_is_told_by_what_does_not_leave(
    standard_lab: Lab, bound: Bound, tmp_path: Path
) -> None:
    lab, wires = standard_lab, NamespaceLab(standard_lab.name)
    blocks = (
        "table ip choosy { set outside { type ipv4_addr; flags interval; elements = { 0.0.0.0/0 }; }; "
        "chain f { type filter hook forward priority -5; ip daddr @outside drop; }; }"
    )
    found = Filter(f"nft '{blocks}'", "nft delete table ip choosy", "", "")
    with beside(lab, "master", found):
        with pinging(lab, 1, tmp_path / "answers"):
            took = tells(lab, "master", "does not leave", "chain f of table ip choosy")
        assert eventually(lambda: wires.holders() == ("backup",))
        assert eventually(lambda: wires.pings("noeud1"))
    with bound:
        assert took <= TOLD_SECONDS
