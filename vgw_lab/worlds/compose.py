"""The compose project that the lab in containers is: its files, its gateway YAML, and `docker compose`."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from appliance import ApplianceError, CommandFailed, system
from appliance.config import gateway_file, places
from appliance.config.profiles import PROFILES
from vgw_lab.worlds import entry, topology
from vgw_lab.worlds.topology import Topology

FILES = ("lab.yaml", "internet.yaml")
_PROJECT = "vgw"
_MAJOR = 2
_UP_SECONDS, _BUILD_SECONDS = 180.0, 3600.0
_LAST_LINES = 15
# What the gateways ask of the engine with virtual MACs alone; compose/lab.yaml has the rest.
_VIRTUAL_MAC_SYSCTLS = {"net.ipv4.conf.all.rp_filter": 0}


def directory() -> Path:
    """Where the compose files are. Raises ApplianceError outside a checkout."""
    found = Path(__file__).resolve().parents[2] / "compose"
    if not (found / FILES[0]).is_file():
        raise ApplianceError(
            f"compose/{FILES[0]}: not found beside the installed package; the lab in containers is "
            "made from a checkout: run its .venv/bin/vgw"
        )
    return found


def check() -> None:
    """Raise ApplianceError where there is no compose of version 2, with what would help."""
    said = system.attempt(["docker", "compose", "version", "--short"])
    version = re.match(r"v?(\d+)\.", said.stdout.strip())
    if said.returncode == 0 and version and int(version[1]) >= _MAJOR:
        return
    former = " (docker-compose is version 1, which cannot read these files)"
    raise ApplianceError(
        f"docker compose: version {_MAJOR} is missing"
        f"{former if shutil.which('docker-compose') else ''}; install the plugin (Debian 13: "
        "docker-compose; Docker's own packages: docker-compose-plugin), or run "
        "`setup/compose-plugin.sh ~/.docker`, which fetches it for you alone"
    )


def own_text() -> str:
    """The pair's gateway YAML of compose/."""
    return (directory() / "etc" / "gateway.yaml").read_text(encoding="utf-8")


def gateway_yaml(profile: str) -> str:
    """The pair's gateway YAML of compose/ with a profile."""
    if profile not in PROFILES:
        raise ApplianceError(f"profile: '{profile}' is unknown; it is one of {', '.join(PROFILES)}")
    text = own_text()
    gateway_file.parse(
        text, "compose/etc/gateway.yaml"
    )  # what the file's owner changed may be wrong
    document = places.read(text).data
    document["vgw"]["profile"] = profile
    if PROFILES[profile]["failback"] == "gated":
        document["vgw"]["hold"] = 0  # drills one after the other are no series of failures
    if profile == "classic":
        # The course sheet's keepalived.conf says so; elsewhere the election decides.
        next(iter(document["nodes"].values()))["initial_state"] = "MASTER"
    return yaml.safe_dump(document, sort_keys=False)


def check_wiring(plan: Topology) -> None:
    """Raise ApplianceError where a plan's addresses are not those that compose gives out."""
    known, wanted = _addresses(topology.from_yaml(own_text())), _addresses(plan)
    differing = sorted(wanted.items() - known.items()) + sorted(known.items() - wanted.items())
    if differing:
        what, address = differing[0]
        raise ApplianceError(
            f"{what} {address}: in containers addresses and names are those of compose/{FILES[0]} "
            "and compose/etc/gateway.yaml; change them there, or take --engine namespaces"
        )


def _addresses(plan: Topology) -> dict[str, str]:
    wires = {
        f"{node.name} on {wire.bridge}": str(wire.address)
        for node in plan.nodes
        for wire in node.wires
    }
    return {**wires, "VGW": str(plan.vgw.address), "WAN VIP": str(plan.wan_vip)}


def overlay(gateway_yaml: str, folder: Path) -> dict[str, Any]:
    """What is laid over the compose files for a gateway YAML that lies in `folder`."""
    plan = topology.from_yaml(gateway_yaml)
    own: dict[str, Any] = {"volumes": [f"{folder}:/etc/vgw:ro"]}
    if plan.vgw.virtual_mac:
        own["sysctls"] = _VIRTUAL_MAC_SYSCTLS
    # A drill has a machine forget where its gateway is; such a one may change nothing but its own network.
    machine = {"cap_add": ["NET_ADMIN"]}
    services = {node.name: own for node in plan.gateways}
    return {"services": services | {node.name: machine for node in plan.machines}}


def lab_of(project: str) -> str:
    """The lab's name that a project's name is made from; empty for a project that is no lab."""
    if project == _PROJECT:
        return "lab"
    return project.removeprefix(f"{_PROJECT}-") if project.startswith(f"{_PROJECT}-") else ""


class Project:
    """One compose project, and what it was told of the gateways."""

    def __init__(self, lab: str) -> None:
        self.name = _PROJECT if lab == "lab" else f"{_PROJECT}-{lab}"
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        self._state = Path(state) / "vgw" / self.name

    def images(self) -> list[str]:
        """The images that it needs."""
        return sorted(set(self._compose("config", "--images").split()))

    def build(self) -> None:
        """Build all its images, from the layers that are there."""
        self._compose("build", "--quiet", seconds=_BUILD_SECONDS)

    def up(self, gateway_yaml: str) -> None:
        """Make and start all of it, with this gateway YAML; nothing is pulled or built."""
        folder = self._state / "etc"
        # A gateway's root has no power over files of others, so that all must be able to read it.
        system.replace(folder / "gateway.yaml", gateway_yaml, 0o644)
        folder.chmod(0o755)
        system.replace(self._overlay, yaml.safe_dump(overlay(gateway_yaml, folder)), 0o644)
        self._compose("up", "--detach", "--no-build", "--pull=never", "--remove-orphans")

    def down(self) -> None:
        """Take all of it away, its networks too."""
        self._compose("down", "--volumes", "--remove-orphans")
        shutil.rmtree(self._state, ignore_errors=True)

    @property
    def _overlay(self) -> Path:
        return self._state / "overlay.yaml"

    def _compose(self, *words: str, seconds: float = _UP_SECONDS) -> str:
        files = [directory() / name for name in FILES]
        files += [self._overlay] if self._overlay.exists() else []
        options = [word for file in files for word in ("--file", str(file))]
        argv = [system.program("docker"), "compose", "--project-name", self.name, *options, *words]
        done = entry.complete(f"project '{self.name}'", argv, [], os.environ, seconds=seconds)
        if done.returncode != 0:
            raise CommandFailed(_complaint(f"docker compose {words[0]}", done.output))
        return done.stdout


def _complaint(what: str, output: str) -> str:
    """What compose said at last, with what helps where we know it."""
    said = "\n".join(output.splitlines()[-_LAST_LINES:])
    if "Pool overlaps" in output:
        return (
            f"{what}: another network of this engine has one of the lab's prefixes; `docker network "
            f"ls` lists them, and only one lab in containers fits on an engine:\n{said}"
        )
    if what.endswith("build"):
        return (
            f"{what}: an image could not be built; where no image registry can be reached, "
            f"images/base/make.sh makes the base, and VGW_BASE names it:\n{said}"
        )
    return f"{what}: {said}"
