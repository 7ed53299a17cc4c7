"""Which engine a lab is made with: the one that was asked for, or the one that has it already."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from appliance import ApplianceError, NoConfiguration, system
from vgw_lab.worlds import entry, topology
from vgw_lab.worlds.namespaces import NamespaceLab
from vgw_lab.worlds.running import Lab

if TYPE_CHECKING:
    from pathlib import Path

NAMESPACES, CONTAINERS = "namespaces", "containers"
STANDARD = "standard"
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
        raise ApplianceError(
            f"lab '{name}': not up; `vgw lab{said} up{entry.option(name)}` makes it{_others()}"
        )
    return lab


def _others() -> str:
    """The labs that are up, for one who asked for another."""
    found = [f"'{name}'" for name in entry.labs()]
    if shutil.which("docker"):
        with contextlib.suppress(ApplianceError, ImportError):
            from vgw_lab.worlds import compose, engine

            names = filter(None, map(compose.lab_of, sorted(engine.Engine().projects())))
            found += [f"'{name}' ({CONTAINERS})" for name in names]
    return f"; up: {', '.join(found)}" if found else ""


def refuse_other(lab: Lab, profile: str | None, config: "Path | None") -> None:
    """Raise ApplianceError where a lab that is up is not the one that was asked for."""
    own = lab.topology
    if profile not in (None, own.vgw.profile):
        asked = f"with profile {own.vgw.profile}, not {profile}"
    elif config is not None and system.read(config) != own.text:
        asked = f"with another configuration than {config}"
    else:
        return
    raise ApplianceError(
        f"lab '{lab.name}' is up already, {asked}; `vgw lab down{entry.option(lab.name)}` ends it, "
        "or take another --name"
    )


@contextlib.contextmanager
def alone(lab: Lab) -> Iterator[None]:
    """Keep a second drill off a lab while the block runs: each would measure the other's faults."""
    with entry.claimed(f"{lab.engine}-{lab.name}-drill") as free:
        if not free:
            raise ApplianceError(
                f"lab '{lab.name}': another drill or course is under way; wait for its end, "
                "or make a lab of your own (--name)"
            )
        yield


def plan(
    name: str,
    engine: str | None,
    profile: str | None,
    node_wan: bool | None,
    config: "Path | None",
) -> Lab:
    """A lab to be made: of a profile, or of a file. Raises ApplianceError naming what is wrong."""
    text: str | bytes
    if config is not None:
        if profile is not None or node_wan is not None:
            said = "--profile" if profile is not None else "--node-wan"
            raise ApplianceError(f"{said}: the file of --config says this; leave one of them out")
        text = _read(config)
    elif engine == CONTAINERS:
        text = _containers(name).gateway_yaml(profile or STANDARD, node_wan is not False)
    else:
        text = topology.gateway_yaml(profile or STANDARD, node_wan is not False)
    wiring = topology.from_yaml(text, str(config or "gateway.yaml"))
    return _containers(name, wiring) if engine == CONTAINERS else NamespaceLab(name, wiring)


def _read(config: "Path") -> bytes:
    """A file of the user's own."""
    try:
        return config.read_bytes()
    except OSError as error:
        raise NoConfiguration(
            f"--config: {config}: {error.strerror}; name a gateway YAML"
        ) from None


def _containers(name: str, wiring: topology.Topology | None = None) -> "ContainerLab":
    """A lab in containers. Loads the Docker SDK, for which a lab of namespaces does not wait."""
    try:
        from vgw_lab.worlds.containers import ContainerLab
    except ImportError as error:
        raise ApplianceError(
            f"--engine {CONTAINERS}: the Python package '{error.name}' is missing; "
            "`pip install --editable '.[lab]'` in the checkout brings it"
        ) from None
    return ContainerLab(name, wiring)


if TYPE_CHECKING:
    from vgw_lab.worlds.containers import ContainerLab
