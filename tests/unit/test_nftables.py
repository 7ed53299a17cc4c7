"""Our table by nft(8): loaded whole, remembered, and removed; a stand-in keeps it in a file."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import ApplianceError, CommandFailed, MissingKernelFeature, netlink
from appliance.config import gateway_file
from appliance.config.model import Interfaces
from appliance.drivers.nftables import Nftables
from appliance.planning import firewall, virtual_macs
from appliance.planning.ruleset import ChainKind, Count, Ruleset
from appliance.planning.wanted import Names

from .kernel_stand_ins import opened
from .nft_stand_in import Nftables as Tables
from .program_stand_ins import NFT, installed

GATEWAY = Path(__file__).parents[1] / "golden" / "01-standard" / "gateway.yaml"


@pytest.fixture
def nft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return installed(monkeypatch, tmp_path, "nft", NFT)


@pytest.fixture
def kernel(nft: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    tables = Tables(loaded=nft.with_suffix(".table"))
    opened(monkeypatch).lead(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETFILTER, to=tables.door)
    return tables


@pytest.fixture(autouse=True)
def _(kernel: Tables) -> None:
    """No test asks the machine's own kernel."""


@pytest.fixture
def table(tmp_path: Path) -> Nftables:
    return Nftables("vgw", tmp_path / "run" / "nftables.json")


def ruleset(vgw: str = "192.168.100.99") -> Ruleset:
    text = GATEWAY.read_text(encoding="utf-8").replace("192.168.100.99", vgw)
    config = gateway_file.parse(text.encode())
    interfaces = Interfaces(lan="eth1", wan="eth0", sync="eth2")
    sides = virtual_macs.sides(config, interfaces, Names())
    return firewall.ruleset(config, "master", sides, Names().mark)


def signs(table: Nftables, wanted: Ruleset | None) -> list[str]:
    return [str(change)[0] for change in table.diff(wanted)]


def test_a_table_that_was_loaded_differs_no_more_and_goes_whole(nft: Path, table: Nftables) -> None:
    wanted = ruleset()
    assert (signs(table, None), signs(table, wanted), table.in_force()) == ([], 3 * ["+"], False)
    table.apply(table.diff(wanted))
    assert (signs(table, wanted), table.in_force()) == ([], True)
    assert [str(change) for change in table.diff(ruleset("192.168.100.98"))] == [
        "~ table inet vgw",
        "~ table netdev vgw",
    ]
    assert [str(change) for change in table.diff(None)] == [
        "- table netdev vgw",
        "- table ip vgw",
        "- table inet vgw",
    ], "the firewall goes last"
    table.apply(table.diff(None))
    assert (signs(table, None), table.in_force(), table.memory.exists()) == ([], False, False)


def test_a_table_is_tried_out_without_being_loaded(nft: Path, table: Nftables) -> None:
    changes = table.diff(ruleset())
    table.try_out(changes)
    assert not table.in_force()
    assert nft.with_suffix(".checked").read_text() == changes[0].payload.script
    nft.with_suffix(".disapproves").write_text("Error: no")
    with pytest.raises(CommandFailed, match="nft refused our table: Error: no"):
        table.try_out(changes)
    table.apply(changes)
    table.try_out(table.diff(None))


def test_a_table_that_somebody_changed_is_loaded_again(nft: Path, table: Nftables) -> None:
    table.apply(table.diff(ruleset()))
    with nft.with_suffix(".table").open("a") as file:
        file.write("# a stranger's rule\n")
    assert signs(table, ruleset()) == ["~"]
    table.apply(table.diff(ruleset()))
    assert signs(table, ruleset()) == []


def test_a_table_is_listed_again_only_where_the_ruleset_has_another_number(
    nft: Path, table: Nftables, kernel: Tables
) -> None:
    def listings() -> int:
        return nft.with_suffix(".log").read_text().count("--stateless")

    wanted = ruleset()
    table.apply(table.diff(wanted))
    assert signs(table, wanted) == [], "the second table gave the ruleset another number"
    before = listings()
    assert [signs(table, wanted) for _ in range(3)] == [[], [], []]
    assert listings() == before
    kernel.generation += 1  # somebody else's table
    assert (signs(table, wanted), listings()) == ([], before + 3)
    nft.with_suffix(".table").unlink()
    assert (signs(table, wanted), table.in_force()) == (["+"], False)
    kernel.refuses, before = True, listings()
    assert [signs(table, wanted) for _ in range(3)] == [["+"], ["+"], ["+"]]
    assert listings() == before + 9, "where the kernel does not tell, nft is asked each time"


