"""The lab in containers, as far as it needs no engine: its files, and its sentences."""

import gc
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from appliance import ApplianceError, CommandFailed
from vgw_lab.worlds import compose, containers, engine, labs, topology
from vgw_lab.worlds.engine import Container
from vgw_lab.worlds.running import local_addresses

FakeDocker = Callable[[str], None]


@pytest.fixture
def fake_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """A `docker` that is a shell script, alone on the PATH with the shell's own programs."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)

    def make(script: str) -> None:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return make


@pytest.fixture
def unclosed() -> Iterator[None]:
    """The SDK drops a socket that nobody answers without closing it: let that be seen here only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.parametrize("profile", ["standard", "fast", "classic"])
def test_a_profile_changes_nothing_but_what_it_is(profile: str) -> None:
    plan = topology.from_yaml(compose.gateway_yaml(profile))
    compose.check_wiring(plan)
    assert plan.vgw.profile == profile
    nodes = yaml.safe_load(plan.text)["nodes"]
    assert nodes["master"].get("initial_state") == ("MASTER" if profile == "classic" else None)


def test_the_lab_of_namespaces_fits_the_containers_addresses() -> None:
    compose.check_wiring(topology.from_yaml(topology.gateway_yaml()))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("192.168.100.99/24", "192.168.100.98/24", "VGW 192.168.100.98/24"),
        ("192.168.100.20/24", "192.168.100.21/24", "noeud2 on lan 192.168.100.21/24"),
        ("  backup:", "  spare:", "spare on lan 192.168.100.3/24"),
        ("  noeud2: {address: 192.168.100.20/24}\n", "", "noeud2 on lan 192.168.100.20/24"),
    ],
)
def test_other_addresses_than_composes_are_refused(old: str, new: str, named: str) -> None:
    text = topology.gateway_yaml()
    assert old in text
    with pytest.raises(ApplianceError, match="take --engine namespaces") as caught:
        compose.check_wiring(topology.from_yaml(text.replace(old, new)))
    assert str(caught.value).startswith(named)


def test_a_node_without_a_wan_address_is_for_namespaces() -> None:
    with pytest.raises(ApplianceError, match="take --engine namespaces"):
        containers.ContainerLab("x").gateway_yaml("standard", node_wan=False)


def test_an_engine_that_nobody_knows_is_answered_with_those_there_are() -> None:
    assert [labs.known(word) for word in (None, "containers")] == [None, "containers"]
    with pytest.raises(ApplianceError, match="it is one of namespaces, containers"):
        labs.known("qemu")


@pytest.mark.parametrize("said", ["echo 2.26.1", "echo v2.40.3", "echo 5.0.0"])
def test_compose_of_version_2_will_do(fake_docker: FakeDocker, said: str) -> None:
    fake_docker(said)
    compose.check()


@pytest.mark.parametrize(
    "said", ["echo 'unknown command: docker compose' >&2; exit 1", "echo 1.29"]
)
def test_without_compose_of_version_2_the_plugin_is_named(
    fake_docker: FakeDocker, tmp_path: Path, said: str
) -> None:
    fake_docker(said)
    with pytest.raises(ApplianceError, match="docker-compose-plugin") as caught:
        compose.check()
    assert "setup/compose-plugin.sh" in str(caught.value)
    assert "is version 1" not in str(caught.value)
    former = tmp_path / "docker-compose"
    former.write_text("#!/bin/sh\n")
    former.chmod(0o755)
    with pytest.raises(ApplianceError, match="docker-compose is version 1"):
        compose.check()


def test_without_docker_its_package_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ApplianceError, match=r"Debian 12: docker\.io; Debian 13: .* docker-cli"
    ) as caught:
        engine.Engine()
    assert "--engine namespaces" in str(caught.value)


