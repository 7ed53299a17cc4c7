"""Which engine a lab is made with: the one that was asked for, or the one that has it already."""

import shutil
import sys
from typing import TYPE_CHECKING

from appliance import ApplianceError, NoConfiguration, system
from appliance.lab import topology
from appliance.lab.namespaces import NamespaceLab
from appliance.lab.running import Lab

if TYPE_CHECKING:
    from pathlib import Path

NAMESPACES, CONTAINERS = "namespaces", "containers"
ENGINES = (NAMESPACES, CONTAINERS)


def known(engine: str | None) -> str | None:
    """The engine as it was said. Raises ApplianceError, with those there are."""
    if engine is not None and engine not in ENGINES:
        raise ApplianceError(f"--engine: '{engine}' is unknown; it is one of {', '.join(ENGINES)}")
    return engine


def find(name: str, engine: str | None = None) -> Lab:
    """The lab of that name, up or not; without a word on the engine, of the one that has it."""
    if engine == CONTAINERS:
        return _containers(name)
    lab = NamespaceLab(name)
    if engine is None and not lab.up and shutil.which("docker"):
        try:
            other = _containers(name)
            if other.up:
                return other
        except ApplianceError:
            return lab  # no engine that answers has no lab
    return lab


def open_lab(name: str, engine: str | None = None) -> Lab:
    """A lab that is up. Raises ApplianceError when it is not."""
    lab = find(name, engine)
    if not lab.up:
        said = f" --engine {engine}" if engine == CONTAINERS else ""
        option = "" if name == "lab" else f" --name {name}"
        raise ApplianceError(f"lab '{name}': not up; `vgw lab{said} up{option}` makes it")
    return lab


def plan(name: str, engine: str | None, profile: str, node_wan: bool, config: "Path | None") -> Lab:
    """A lab to be made: of a profile, or of a file. Raises ApplianceError naming what is wrong."""
    if config is not None:
        text = _checked(config)
    elif engine == CONTAINERS:
        text = _containers(name).gateway_yaml(profile, node_wan)
    else:
        text = topology.gateway_yaml(profile, node_wan)
    wiring = topology.from_yaml(text, str(config or "gateway.yaml"))
    return _containers(name, wiring) if engine == CONTAINERS else NamespaceLab(name, wiring)


def _checked(config: "Path") -> str:
    """A file of the user's own, once `vgw validate` has nothing against it."""
    done = system.attempt([sys.executable, "-m", "appliance", "validate", str(config)])
    if done.returncode != 0:
        raise NoConfiguration(done.stderr.strip().removeprefix("vgw: "))
    return config.read_text(encoding="utf-8")


def _containers(name: str, wiring: topology.Topology | None = None) -> "ContainerLab":
    """A lab in containers. Loads the Docker SDK, for which a lab of namespaces does not wait."""
    try:
        from appliance.lab.containers import ContainerLab
    except ImportError as error:
        raise ApplianceError(
            f"--engine {CONTAINERS}: the Python package '{error.name}' is missing; "
            "install this one with its extra `lab`: pip install 'vgw-appliance[lab]'"
        ) from None
    return ContainerLab(name, wiring)


if TYPE_CHECKING:
    from appliance.lab.containers import ContainerLab
