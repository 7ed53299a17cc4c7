"""The commands that worlds and nodes are made with, and the sentences when they cannot be made."""

import os
import subprocess
from pathlib import Path

import pytest

from vgw_lab.worlds import entry, nodes, topology, world


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"user.max_user_namespaces": "0"}, "sysctl -w user.max_user_namespaces=10000"),
        (
            {"kernel.unprivileged_userns_clone": "0", "user.max_user_namespaces": "9"},
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            {"kernel.apparmor_restrict_unprivileged_userns": "1"},
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_a_refusal_names_the_setting_to_change(settings: dict[str, str], words: str) -> None:
    assert words in world.refusal("unshare failed", settings)


def test_a_refusal_without_a_cause_repeats_what_was_said() -> None:
    said = world.refusal("unshare: unshare failed: Operation not permitted\n", {})
    assert "Operation not permitted" in said
    assert "CAP_SYS_ADMIN" in said


def test_a_world_of_a_plain_user_has_a_user_namespace() -> None:
    assert "--user" in world.world_argv("x", privileged=False, tied=False)
    assert "--user" not in world.world_argv("x", privileged=True, tied=False)


def test_a_tied_world_ends_with_its_maker() -> None:
    argv = world.world_argv("x", privileged=True, tied=True)
    assert argv[:3] == ["setpriv", "--pdeathsig", "KILL"]
    assert "--kill-child" in argv


@pytest.mark.parametrize("node_wan", [True, False])
def test_every_boot_script_is_one_the_shell_can_read(node_wan: bool) -> None:
    lab = topology.from_yaml(topology.gateway_yaml(node_wan=node_wan))
    for spec in lab.nodes:
        script = nodes.boot_script(spec, lab)
        done = subprocess.run(
            ["sh", "-n"], input=script, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), script
        assert ("nft -f -" in script) == (spec.name == "internet")
        assert ("default via" in script) == (spec.kind == "machine")


def test_programs_of_a_node_find_the_gateways_configuration_and_tools() -> None:
    variables = entry.environment("x", "master")
    assert variables["VGW_NODE"] == "master"
    assert variables["VGW_CONFIG"] == "/run/lab/gateway.yaml"
    assert variables["VGW_RUN_DIR"] == "/run/vgw"
    assert "/usr/sbin" in variables["PATH"].split(":")


def test_nothing_is_found_of_a_lab_that_nobody_made() -> None:
    assert entry.find("no-such-lab-anywhere") == {}


def test_only_settings_that_the_kernel_has_are_read() -> None:
    found = entry.sysctls(["kernel.ostype", "kernel.no_such_setting"])
    assert found == {"kernel.ostype": Path("/proc/sys/kernel/ostype").read_text().strip()}


def test_a_file_is_read_as_a_process_sees_it(tmp_path: Path) -> None:
    file = tmp_path / "said"
    file.write_text("so\n")
    assert entry.text_of(os.getpid(), str(file)) == "so\n"
    assert entry.text_of(os.getpid(), "/proc/net/dev") == Path("/proc/self/net/dev").read_text()
    with pytest.raises(FileNotFoundError):
        entry.text_of(None, str(file))


def test_the_end_of_a_process_is_waited_for_without_a_look_at_all_of_them() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert not entry.ended(child.pid, 0.01)
        child.kill()
        assert entry.ended(child.pid, 30)
    assert entry.ended(child.pid, 0.0), "long gone"
