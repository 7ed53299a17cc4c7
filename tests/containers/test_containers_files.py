"""The Dockerfiles and compose files as text: no engine is needed, only the tools that read them."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from appliance import __version__
from appliance.config import gateway_file
from appliance.config.model import Interfaces
from appliance.config.profiles import PROFILES
from appliance.planning.plan import sysctls
from tests.containers import engine
from vgw_lab.worlds import compose as lab_compose

DOCKERFILES = sorted(engine.REPOSITORY.glob("**/Dockerfile"))
PROJECTS = {
    "lab": ("compose.yaml",),
    "internet": ("compose/lab.yaml", "compose/internet.yaml"),
    "host": ("compose/host.yaml",),
    "macvlan": ("compose/lab.yaml", "compose/macvlan.yaml"),
}


@pytest.fixture(scope="session")
def compose(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `docker compose` is of version 2."""
    home = engine.HOME / "docker"
    done = engine.run("setup/compose-plugin.sh", str(home))
    if done.returncode != 0:
        pytest.skip(f"no compose v2: {done.stderr.strip()}")
    return {**os.environ, "DOCKER_CONFIG": str(home)}


def resolved(compose: dict[str, str], project: str) -> dict[str, Any]:
    """A project as compose understands it."""
    files = [word for file in PROJECTS[project] for word in ("-f", file)]
    done = subprocess.run(
        ["docker", "compose", *files, "config", "--format=json"],
        cwd=engine.REPOSITORY,
        env={**compose, **(from_example() if project == "host" else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "compose warns: " + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def from_example() -> dict[str, str]:
    lines = (engine.REPOSITORY / "compose/host.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("project", PROJECTS)
def test_compose_reads_its_files_without_a_warning(compose: dict[str, str], project: str) -> None:
    services = resolved(compose, project)["services"]
    for name, service in services.items():
        assert not service.get("privileged"), name
        assert "docker.sock" not in json.dumps(service.get("volumes", [])), name
        if service["image"].startswith("vgw:"):
            assert service["cap_drop"] == ["ALL"]
            assert service["cap_add"] == ["NET_ADMIN", "NET_RAW"]
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert service["read_only"]


@pytest.mark.parametrize("profile", PROFILES)
def test_compose_sets_what_the_gateway_asks_for(compose: dict[str, str], profile: str) -> None:
    text = lab_compose.gateway_yaml(profile)
    asked = gateway_file.parse(text.encode())
    wanted = dict(sysctls(asked, "master", Interfaces(lan="eth1", wan="eth0", sync="eth2")))
    # What is an interface's own the gateway sets by itself, by netlink.
    wanted = {key: value for key, value in wanted.items() if ".eth" not in key}
    # Until its rules are in force a node must pass nothing on; then it does, by netlink.
    wanted["net.ipv4.ip_forward"] = "0"
    services = resolved(compose, "lab")["services"]
    laid_over = lab_compose.overlay(text, Path("etc"))["services"]
    for node in ("master", "backup"):
        given = services[node]["sysctls"] | laid_over[node].get("sysctls", {})
        assert {key: str(value) for key, value in given.items()} == wanted


def test_a_host_is_told_the_same_settings(compose: dict[str, str]) -> None:
    lines = (engine.REPOSITORY / "compose/host-sysctl.conf.example").read_text().splitlines()
    told = dict(line.split(" = ", 1) for line in lines if not line.startswith("#"))
    services = resolved(compose, "lab")["services"]
    given = {key: str(value) for key, value in services["master"]["sysctls"].items()}
    # Whether a host forwards is its owner's to say; the gateway switches its own interfaces.
    del given["net.ipv4.ip_forward"]
    assert told == given


def test_the_two_forms_of_the_lab_are_one_project(compose: dict[str, str]) -> None:
    lab, overlaid = resolved(compose, "lab"), resolved(compose, "internet")
    assert lab["name"] == overlaid["name"] == "vgw"
    assert lab["services"] == {
        name: service for name, service in overlaid["services"].items() if name != "internet"
    }


@pytest.mark.parametrize("file", DOCKERFILES, ids=str)
def test_hadolint(file: Path) -> None:
    found = shutil.which("hadolint", path=f"{engine.REPOSITORY / '.venv/bin'}:{os.defpath}")
    assert found, "hadolint is missing: setup/setup.sh check brings it"
    done = subprocess.run([found, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_build_sees_only_what_the_images_are_made_of() -> None:
    lines = (engine.REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert not any(rule.startswith(("!tests", "!.git", "!.venv")) for rule in rules)


def test_the_last_stage_runs_nothing_and_starts_from_nothing() -> None:
    text = (engine.REPOSITORY / "Dockerfile").read_text()
    last = text[text.rindex("\nFROM ") :]
    assert last.startswith("\nFROM scratch\n")
    assert "\nRUN " not in last
    entry = 'ENTRYPOINT ["env", "--block-signal=TERM", "vgw"]'
    version = f"ARG VERSION={__version__}\n"
    for line in ("STOPSIGNAL SIGTERM", entry, 'CMD ["start"]', "HEALTHCHECK ", version):
        assert f"\n{line}" in last
