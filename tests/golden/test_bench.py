"""The files of the set-ups that VGW is measured beside, word for word. `--update` rewrites them."""

from pathlib import Path

import pytest

from vgw_lab.bench import recipes
from vgw_lab.bench.setups import SETUPS, Setup

PLACE = Path(__file__).parent / "bench"
OTHERS = [setup for setup in SETUPS.values() if not setup.ours]


def expected(setup: Setup) -> dict[str, str]:
    plan = setup.topology()
    assert setup.recipe is not None
    return {
        f"{node.name}.{path.name}": text
        for node in plan.gateways
        for path, text in recipes.files(setup.recipe, plan, node).items()
    }


@pytest.mark.parametrize("setup", OTHERS, ids=lambda setup: setup.name)
def test_the_files_of_a_set_up(setup: Setup, request: pytest.FixtureRequest) -> None:
    files, place = expected(setup), PLACE / setup.name
    if request.config.getoption("--update"):
        place.mkdir(parents=True, exist_ok=True)
        for path in place.iterdir():
            path.unlink()
        for name, text in files.items():
            (place / name).write_text(text)
    assert {path.name: path.read_text() for path in place.iterdir()} == files


def test_the_sheet_knows_no_replication_and_the_others_give_the_manuals_orders() -> None:
    assert {name.partition(".")[2] for name in expected(SETUPS["course"])} == {
        "keepalived.conf",
        "nftables.conf",
    }
    for name in ("recipe", "router-os"):
        script = expected(SETUPS[name])["master.primary-backup.sh"]
        assert "primary) set -- -c -f -R -B ;;" in script
        assert "backup) set -- -t -n ;;" in script
