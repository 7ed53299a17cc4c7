"""The daemons themselves accept the files of the set-ups that VGW is measured beside."""

import pytest

from appliance import system
from tests.kernel.conftest import Namespace
from vgw_lab.bench import gateway, recipes, silence
from vgw_lab.bench.setups import SETUPS

OTHERS = [name for name, setup in SETUPS.items() if not setup.ours]


@pytest.mark.parametrize("name", OTHERS)
def test_each_daemon_reads_its_file(name: str, namespace: Namespace) -> None:
    def body() -> None:
        setup = SETUPS[name]
        plan = setup.topology()
        assert setup.recipe is not None
        gateway.write(plan, plan.gateways[0], setup.recipe)  # which loads the ruleset, too
        checked = system.attempt(["keepalived", "-t", "-f", str(recipes.KEEPALIVED)])
        assert (checked.returncode, checked.output) == (0, ""), checked
        if setup.recipe.replicates:
            # It reads the file, and only then finds that no daemon runs here.
            found = system.attempt(["conntrackd", "-C", str(recipes.CONNTRACKD), "-s"])
            assert "can't connect: is conntrackd running?" in found.output, found

    namespace(body)


def test_the_kernel_takes_the_rules_of_a_silent_death(namespace: Namespace) -> None:
    def body() -> None:
        system.run(["nft", "-f", "-"], silence.ruleset(("master-lan", "master-wan", "master-sync")))

    namespace(body)
