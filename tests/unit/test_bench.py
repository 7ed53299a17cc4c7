"""What a bench makes of its rows: statistics, pairs, verdicts, texts; and what it plans."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from appliance import ApplianceError
from vgw_lab.bench import figures, outages, page, plots, run, setups, tables, verdicts
from vgw_lab.bench.forwarding import WITH, WITHOUT, in_turn
from vgw_lab.bench.router import FULL, MASQUERADE, PLAIN
from vgw_lab.commands.commands import app
from vgw_lab.instruments.flows import Tally
from vgw_lab.worlds import entry

pytestmark = pytest.mark.no_cover  # they reach none of the product's lines, and draw much faster so

OPTIONS = run.Options(2, tuple(setups.SETUPS), run.SECTIONS, (300_000,), quick=False, name="bench")


def outage(setup: str, turn: int, gap: float, **more: Any) -> dict[str, Any]:
    usual = {"fault": "power-off", "entries": 0, "began": 1.0, "flows": {"client": (10, 10)}}
    pulses = {"pulse": {"-0.10": 100, "0.00": 0, "0.10": 100}, "watched": 100}
    return {
        "setup": setup,
        "round": turn,
        "gap": gap,
        "sent": 1,
        "lost": 0,
        **usual,
        **pulses,
        **more,
    }


def result(**rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = {**run.begin(OPTIONS, "vgw bench"), **rows}
    found["verdicts"] = verdicts.judge(found)
    return found


def whole() -> dict[str, Any]:
    """A result that keeps every bar."""
    gaps = {"recipe": 4000.0, "ours-standard": 400.0, "ours-hot": 10.0, "ours-fast": 80.0}
    rows = [
        outage(setup, turn, gap, entries=entries, fault=fault, stall=gap)
        for setup, gap in gaps.items()
        for turn in range(2)
        for entries in (0, 300_000)
        for fault in outages.FAULTS
    ]
    both = {"round": 0, "processor_rate": 9.0, "rate": 9.0, "load_ms": 3.0}
    program = {"idle_percent": 1.0, "learn_seconds": 1.0, "full_percent": 1.0}
    return result(
        outages=rows,
        throughput=[
            {"round": 0, "variant": variant, "gbits": 9.0, "packets": 9.0}
            for variant in (FULL, PLAIN, MASQUERADE)
        ],
        mappings=[{**both, "variant": many} for many in (10, 100, 1000)],
        connections=[
            {**both, "variant": variant, "sync_bytes": 90.0, "replicas": 1.0}
            for variant in (WITH, WITHOUT)
        ],
        cost=[{"role": "MASTER", "program": "agent", "empty_mb": 5.0, "full_mb": 6.0, **program}],
    )


@cache
def drawn() -> dict[str, str]:
    """Drawings of a whole result, which take a second or two."""
    return plots.draw(whole())


def verdict(found: dict[str, Any], words: str) -> dict[str, Any]:
    return next(one for one in found["verdicts"] if words in one["bar"])


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7.0], 95, 7),
        (list(range(1, 21)), 95, 19),
        (list(range(1, 11)), 95, 10),
        ([3, 1, 2], 50, 2),
    ],
)
def test_a_percentile_is_one_of_the_values(
    values: list[float], percent: float, expected: float
) -> None:
    assert figures.percentile(values, percent) == expected


def test_a_summary_of_nothing_is_empty() -> None:
    assert figures.summary([]) == {}
    assert figures.summary([1, 9]) == {"n": 2, "median": 5, "p95": 9, "min": 1, "max": 9}


def test_ratios_are_of_one_round_each_and_a_round_without_its_pair_is_left_out() -> None:
    rows = [
        {"round": 0, "variant": "a", "rate": 8.0},
        {"round": 0, "variant": "b", "rate": 4.0},
        {"round": 1, "variant": "b", "rate": 5.0},
        {"round": 2, "variant": "b", "rate": 4.0},
        {"round": 2, "variant": "a", "rate": 2.0},
        {"round": 3, "variant": "a", "rate": 2.0},
        {"round": 3, "variant": "b", "rate": 0.0},
    ]
    assert figures.ratios(rows, "variant", "rate", "a", "b") == [2.0, 0.5]


def test_a_stall_that_the_probe_could_not_see_counts_as_its_resolution() -> None:
    rows = [outage("recipe", 0, 0, stall=500), outage("ours-hot", 0, 0, stall=0)]
    assert figures.stall_ratios(rows, "recipe", "ours-hot", "power-off", 0) == [500]


def test_a_set_up_whose_flows_all_died_has_no_stall() -> None:
    dead, lives = Tally(flows=2, alive=0, stall_ms=9), Tally(flows=2, alive=1, stall_ms=7)
    assert outages.stall({"client": dead}) is None
    assert outages.stall({"client": dead, "client, same port": lives, "udp": dead}) == 7
    rows = [outage("course", 0, 3000, stall=None), outage("ours-hot", 0, 10, stall=5)]
    assert figures.gaps(rows, "course", "power-off", value="stall") == []
    assert figures.stall_ratios(rows, "course", "ours-hot", "power-off", 0) == []


def test_flows_are_added_up_over_rounds_and_one_that_moved_is_not_alive() -> None:
    counted = outages.alive({"udp": Tally(flows=10, alive=9, changed=2)})
    assert counted == {"udp": (10, 7)}
    rows = [outage("recipe", turn, 1, flows=counted) for turn in range(2)]
    assert figures.alive(rows, "recipe", 0) == {"udp": (20, 14)}


def test_a_run_that_keeps_every_bar_succeeds() -> None:
    found = whole()
    assert not verdicts.failed(found), found["verdicts"]
    assert len(found["verdicts"]) == len(verdicts.OURS) + len(verdicts.BARS)


@pytest.mark.parametrize(
    ("section", "change", "words"),
    [
        ("outages", lambda row: {**row, "flows": {"client": (10, 9)}}, "ours-hot"),
        ("outages", lambda row: {**row, "stall": 400.0}, "recipe : ours-standard"),
        (
            "throughput",
            lambda row: {**row, "gbits": 1.0 + (row["variant"] == PLAIN)},
            "TCP throughput",
        ),
        ("mappings", lambda row: {**row, "processor_rate": 1e4 - row["variant"]}, "mappings"),
        (
            "connections",
            lambda row: {**row, "rate": 1.0 + (row["variant"] == WITHOUT)},
            "replication",
        ),
    ],
)
def test_a_bar_that_is_missed_fails_the_run(section: str, change: Any, words: str) -> None:
    rows = whole()
    found = result(
        **{key: rows[key] for key in run.KEYS} | {section: list(map(change, rows[section]))}
    )
    assert verdict(found, words)["held"] is False
    assert verdicts.failed(found)


def test_a_bar_without_a_figure_is_not_kept() -> None:
    found = result()
    assert all(one["held"] is None for one in found["verdicts"])
    assert verdicts.failed(found)


def test_a_bar_between_set_ups_that_were_not_asked_for_is_not_looked_at() -> None:
    found = result()
    found["options"]["setups"] = ("ours-hot",)
    assert not any("recipe" in one["bar"] for one in verdicts.judge(found))


def test_a_smoke_run_fails_only_where_a_part_did_not_work() -> None:
    found = {**result(), "quick": True}
    assert not verdicts.failed(found)
    assert verdicts.failed({**found, "missing": ["cost: conntrackd: program not found"]})


def test_rounds_are_interleaved_and_the_power_is_cut_last() -> None:
    chosen = setups.chosen(("recipe", "ours-hot"))
    both = outages.by_rounds([*outages.empty(chosen, 2), *outages.filled(chosen, 1, (50_000,))])
    assert [(one.round, one.setup.name, one.entries) for one in both] == [
        (0, "recipe", 0),
        (0, "ours-hot", 0),
        (0, "recipe", 50_000),
        (0, "ours-hot", 50_000),
        (1, "recipe", 0),
        (1, "ours-hot", 0),
    ]
    assert {one.faults[-1] for one in both} == {"power-off"}
    assert [in_turn(("a", "b", "c"), turn)[0] for turn in range(4)] == ["a", "b", "c", "a"]


def test_a_table_that_is_too_small_is_said_with_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entry, "sysctls", lambda keys: dict.fromkeys(keys, "262144"))
    options = run.Options(2, (), run.SECTIONS, (50_000, 300_000), quick=False, name="bench")
    sizes, missing = run.room(options)
    assert sizes == (50_000,)
    assert len(missing) == 1
    assert "sysctl -w net.netfilter.nf_conntrack_max=310000" in missing[0]


def test_a_kernel_that_does_not_say_its_table_size_yet_is_asked_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entry, "sysctls", lambda keys: {})
    assert run.room(OPTIONS) == ((300_000,), [])


@pytest.mark.parametrize(("runs", "filled"), [(1, 1), (2, 2), (3, 3), (5, 3), (10, 4), (20, 8)])
def test_filled_tables_are_met_less_often(runs: int, filled: int) -> None:
    assert run.Options(runs, (), (), (), quick=False, name="bench").table_runs == filled


def test_a_place_that_takes_no_result_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["bench", "--quick", "--out", str(tmp_path / "file")])
    assert isinstance(done.exception, ApplianceError)
    assert "name a directory that you may write to" in str(done.exception)


def test_a_result_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "--from", str(tmp_path / "no" / "bench.json")])
    assert isinstance(done.exception, ApplianceError)
    assert "No such file or directory; name a bench.json" in str(done.exception)
    assert not (tmp_path / "no").exists()


def test_a_part_that_fails_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    def fails(say: Any) -> Any:
        yield {"variant": 10}
        raise ApplianceError("iperf3: program not found")

    heard: list[float] = []
    found = result()
    todo = [run.Part("cost", "first", 3, 2.0, fails), run.Part("cost", "second", 1, 5.0, fails)]
    run.work(found, todo, tmp_path, lambda part, sentence, seconds: heard.append(seconds))
    assert found["missing"] == [
        "first: iperf3: program not found",
        "second: iperf3: program not found",
    ]
    assert len(found["cost"]) == 2
    assert sum(heard) == 3 * 2.0 + 5.0
    assert '"variant": 10' in (tmp_path / run.FILE).read_text()


def test_the_page_holds_everything_and_reaches_for_nothing() -> None:
    found = whole()
    drawings = drawn()
    assert drawings.keys() == plots.CAPTIONS.keys()
    text = page.page(found, drawings)
    assert text.count("<svg") == len(drawings)
    assert not re.search(r"(src|href)=\"(?!#)", text)
    for table in tables.all_of(found):
        assert table.title in text
        assert all(len(row) == len(table.heading) for row in table.rows), table.title
    assert "smoke run" not in text
    assert "smoke run" in page.page({**found, "quick": True}, {})


def test_the_same_result_is_drawn_the_same() -> None:
    assert plots.draw(whole()) == drawn()


def test_nothing_is_drawn_of_nothing() -> None:
    assert plots.draw(result()) == {}
    assert "no figure" in page.page(result(), {})


def test_the_document_has_a_command_beside_each_table(tmp_path: Path) -> None:
    found = whole()
    page.write_document(found, drawn(), tmp_path)
    text = (tmp_path / page.DOCUMENT).read_text()
    for table in tables.all_of(found):
        assert f"`{table.command}`" in text
    for drawing in re.findall(r"\]\((.*\.svg)\)", text):
        assert (tmp_path / drawing).read_text().startswith("<svg")
