"""What others' routes and rules do to the traffic from inside is told, and the peer serves."""

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually, waited
from vgw_lab.worlds.namespaces import NamespaceLab

from .conftest import Lab, told
from .test_lab_replication import must

TOLD_SECONDS = 5.0
# A tunnel's interface that swallows all: what a full-tunnel VPN leaves when its other end is gone.
DEVICE = "ip link add tunnel type veth peer name far; ip link set far up; ip link set tunnel up; "
STOLEN = {
    "full tunnel": (
        "for half in 0.0.0.0/1 128.0.0.0/1; do ip route add $half dev tunnel; done",
        "the route 0.0.0.0/1 of table main",
    ),
    "rule in front": (
        "ip route add default dev tunnel table 52; ip rule add pref 5270 lookup 52",
        "the routing rule 5270 to table 52",
    ),
}


@pytest.mark.parametrize("theft", STOLEN)
def test_traffic_that_others_lead_elsewhere_is_told_with_the_mend_and_the_peer_serves(
    standard_lab: Lab, theft: str, bound: Bound
) -> None:
    lab, wires = standard_lab, NamespaceLab(standard_lab.name)
    wires.wait_healthy(PATIENCE)
    script, culprit = STOLEN[theft]
    must(lab, "master", "sh", "-ec", DEVICE + script)
    try:
        took = waited(lambda: culprit in " ".join(told(lab, "master")["problems"]))
        health = lab.exec("master", "vgw", "health")
        assert health.returncode == 1
        assert culprit in health.stdout + health.stderr
        # While the VGW moves there is something to do, which is told first.
        assert eventually(
            lambda: (
                (one := lab.exec("master", "vgw", "check")).returncode == 17
                and culprit in one.stderr
            )
        )
        assert eventually(lambda: wires.holders() == ("backup",)), wires.log("master", 40)
        assert eventually(lambda: wires.pings("noeud1"))
    finally:
        undo = "ip rule del pref 5270 2>/dev/null || true; ip link del tunnel"
        must(lab, "master", "sh", "-ec", undo)
    wires.wait_healthy(PATIENCE)
    with bound:
        assert took <= TOLD_SECONDS
