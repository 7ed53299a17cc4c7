"""A lab comes up, is found, is entered, and goes without a trace, however it ends."""

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Bound
from tests.waiting import PATIENCE, eventually

from .conftest import REPOSITORY, Lab

# What runs on a gateway as long as it does, by its command.
PROGRAMS = re.compile(r"appliance\.(agent|conntrack|processes)\.|keepalived|conntrackd\.conf $")


def machine() -> tuple[str, list[str]]:
    """What a lab must not touch: the links and the mounts of the machine's own namespaces.

    But for the mounts of mmdebstrap, which makes the base image of the container tests meanwhile.
    """
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    names = sorted(line.split()[0] for line in links.splitlines())
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return " ".join(names), sorted(one for one in mounts if "/mmdebstrap." not in one)


def first_process(lab: Lab, node: str) -> int:
    """The process that is number 1 in the namespace of a node, or of the world."""
    for pid in lab.processes():
        numbers = re.search(r"NSpid:\t(.*)", Path(f"/proc/{pid}/status").read_text())
        environ = Path(f"/proc/{pid}/environ").read_text().split("\0")
        if f"VGW_LAB_NODE={node}" in environ and numbers and numbers[1].endswith("\t1"):
            return pid
    raise AssertionError(f"{node} has no first process")


def test_up_says_who_is_master_and_what_to_try_and_down_leaves_nothing(
    free_lab: Lab, bound: Bound
) -> None:
    before = machine()
    said = free_lab.must("up")
    seconds = re.search(r"is up after ([\d.]+) s: master is MASTER", said)
    assert seconds, said
    with bound:
        assert float(seconds[1]) < 5
    assert f"vgw lab exec --name {free_lab.name} noeud1 -- ping 8.8.8.8" in said
    assert machine() == before
    assert free_lab.exec("noeud1", "ping", "-c", "1", "8.8.8.8").returncode == 0
    said = free_lab.must("down")
    assert "0 untranslated" in said
    assert not free_lab.processes()
    assert machine() == before


def test_up_twice_says_that_it_is_up(standard_lab: Lab) -> None:
    before = standard_lab.processes()
    assert "is up already" in standard_lab.must("up")
    # What an agent runs for a moment, such as nft, comes and goes; the nodes' own programs stay.
    assert eventually(lambda: standard_lab.processes().keys() <= before.keys())
    stayed = standard_lab.processes()
    assert {pid for pid, command in before.items() if PROGRAMS.search(command)} <= stayed.keys()


def test_down_twice_says_that_there_is_nothing(free_lab: Lab) -> None:
    assert "is not up" in free_lab.must("down")


def test_exec_passes_input_output_and_the_exit_code(standard_lab: Lab) -> None:
    done = standard_lab("exec", "noeud2", "--", "cat", text="through\n")
    assert (done.returncode, done.stdout) == (0, "through\n")
    assert standard_lab("exec", "master", "--", "sh", "-c", "exit 7").returncode == 7
    assert standard_lab("exec", "backup", "--", "hostname").stdout == "backup\n"
    done = standard_lab("exec", "noeud1", "--", "no-such-program")
    assert done.returncode == 127
    assert "no-such-program" in done.stderr