@pytest.mark.parametrize("left", [None, "", "half of {", "[1]"])
def test_a_table_that_nobody_remembers_is_loaded_again(
    nft: Path, table: Nftables, left: str | None
) -> None:
    table.apply(table.diff(ruleset()))
    table.memory.unlink()
    if left is not None:
        table.memory.write_text(left)
    assert signs(table, ruleset()) == 3 * ["~"]


def test_a_timer_that_runs_is_no_change_of_a_table_and_any_other_element_is(
    nft: Path, table: Nftables, kernel: Tables
) -> None:
    def listed(more: str, elements: str) -> None:
        lines = ("set leads {", "\ttypeof numgen inc mod 1", f"\tflags {more}", elements)
        text = "".join(f"\t{line}\n" for line in lines if line)
        nft.with_suffix(".netdev").write_text(f"table netdev vgw {{\n{text}\t}}\n}}\n")

    timed, running = "dynamic,timeout\n\t\ttimeout 300ms", "\telements = { 0 }"
    listed(timed, "")
    still = table.listing("netdev")
    listed(timed, running)
    assert table.listing("netdev") == still
    listed(timed, "\telements = { 0,\n\t\t\t     1 }")
    assert table.listing("netdev") == still
    listed("timeout", "")
    other = table.listing("netdev")
    listed("timeout", running)
    assert table.listing("netdev") != other


def test_a_kernel_without_chains_on_the_way_out_is_known_by_what_it_refuses(
    nft: Path, table: Nftables
) -> None:
    assert table.sees_frames()
    nft.with_suffix(".disapproves").write_text("Error: Operation not permitted")
    assert table.sees_frames(), "who may not ask learns nothing of the kernel"
    nft.with_suffix(".disapproves").write_text(
        "Error: Could not process rule: Operation not supported"
    )
    assert not table.sees_frames()


def test_a_ruleset_without_frames_takes_their_table_away(table: Nftables) -> None:
    wanted = ruleset()
    table.apply(table.diff(wanted))
    more = (ChainKind.LAST, ChainKind.FRAMES)
    chains = tuple(one for one in wanted.chains if one.kind not in more)
    plain = replace(wanted, chains=chains)
    assert [str(change) for change in table.diff(plain)] == [
        "- table ip vgw",
        "- table netdev vgw",
    ]
    table.apply(table.diff(plain))
    assert table.diff(plain) == ()


@pytest.mark.parametrize(
    ("says", "error", "told"),
    [
        ("Error: syntax error", CommandFailed, "nft refused our table: Error: syntax error"),
        (
            "netlink: Error: cache initialization failed: Operation not supported",
            MissingKernelFeature,
            "this kernel has no nf_tables, or not for us; load it on the host with `modprobe nf_tab",
        ),
    ],
)
def test_what_nft_refuses_is_told_with_its_words_or_the_remedy(
    nft: Path, table: Nftables, kernel: Tables, says: str, error: type[ApplianceError], told: str
) -> None:
    assert table.lacking() == frozenset()
    assert table.supported(ruleset()) == ()
    changes = table.diff(ruleset())
    nft.with_suffix(".refuses").write_text(says)
    kernel.refuses = True
    for deed in (lambda: table.apply(changes), table.in_force):
        with pytest.raises(error) as raised:
            deed()
        assert told in str(raised.value)
    assert table.lacking() == {"nf_tables", "nf_nat"}
    assert table.counters() == ()
    assert not table.memory.exists()


def test_the_counters_are_those_that_nft_lists(nft: Path, table: Nftables) -> None:
    rule = {
        "chain": "input",
        "comment": "the rest",
        "expr": [{"counter": {"packets": 2, "bytes": 99}}, {"drop": None}],
    }
    nft.with_suffix(".json").write_text(
        json.dumps({"nftables": [{"metainfo": {}}, {"rule": rule}]})
    )
    assert table.counters() == (Count("input", "the rest", 2, 99),)
    frames = {**rule, "chain": "lan-in", "comment": "asked"}
    nft.with_suffix(".netdev.json").write_text(json.dumps({"nftables": [{"rule": frames}]}))
    assert table.counters() == (
        Count("input", "the rest", 2, 99),
        Count("lan-in", "asked", 2, 99),
    )
