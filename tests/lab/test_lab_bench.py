"""The bench at work: somebody else's pair and a bare router, and a run that is broken off."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually
from vgw_lab.measures import load

from .conftest import REPOSITORY, Lab


def argv(lab: Lab, out: Path, *words: str) -> list[str]:
    vgw = [sys.executable, "-m", "appliance", "bench", "--name", lab.name, "--out", str(out)]
    return [*vgw, "--quick", *words]


def read(out: Path) -> Any:
    return json.loads((out / "bench.json").read_text())


def test_a_smoke_run_measures_a_recipe_and_a_router(
    free_lab: Lab, tmp_path: Path, bound: Bound
) -> None:
    words = ["--setups", "recipe", "--only", "outages", "--only", "mappings"]
    done = subprocess.run(
        argv(free_lab, tmp_path, *words),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "It is a smoke run" in done.stdout
    found = read(tmp_path)
    assert [row["fault"] for row in found["outages"]] == ["silent-death", "clean-stop", "power-off"]
    silent, _, cut = found["outages"]
    assert len(cut["flows"]) == 2 * len(load.USUAL)
    assert max(cut["pulse"].values()) == cut["watched"] > 0
    assert min(cut["pulse"].values()) < cut["watched"]
    assert [row["variant"] for row in found["mappings"]] == [10, 100, 1000]
    assert all(row["flows"] == 10_000 for row in found["mappings"]), found["mappings"]
    assert (tmp_path / "bench.html").read_text().count("<svg") >= 2
    assert not free_lab.processes()
    with bound:
        for row in (silent, cut):
            assert 100 < row["gap"] < 10_000, row


def test_a_run_that_is_broken_off_keeps_what_it_has_and_leaves_nothing(
    free_lab: Lab, tmp_path: Path
) -> None:
    with subprocess.Popen(
        argv(free_lab, tmp_path, "--only", "cost"),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        assert any("idle" in line for line in running.stderr)
        os.kill(running.pid, signal.SIGINT)
        running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert read(tmp_path)["missing"] == ["Ctrl-C ended the run: what came later was not measured"]
    assert eventually(lambda: not free_lab.processes()), free_lab.processes()
