"""The report of drills: its page and drawings from fixed verdicts, and where it may be written."""

import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from appliance import ApplianceError
from vgw_lab.commands import series
from vgw_lab.commands.commands import app
from vgw_lab.drills.verdict import Verdict, summary
from vgw_lab.instruments.flows import Tally
from vgw_lab.instruments.probe import tally
from vgw_lab.instruments.witness import Sight
from vgw_lab.measures import timeline
from vgw_lab.measures.invariants import Look, Watch
from vgw_lab.reports import drill_page, drill_plots

LOOKS = [
    Look(99.0, holders=("master",), roles=(("master", "MASTER"), ("backup", "BACKUP"))),
    Look(100.1, roles=(("backup", "BACKUP"),)),
    Look(100.4, holders=("backup",), roles=(("backup", "MASTER"),)),
    Look(104.0, holders=("backup", "master"), roles=(("backup", "MASTER"), ("master", "MASTER"))),
    Look(104.3, holders=("master",), roles=(("master", "MASTER"), ("backup", "BACKUP"))),
]
SIGHTS = [
    Sight(99.9, "advert", "192.0.2.2", "m", vrid=51, priority=100),
    Sight(100.0, "advert", "192.0.2.2", "m", vrid=51, priority=0),
    Sight(100.0, "advert", "192.0.2.2", "m", vrid=51, priority=0),
    Sight(100.2, "advert", "192.0.2.9", "x", vrid=9, priority=100),
    Sight(100.3, "advert", "192.0.2.3", "b", vrid=51, priority=90),
    Sight(100.31, "arp", "192.0.2.99", "b"),
    Sight(100.32, "arp", "192.0.2.99", "b"),
    Sight(100.33, "arp", "192.0.2.7", "c"),
]
NODES = {"192.0.2.2": "master", "192.0.2.3": "backup", "b": "backup"}


def course() -> timeline.Timeline:
    before = tally([99.5 + n / 10 for n in range(16)], [1] * 6 + [0] * 3 + [1] * 7, 101.0)
    after = tally([102 + n / 10 for n in range(30)], [1] * 30, 105.0)
    watch = Watch(LOOKS, end=106.0)
    adverts = list(timeline.told(SIGHTS, NODES, 51, "192.0.2.99", 0.3))
    return timeline.of(100.0, 102.5, (before, after), watch, adverts)


def verdict(**other: Any) -> dict[str, Any]:
    flows = {
        "takeover": {"client": Tally(5, 4, 0, 300.0, {"RST": 1}), "udp": Tally(4, 4, 1, 20.0)},
        "return": {"client": Tally(5, 4, 0, 10.0), "udp": Tally(4, 4)},
    }
    found = Verdict(
        drill="power-off",
        before="master",
        after="backup",
        sent=1500,
        lost=3,
        duplicates=0,
        gap=400.0,
        takeover=300.0,
        prediction=365.0,
        bar=400.0,
        untranslated=0,
        return_lost=0,
        return_gap=0.0,
        turns=2,
        broken=(),
        limits=(),
        figures={},
        restarts={},
        flows=flows,
        refused=0,
        timeline=course(),
    )
    return {**asdict(found), **other}


def report(*verdicts: dict[str, Any], **other: Any) -> dict[str, Any]:
    gaps = {"gap": summary([row["gap"] for row in verdicts])}
    return {
        "vgw": "1.2.3",
        "command": "vgw lab drill --report '<page>.html'",
        "machine": {"kernel": "6.1"},
        "began": "2026-01-02 03:04:05",
        "seconds": 12.3,
        "missing": [],
        "asked": [("drills", "power-off; once"), ("master", "keepalived 2.2.7")],
        "engine": "namespaces",
        "profile": "standard",
        "remarks": {},
        "summary": {row["drill"]: gaps for row in verdicts},
        "verdicts": list(verdicts),
        **other,
    }


def written(found: dict[str, Any]) -> str:
    rows: dict[str, list[Any]] = {}
    for row in found["verdicts"]:
        rows.setdefault(row["drill"], []).append(row)
    drawings = {name: drill_plots.draw(name, some) for name, some in rows.items()}
    return drill_page.page(found, drawings)


def test_a_course_counts_from_the_fault() -> None:
    found = course()
    assert (found.mended, found.end) == (2.5, 6.0)
    assert found.trains == ((-0.5, 1.0), (2.0, 4.9))
    assert found.silences == ((0.0, 0.4),)
    assert found.held == (
        (-1.0, "master"),
        (0.1, ""),
        (0.4, "backup"),
        (4.0, "backup and master"),
        (4.3, "master"),
    )
    assert found.events == (
        (0.0, "master says to the LAN that it leaves"),
        (0.1, "nobody holds the VGW; master says nothing more"),
        (0.3, "backup begins to advertise"),
        (0.31, "the LAN is told that the VGW is at b, which is backup"),
        (0.4, "backup holds the VGW; backup says that it is MASTER"),
        (4.0, "backup and master hold the VGW; master says that it is MASTER"),
        (4.3, "master holds the VGW; backup says that it is BACKUP"),
    )


