"""`vgw drill` on a pair that somebody runs: here the lab's, reached as an operator would by ssh."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually

from .conftest import REPOSITORY, Lab


def drill(lab: Lab, *words: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    ways = [shlex.join(lab.argv("exec", node, "--")) for node in ("master", "backup", "noeud1")]
    options = ("--gateway", ways[0], "--gateway", ways[1], "--machine", ways[2])
    return subprocess.run(
        [sys.executable, "-m", "appliance", "drill", *options, *words],
        cwd=REPOSITORY,
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def holder(lab: Lab) -> str:
    nodes = lab.nodes()
    return next((str(name) for name, node in nodes.items() if node.get("holds_vgw")), "")


def test_a_drill_by_consent_keeps_its_promise_under_live_flows(
    standard_lab: Lab, tmp_path: Path, bound: Bound
) -> None:
    page = tmp_path / "page.html"
    done = drill(standard_lab, "switchover", "--yes", "--json", "--report", str(page))
    found = json.loads(done.stdout)
    (verdict,) = found["verdicts"]
    assert (verdict["before"], verdict["after"]) == ("master", "backup")
    assert verdict["sent"] > 20
    for phase in ("takeover", "return"):
        flows = verdict["flows"][phase]
        assert set(flows) == {"names by udp", "names by tcp"}
        assert all(kind["alive"] == 1 and not kind["broken"] for kind in flows.values())
    events = [what for _, what in verdict["timeline"]["events"]]
    assert "backup begins to advertise" in events
    assert any(what.startswith("backup holds the VGW") for what in events), events
    text = page.read_text()
    assert "<dt>backup</dt>\n<dd>kernel " in text
    assert text.count("<svg") == 1
    assert eventually(lambda: holder(standard_lab) == "master")
    with bound:
        assert verdict["lost"] <= 1
        assert '<span class="held">held</span>' in text
        assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_done_without_a_word(standard_lab: Lab) -> None:
    before = standard_lab.nodes()["master"]["sentence"]
    planned = drill(standard_lab, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "  switchover: the VGW is handed over, and back\n" in planned.stdout
    asked = drill(standard_lab)
    assert asked.returncode == 1
    assert asked.stdout == planned.stdout
    assert "nobody is there to be asked; --yes says that it may be done" in asked.stderr
    unknown = drill(standard_lab, "power-off", "--yes")
    assert unknown.returncode == 1
    assert "power-off: no drill for a pair that runs; there are switchover, " in unknown.stderr
    assert standard_lab.nodes()["master"]["sentence"] == before


def test_a_command_that_leads_nowhere_is_named(standard_lab: Lab) -> None:
    done = drill(standard_lab, "--gateway", "false", "--yes")
    assert done.returncode == 1
    assert "two commands are needed" in done.stderr
    lost = shlex.join(standard_lab.argv("exec", "noeud1", "--"))
    words = ("drill", "--gateway", lost, "--gateway", lost, "--dry-run")
    done = subprocess.run(
        [sys.executable, "-m", "appliance", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "no gateway answers there" in done.stderr