def test_exec_gives_a_terminal_to_a_shell(standard_lab: Lab) -> None:
    outer, inner = pty.openpty()
    shell = subprocess.Popen(
        standard_lab.argv("exec", "noeud1", "--", "sh", "-i"),
        cwd=REPOSITORY,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    os.write(outer, b"tty; test -t 0 && echo 'is a' terminal; exit 5\n")
    assert shell.wait(timeout=PATIENCE) == 5
    assert b"is a terminal" in os.read(outer, 65536)
    os.close(outer)


def test_a_node_that_does_not_exist_is_answered_with_those_that_do(standard_lab: Lab) -> None:
    done = standard_lab("exec", "nosuch", "--", "true")
    assert done.returncode == 1
    assert done.stderr == (
        "vgw: nosuch: no such node in the lab; there are master, backup, noeud1, noeud2, internet\n"
    )


def test_status_tells_roles_addresses_and_the_capture(standard_lab: Lab) -> None:
    found = standard_lab.json("status")
    assert found["nodes"]["master"]["role"] == "MASTER"
    assert found["nodes"]["master"]["holds_vgw"]
    assert found["nodes"]["backup"]["role"] == "BACKUP"
    assert not found["nodes"]["backup"]["holds_vgw"]
    assert found["capture"]["untranslated"] == 0
    table = standard_lab.must("status")
    assert "192.168.100.99 (VGW)" in table
    assert "\x1b" not in table


def test_logs_show_what_a_node_printed(standard_lab: Lab) -> None:
    assert "supervisord started" in standard_lab.must("logs", "master")
    assert "no such node" in standard_lab("logs", "nosuch").stderr


def test_the_internet_answers_names_and_pages_and_sees_the_wan_vip(standard_lab: Lab) -> None:
    script = "import urllib.request as r; print(r.urlopen('http://example.org').read().decode())"
    done = standard_lab.exec("noeud1", "python", "-c", script)
    assert "you came from 203.0.113.99" in done.stdout, done.stderr


def test_the_internet_knows_no_way_to_the_inside(standard_lab: Lab) -> None:
    done = standard_lab.exec("internet", "ping", "-c", "1", "-W", "1", "192.168.100.10")
    assert done.returncode != 0
    assert "unreachable" in (done.stdout + done.stderr).lower()


def test_a_lab_reaches_nothing_but_itself(standard_lab: Lab) -> None:
    for place in ("world", "noeud1", "master"):
        links = standard_lab.exec(place, "ip", "-br", "link", "show").stdout
        assert not re.search(r"^(ens|enp|wl|docker)", links, re.MULTILINE), links
    assert standard_lab.exec("world", "ip", "route").stdout == ""
    assert standard_lab.exec("world", "ip", "-6", "address").stdout == ""


@pytest.mark.parametrize("victim", ["first process", "unshare"])
def test_a_world_that_is_killed_leaves_nothing(free_lab: Lab, victim: str) -> None:
    before = machine()
    free_lab.must("up")
    pid = first_process(free_lab, "world")
    if victim == "unshare":
        status = Path(f"/proc/{pid}/status").read_text()
        parent = re.search(r"PPid:\s(\d+)", status)
        assert parent
        pid = int(parent[1])
        assert "unshare" in free_lab.processes()[pid]
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not free_lab.processes()), free_lab.processes()
    assert machine() == before
    assert "not up" in free_lab("status").stderr
    assert "is not up" in free_lab.must("down")
    assert "is MASTER" in free_lab.must("up")


def test_a_gateway_that_is_killed_is_off_and_the_lab_stays(free_lab: Lab) -> None:
    free_lab.must("up")
    os.kill(first_process(free_lab, "backup"), signal.SIGKILL)
    assert eventually(lambda: free_lab.nodes()["backup"]["role"] == "off")
    assert "the node is off" in free_lab("exec", "backup", "--", "true").stderr
    assert free_lab.exec("noeud1", "ping", "-c", "1", "8.8.8.8").returncode == 0
    free_lab.must("start", "backup")
    assert eventually(lambda: free_lab.nodes()["backup"]["role"] == "BACKUP")
    free_lab.must("stop", "backup")
    assert free_lab.nodes()["backup"]["role"] == "off"


def test_two_labs_live_side_by_side(standard_lab: Lab, free_lab: Lab) -> None:
    free_lab.must("up", "--no-node-wan")
    addresses = free_lab.nodes()["master"]["addresses"]
    assert not any(address.startswith("203.") for address in addresses)
    for lab in (standard_lab, free_lab):
        assert lab.exec("noeud1", "ping", "-c", "1", "8.8.8.8").returncode == 0
    free_lab.must("down")
    assert standard_lab.exec("noeud1", "ping", "-c", "1", "8.8.8.8").returncode == 0


