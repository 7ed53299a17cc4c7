"""What the lab says when it cannot do what was asked: the reason, and the words that help."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, eventually
from vgw_lab.worlds import topology

from .conftest import REPOSITORY, Lab


def refused(lab: Lab, verb: str, *words: str) -> str:
    done = lab(verb, *words)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_node_that_was_switched_off_is_told_with_the_word_that_switches_it_on(
    free_lab: Lab,
) -> None:
    free_lab.must("up")
    for node in ("backup", "internet"):
        free_lab.must("stop", node)
        sentence = f"{node}: the node is off; `vgw lab start --name {free_lab.name} {node}`"
        assert sentence in refused(free_lab, "exec", node, "true")
        assert sentence in refused(free_lab, "drill", "stop-keepalived")
        assert sentence in refused(free_lab, "course")
        free_lab.must("start", node)
    free_lab.drilled("stop-keepalived")


def test_a_second_drill_on_a_lab_is_refused(standard_lab: Lab) -> None:
    claim = f"@vgw-lab-{os.geteuid()}-namespaces-{standard_lab.name}-drill"
    first = subprocess.Popen(
        standard_lab.argv("drill", "stop-keepalived", "--times", "2"),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert eventually(lambda: claim in Path("/proc/net/unix").read_text())
        for verb in ("drill", "course"):
            assert "another drill or course is under way" in refused(standard_lab, verb)
    finally:
        told, _ = first.communicate(timeout=PATIENCE)
    assert re.search("stop-keepalived +backup ", told), told


def test_a_lab_that_is_up_is_not_taken_for_another(standard_lab: Lab, tmp_path: Path) -> None:
    assert "is up already" in standard_lab.must("up", "--profile", "standard")
    said = refused(standard_lab, "up", "--profile", "fast")
    assert "is up already, with profile standard, not fast; `vgw lab down --name" in said
    file = tmp_path / "own.yaml"
    file.write_text(topology.gateway_yaml().replace("router_id: 51", "router_id: 52"))
    assert f"with another configuration than {file}" in refused(
        standard_lab, "up", "--config", str(file)
    )


@pytest.mark.parametrize("words", [("--profile", "fast"), ("--no-node-wan",)])
def test_what_a_file_says_is_not_said_beside_it(
    free_lab: Lab, tmp_path: Path, words: tuple[str, ...]
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(topology.gateway_yaml())
    assert "the file of --config says this" in refused(
        free_lab, "up", "--config", str(file), *words
    )
    assert not free_lab.processes()


def test_who_asks_for_a_lab_that_is_not_up_hears_which_are(
    standard_lab: Lab, free_lab: Lab
) -> None:
    said = refused(free_lab, "status")
    assert f"lab '{free_lab.name}': not up;" in said
    assert f"'{standard_lab.name}'" in said.partition("; up: ")[2]
