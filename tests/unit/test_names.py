"""What the kernel's objects are called: two gateways of other names would share none of them."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from appliance.config import gateway_file
from appliance.config.model import Interfaces
from appliance.planning import nft_text
from appliance.planning.plan import plan
from appliance.planning.ruleset import Admit, Mark
from appliance.planning.wanted import BLACKHOLE, MAIN_TABLE, Names, Plan, Site, Versions
from appliance.run_dir import RunDir
from appliance.vrrp import Role

CASES = sorted((Path(__file__).parents[1] / "golden").glob("[0-9][0-9]-*/gateway.yaml"))
FIRST = Names()
SECOND = Names(
    table="second",
    mark=0x20000,
    protocol=202,
    own_table=2020,
    forward_table=2021,
    first_rule=31600,
    policy=31600,
    lan_link="second-lan",
    wan_link="second-wan",
)


def planned(case: Path, names: Names) -> Plan:
    site = Site(
        interfaces=Interfaces(lan="eth1", wan="eth0", sync="eth2"),
        versions=Versions(),
        run_dir=RunDir(),
        python=Path("/usr/bin/python3"),
        config_path=Path("/etc/vgw/gateway.yaml"),
        names=names,
    )
    return plan(gateway_file.parse(case.read_bytes()), "master", Role.MASTER, site)


def objects(plan: Plan) -> set[object]:
    """Whatever a gateway puts into the kernel under a name of its own."""
    assert plan.ruleset is not None
    actions = [rule.action for chain in plan.ruleset.chains for rule in chain.rules]
    return {
        *plan.names.links.intersection(link.name for link in plan.links),
        *(route.table for route in plan.routes),
        *(rule.priority for rule in plan.rules),
        *({rule.table for rule in plan.rules} - {MAIN_TABLE, BLACKHOLE}),
        *({rule.mark for rule in plan.rules} - {0}),
        *(block.mark for block in plan.blocks),
        *(action.bit for action in actions if isinstance(action, Mark | Admit)),
        nft_text.text(plan.ruleset, plan.names.table).splitlines()[0],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_two_gateways_of_other_names_share_no_object(case: Path) -> None:
    first, second = planned(case, FIRST), planned(case, SECOND)
    assert objects(first)
    assert not objects(first) & objects(second)
    assert "vgw-lan" not in str(second)


def test_the_names_above_differ_in_all() -> None:
    for field in fields(Names):
        assert getattr(FIRST, field.name) != getattr(SECOND, field.name), field.name
        assert replace(FIRST, **{field.name: getattr(SECOND, field.name)}) != FIRST