@pytest.mark.usefixtures("unclosed")
def test_an_engine_that_does_not_answer_is_named_and_found_by_its_context(
    fake_docker: FakeDocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = f"unix://{tmp_path}/none.sock"
    fake_docker(f"""echo '[{{"Endpoints": {{"docker": {{"Host": "{host}"}}}}}}]'""")
    with pytest.raises(ApplianceError, match="does not answer") as caught:
        engine.Engine()
    assert f"engine at {host} " in str(caught.value)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/other.sock")
    with pytest.raises(ApplianceError, match=r"other\.sock does not answer"):
        engine.Engine()


@pytest.mark.usefixtures("unclosed")
def test_an_engine_that_does_not_answer_has_no_lab(fake_docker: FakeDocker) -> None:
    fake_docker("exit 1")
    with pytest.raises(ApplianceError, match="`vgw lab up --name nobodys` makes it"):
        labs.open_lab("nobodys")


def test_the_project_gets_its_gateway_yaml_by_an_overlay_and_loses_it_in_the_end(
    fake_docker: FakeDocker, tmp_path: Path
) -> None:
    fake_docker(f'echo "$*" >>{tmp_path}/orders')
    project = compose.Project("own")
    project.up(topology.gateway_yaml("fast"))
    overlay = tmp_path / "state/vgw/vgw-own/overlay.yaml"
    services = yaml.safe_load(overlay.read_text())["services"]
    gateways = {name for name, one in services.items() if "volumes" in one}
    assert gateways == {"master", "backup"}
    forgets = {name for name, one in services.items() if one.get("cap_add") == ["NET_ADMIN"]}
    assert forgets == {"noeud1", "noeud2"}, "a drill has one forget where its gateway is"
    assert set(services) == gateways | forgets
    source, target, mode = services["master"]["volumes"][0].split(":")
    file = Path(source) / "gateway.yaml"
    assert "profile: fast" in file.read_text()
    modes = [path.stat().st_mode & 0o777 for path in (file.parent, file)]
    assert modes == [0o755, 0o644], "the gateway's root reads it as any other"
    assert (f"{target}/{file.name}", mode) == (containers.CONFIG, "ro")
    project.down()
    assert not overlay.parent.exists()
    up, down = (tmp_path / "orders").read_text().splitlines()
    for order, verb in ((up, "up --detach"), (down, "down --volumes")):
        assert order.startswith("compose --project-name vgw-own --file ")
        assert f"--file {overlay} {verb}" in order


@pytest.mark.parametrize(
    ("said", "verb", "words"),
    [
        ("Pool overlaps with other one on this address space", "up", "docker network ls"),
        ("debian:trixie-slim: no such host", "build", "images/base/make.sh"),
        ("no space left on device", "up", "docker compose up: "),
    ],
)
def test_what_compose_complains_of_is_told_with_what_helps(
    fake_docker: FakeDocker, said: str, verb: str, words: str
) -> None:
    fake_docker(f"echo '{said}' >&2; exit 17")
    project = compose.Project("lab")
    assert project.name == "vgw"
    order = project.build if verb == "build" else lambda: project.up(topology.gateway_yaml())
    with pytest.raises(CommandFailed, match=said) as caught:
        order()
    assert words in str(caught.value)


def test_a_networks_own_addresses_are_told_from_those_it_only_knows() -> None:
    listing = (
        "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.168.100.0\n        /24 link UNICAST\n"
        "     |-- 192.168.100.99\n        /32 host LOCAL\n     |-- 192.168.100.255\n"
        "        /32 link BROADCAST\n"
    )
    assert local_addresses(listing) == {"192.168.100.99"}
    assert local_addresses("") == set()


def test_a_process_of_an_engine_on_another_machine_is_not_taken_for_one_of_ours() -> None:
    own = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition(":")[2].strip()
    found = {
        (identity, pid): engine.process(Container({"Id": identity, "State": {"Pid": pid}}))
        for identity, pid in ((own, os.getpid()), ("1a2b3c4d", os.getpid()), (own, 0))
    }
    assert list(found.values()) == [os.getpid(), 0, 0]