def test_an_untranslated_packet_is_seen_and_named(free_lab: Lab) -> None:
    free_lab.must("up")
    leak = (
        "ip address add 192.168.100.77/32 dev wan; ip route add 203.0.113.1 dev wan; "
        "ping -n -c 1 -W 1 -I 192.168.100.77 203.0.113.1"
    )
    free_lab.exec("world", "sh", "-c", leak)
    assert free_lab.json("capture")["offenders"] == [["192.168.100.77", "203.0.113.1"]]
    for verb in ("capture", "down"):
        done = free_lab(verb)
        assert done.returncode == 3
        assert "1 untranslated" in done.stdout
        assert "192.168.100.77 to 203.0.113.1" in done.stderr


def test_a_config_of_ones_own(free_lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "vgw: {address: 10.7.0.1/24, virtual_router_id: 7}\n"
        "lan: {interface: inside}\n"
        "wan: {interface: outside, address: 198.51.100.9/24, gateway: 198.51.100.1,"
        " probes: [198.51.100.1]}\n"
        "sync: {interface: between}\n"
        "nodes:\n"
        "  left: {priority: 200, lan: 10.7.0.2/24, wan: 198.51.100.2/24, sync: 10.98.0.2/24}\n"
        "  right: {priority: 100, lan: 10.7.0.3/24, wan: 198.51.100.3/24, sync: 10.98.0.3/24}\n"
        "nat: {source: [{from: 10.7.0.0/24}]}\n"
        "machines: {pc: {address: 10.7.0.50/24}}\n"
    )
    assert "left is MASTER" in free_lab.must("up", "--config", str(file))
    assert free_lab.exec("pc", "ping", "-c", "1", "8.8.8.8").returncode == 0
    assert free_lab.json("capture")["untranslated"] == 0


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ("--profile", "quick"),
            1,
            "'quick' is unknown; it is one of standard, fast, hot, classic",
        ),
        (("--engine", "qemu"), 1, "'qemu' is unknown; it is one of namespaces"),
        (("--config", "/nonexistent.yaml"), 2, "/nonexistent.yaml: No such file"),
        (("--name", "no/name"), 1, "'no/name' is no name for a lab"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(
    free_lab: Lab, words: tuple[str, ...], code: int, sentence: str
) -> None:
    done = free_lab("up", *words)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_config_that_the_gateway_refuses_ends_with_its_own_words(
    free_lab: Lab, tmp_path: Path
) -> None:
    file = tmp_path / "bad.yaml"
    good = free_lab_yaml()
    file.write_text(good.replace("virtual_router_id: 51", "virtual_router_id: 51, colour: red"))
    done = free_lab("up", "--config", str(file))
    assert done.returncode == 2
    assert f"{file}:1:" in done.stderr
    assert "colour" in done.stderr
    assert not free_lab.processes(), "nothing is made of a file that is wrong"
    file.write_bytes(b'vgw: {address: "\xe9"}\n')
    done = free_lab("up", "--config", str(file))
    assert done.returncode == 2
    assert "not UTF-8" in done.stderr


def test_a_file_without_machines_gets_the_usual_two(free_lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(free_lab_yaml().partition("machines:")[0])
    free_lab.must("up", "--config", str(file))
    for machine in ("noeud1", "noeud2"):
        assert free_lab.exec(machine, "ping", "-c", "1", "8.8.8.8").returncode == 0
    free_lab.drilled("stop-keepalived")


def free_lab_yaml() -> str:
    from vgw_lab.worlds import topology

    return topology.gateway_yaml()


@pytest.mark.parametrize("verb", ["status", "capture", "drill", "logs", "exec"])
def test_verbs_without_a_lab_say_how_to_make_one(free_lab: Lab, verb: str) -> None:
    done = free_lab(verb, *(("master",) if verb in ("logs", "exec") else ()))
    assert done.returncode == 1
    assert f"not up; `vgw lab up --name {free_lab.name}` makes it" in done.stderr


def test_a_drill_that_does_not_exist_is_answered_with_those_that_do(standard_lab: Lab) -> None:
    done = standard_lab("drill", "earthquake")
    assert done.returncode == 1
    assert "there are power-off, clean-stop, kill-all, freeze-node, " in done.stderr
