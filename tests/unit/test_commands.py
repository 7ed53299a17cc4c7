"""What an operator types, what it answers, and with which code it ends; as a plain user, with no gateway here."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from appliance import system
from appliance.commands.lab_door import LAB_COMMANDS
from appliance.run_dir import RunDir
from appliance.status import events, node_status
from appliance.status.events import Event
from tests.unit.command_line import Vgw, command_line
from tests.unit.snapshots import STANDBY, written

GOLDEN = Path(__file__).parents[1] / "golden"
FILE = str(GOLDEN / "01-standard" / "gateway.yaml")


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.setenv("VGW_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("VGW_NODE", "master")
    monkeypatch.delenv("VGW_CONFIG", raising=False)
    return RunDir(tmp_path)


@pytest.fixture
def vgw(
    run_dir: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Vgw:
    """`vgw` with these words: its exit code, and what it printed on either stream."""
    return command_line(monkeypatch, capsys)


@pytest.fixture
def node(run_dir: RunDir) -> None:
    """A node runs here, and its agent has just written what it is."""
    snapshot = written(STANDBY)
    system.replace(run_dir.status, node_status.to_json(snapshot))


def test_a_good_file_is_valid(vgw: Vgw) -> None:
    code, out, err = vgw("validate", FILE)
    assert (code, err) == (0, "")
    assert out == (
        f"{FILE}: valid: 192.168.100.99, profile standard, nodes master (100) and backup (90)\n"
    )


def test_each_error_of_a_file_has_its_place(vgw: Vgw) -> None:
    bad = GOLDEN / "bad-99-many-at-once" / "gateway.yaml"
    code, out, err = vgw("validate", str(bad))
    assert (code, out) == (2, "")
    assert len(err.splitlines()) > 3
    assert all(line.startswith((f"{bad}:", " ")) for line in err.splitlines())


@pytest.mark.parametrize("verb", ["validate", "plan", "check", "apply", "start"])
def test_a_file_that_is_not_there_is_named_with_the_remedy(vgw: Vgw, verb: str) -> None:
    code, _, err = vgw(verb, "/nowhere/gateway.yaml")
    assert code == 2
    assert err == (
        "vgw: /nowhere/gateway.yaml: No such file or directory; "
        "name the file as argument, or in VGW_CONFIG\n"
    )


@pytest.mark.parametrize("verb", ["plan", "check", "apply"])
def test_a_machine_that_is_no_node_of_the_pair_is_told_how_to_say_which(
    vgw: Vgw, verb: str
) -> None:
    code, _, err = vgw(verb, FILE, "--node", "third")
    assert code == 1
    assert err.startswith(
        "vgw: this node calls itself third, and the file knows master and backup;"
    )


def test_the_schema_is_json(vgw: Vgw) -> None:
    code, out, _ = vgw("schema")
    assert code == 0
    assert json.loads(out)["required"] == ["vgw", "lan", "wan", "sync", "nodes", "nat"]


def test_a_machine_behind_gets_its_netplan_file(vgw: Vgw) -> None:
    code, out, _ = vgw("netplan", "noeud1", str(GOLDEN / "05-everything" / "gateway.yaml"))
    assert code == 0
    assert "192.168.100.10/24" in out
    assert "via: 192.168.100.99" in out
    code, _, err = vgw("netplan", "noeud9", str(GOLDEN / "05-everything" / "gateway.yaml"))
    assert code == 1
    assert "there is no noeud9; the file knows " in err


@pytest.mark.parametrize("verb", ["status", "metrics", "health", "switchover"])
def test_without_a_gateway_a_command_says_how_to_run_one(
    vgw: Vgw, run_dir: RunDir, verb: str
) -> None:
    assert vgw(verb) == (
        1,
        "",
        f"vgw: no gateway runs here: there is no {run_dir.status}; `vgw start` runs one\n",
    )


def test_the_status_for_people_and_for_programs(vgw: Vgw, node: None) -> None:
    code, out, _ = vgw("status")
    assert code == 0
    assert out.splitlines()[:2] == ["node      master", "role      BACKUP for 60 s"]
    code, out, _ = vgw("status", "--json")
    assert json.loads(out)["pair"]["peer"]["node"] == "backup"


def test_the_metrics(vgw: Vgw, node: None) -> None:
    code, out, _ = vgw("metrics")
    assert code == 0
    assert 'vgw_role{role="BACKUP"} 1.0' in out.splitlines()


def test_a_healthy_node(vgw: Vgw, node: None) -> None:
    assert vgw("health") == (0, "master is BACKUP and healthy\n", "")


def test_a_switchover_belongs_to_the_master(vgw: Vgw, node: None) -> None:
    code, out, err = vgw("switchover")
    assert (code, out) == (1, "")
    assert "only the MASTER can hand over; backup is: run `vgw switchover` there" in err


@pytest.mark.parametrize("words", [("events",), ("events", "--json")])
def test_of_a_node_that_never_ran_there_are_no_events_and_that_is_said(
    vgw: Vgw, words: tuple[str, ...]
) -> None:
    code, out, err = vgw(*words)
    assert (code, out) == (1, "")
    assert err.startswith("vgw: no gateway runs here: there is no ")


def test_a_node_that_has_told_of_no_event_yet_has_none(vgw: Vgw, node: None) -> None:
    assert vgw("events") == (0, "", "")


def test_events_one_a_line(vgw: Vgw, run_dir: RunDir) -> None:
    told = Event(
        1000.0, "master", "role", "BACKUP", "MASTER", "found by looking", "now MASTER", flows=3
    )
    events.append(run_dir, told)
    code, out, _ = vgw("events")
    assert code == 0
    assert out.endswith(" now MASTER [3 entries in the table]\n")
    code, out, _ = vgw("events", "--json")
    assert json.loads(out)["now"] == "MASTER"


def test_wrong_words_are_a_mistake_of_the_command_line(vgw: Vgw) -> None:
    code, _, err = vgw("statsu")
    assert code == 2
    assert "No such command 'statsu'" in err
    assert vgw("status", "--colour")[0] == 2
    assert vgw("plan", FILE, "--role", "king")[0] == 2


def test_the_version(vgw: Vgw) -> None:
    code, out, _ = vgw("--version")
    assert code == 0
    assert out.startswith("vgw ")


def test_ctrl_c_and_a_closed_pipe_end_without_a_traceback(
    vgw: Vgw, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed:
        def write(self, _: str) -> int:
            raise BrokenPipeError

        def flush(self) -> None: ...

    class Interrupted(Closed):
        def write(self, _: str) -> int:
            raise KeyboardInterrupt

    for stream, code in ((Closed(), 141), (Interrupted(), 130)):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            assert vgw("schema")[0] == code


def test_help_lists_each_command_and_those_of_the_lab_where_it_is_there(
    vgw: Vgw, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = vgw("--help")
    assert code == 0
    listed = [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line]
    assert listed[0] == "validate" and listed[-len(LAB_COMMANDS) :] == [*LAB_COMMANDS]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    listed = vgw("--help")[1].partition("Commands:")[2].split()
    assert "switchover" in listed and not set(LAB_COMMANDS) & set(listed)


def test_a_command_of_the_lab_says_what_is_missing(
    vgw: Vgw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(_: str) -> ModuleType:
        raise ModuleNotFoundError("No module named 'typer'", name="typer")

    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", lacks)
        code, _, err = vgw("lab", "up")
    assert (code, err.partition(",")[0]) == (1, "vgw: lab: the Python package 'typer' is missing")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    code, _, err = vgw("demo")
    assert (code, err.partition(";")[0]) == (
        1,
        "vgw: demo: the lab is no part of an installed gateway",
    )


def test_a_sick_node_says_why(vgw: Vgw, run_dir: RunDir, node: None) -> None:
    old = written(STANDBY, ago=60)
    system.replace(run_dir.status, node_status.to_json(old))
    code, out, err = vgw("health")
    assert (code, out) == (1, "")
    assert err.startswith("vgw: master is not healthy: ")