def test_two_that_advertise_at_once_begin_once() -> None:
    sights = [
        Sight(n / 10, "advert", "192.0.2.2" if n % 2 else "192.0.2.3", "m", vrid=51, priority=90)
        for n in range(9)
    ]
    later = Sight(2.0, "advert", "192.0.2.2", "m", vrid=51, priority=90)
    assert list(timeline.told([*sights, later], NODES, 51, "", 0.3)) == [
        (0.1, "master begins to advertise"),
        (2.0, "master begins to advertise"),
    ]


def test_a_page_tells_what_was_asked_promised_and_seen_and_reaches_for_nothing() -> None:
    text = written(report(verdict()))
    assert 'The promise of profile standard was <span class="held">held</span> in 1 run.' in text
    for said in (
        "vgw lab drill --report &#x27;&lt;page&gt;.html&#x27;",
        "<dd>keepalived 2.2.7</dd>",
        "<td>master, then backup</td>",
        '<td class="n">3/1,500</td>',
        "power-off: its power is cut",
        "no answer to the probe for 400 ms",
        "backup begins to advertise",
        "master was put right",
    ):
        assert said in text, said
    assert text.count("<svg") == text.count('<svg role="img" aria-label="power-off: when') == 1
    assert not re.search(r"(src|href)=\"(?!#)|<script|@import|url\(http", text)
    assert '<p class="warn">' not in text


def test_what_broke_stands_by_its_run_with_the_flows_that_it_cost() -> None:
    broken = verdict(broken=("the longest gap was 900 ms, 400 ms are allowed",), gap=900.0)
    limited = verdict(limits=("both held the VGW: why",), figures={"after": 1.5})
    text = written(report(broken, limited))
    assert '<span class="missed">broken</span> in 1 of 2 runs' in text
    assert "power-off, run 1: the longest gap was 900 ms, 400 ms are allowed" in text
    assert "power-off, run 2: both held the VGW: why" in text
    assert "power-off, run 2: after: 1.5" in text
    assert "power-off, 2 times: longest gap 650 ms in the median, 400 to 900 ms" in text
    assert "client10880300" in re.sub(r"<[^>]*>", "", text)


def test_a_series_that_was_ended_early_says_so_and_what_there_is() -> None:
    text = written(report(missing=["Ctrl-C ended it in power-off"]))
    assert '<p class="warn">Ctrl-C ended it in power-off</p>' in text
    assert "No drill came to its end" in text
    text = written(report(verdict(), missing=["Ctrl-C ended it in power-off, run 2"]))
    assert '<p class="warn">' in text
    assert text.count("<svg") == 1


def test_what_cannot_be_seen_of_a_pair_that_somebody_runs_is_said() -> None:
    assert "cannot be seen from here" in written(report(verdict(), engine="install"))
    assert "cannot be seen from here" not in written(report(verdict()))


@pytest.mark.parametrize(
    "other",
    [
        {"bar": None, "takeover": None, "turns": None, "flows": {}},
        {"flows": {"return": {"udp": Tally(4, 4).__dict__}}, "gap": 0.0},
        {"gap": 15_000.0},
    ],
)
def test_a_verdict_that_lacks_figures_has_a_page(other: dict[str, Any]) -> None:
    bare = verdict(**other)
    bare["timeline"] |= {"silences": [(0.0, 15.0)] if other.get("gap") else [], "held": ()}
    assert "<svg" in written(report(bare))


def test_the_same_verdicts_are_drawn_the_same() -> None:
    assert written(report(verdict())) == written(report(verdict()))


def test_a_page_is_refused_where_none_can_be_written(tmp_path: Path) -> None:
    series.check_page(tmp_path / "new.html")
    assert not list(tmp_path.iterdir())
    for path, why in (
        (tmp_path, "is no file that a page could replace"),
        (Path("/dev/null"), "is no file that a page could replace"),
        (tmp_path / "nowhere" / "page.html", "cannot be written: No such file or directory"),
    ):
        with pytest.raises(ApplianceError, match=f"--report: {re.escape(str(path))} {why}"):
            series.check_page(path)
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(ApplianceError, match="cannot be written: Permission denied"):
            series.check_page(tmp_path / "page.html")


@pytest.mark.parametrize("words", [["lab", "drill"], ["drill", "--gateway", "a", "--gateway", "b"]])
def test_the_refusal_comes_before_anything_is_asked_of_a_pair(
    words: list[str], tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, [*words, "--report", str(tmp_path)])
    assert isinstance(done.exception, ApplianceError)
    assert str(done.exception).startswith(f"--report: {tmp_path} is no file")
