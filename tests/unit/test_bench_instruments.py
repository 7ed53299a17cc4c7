"""What the bench's instruments send and read, and what its labs run."""

import pkgutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import ApplianceError
from vgw_lab import instruments
from vgw_lab.bench import cost, pair, pulse, setups
from vgw_lab.instruments import flood
from vgw_lab.worlds.running import instrument_source

INSTRUMENTS = [module.name for module in pkgutil.iter_modules(instruments.__path__)]


def test_an_unknown_set_up_is_named_with_those_there_are() -> None:
    with pytest.raises(ApplianceError, match="'mine' is unknown; there are course, recipe"):
        setups.chosen(("mine",))


def test_only_the_gateways_of_others_run_something_else() -> None:
    for setup in setups.SETUPS.values():
        plan = setup.topology()
        expected = () if setup.ours else (setups.MODULE, setup.name)
        assert {node.runs for node in plan.gateways} == {expected}
        assert {node.runs for node in plan.nodes if node.kind != "gateway"} == {()}


def test_no_two_datagrams_of_a_flood_belong_to_one_flow() -> None:
    sent = [header[:4] for header, _ in flood.headers(200_000, range(9999, 10_007))]
    assert len(set(sent)) == len(sent)
    header, target = next(iter(flood.headers(1, [7])))
    assert (socket.ntohs(int.from_bytes(header[2:4], "little")), target) == (7, 7)


def test_a_pulse_has_no_holes_and_goes_on_when_nobody_answers() -> None:
    beat = pulse.Beat(flows=10, answered={100: 10, 101: 10, 103: 4})
    found = beat.since(10.25, 0.5)
    assert list(found.values()) == [0, 0, 0, 10, 10, 0, 4, 0, 0, 0]
    assert min(found) == pytest.approx(-0.55)
    assert pulse.Beat().since(10.2, 0.5) == {}


def test_what_the_programs_took_is_added_up_by_name() -> None:
    fields = " ".join(["S", *["0"] * 10, "150", "50", *["0"] * 8, "1000", "0"])
    text = f"/usr/sbin/keepalived -n \t7 (keepalived) {fields}\nkeepalived \t8 (a b) {fields}\nsh \t9 (sh) {fields}\n"
    assert cost.sample(text, 100, 4096) == {"keepalived": (4.0, 8.192)}


def test_the_external_cache_is_read_out_of_the_statistics() -> None:
    said = (
        "cache internal:\ncurrent active connections:\t          3\n"
        "cache external:\ncurrent active connections:\t       5012\nconnections created: 9\n"
    )
    assert pair.external(said) == 5012
    assert pair.external("nothing") == 0


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_an_instrument_runs_from_its_source_alone(instrument: str, tmp_path: Path) -> None:
    words = [sys.executable, "-I", "-S", "-c", instrument_source(instrument), "--help"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: ")
