"""The text of every file we write: each daemon's configuration, and netplan for the machines behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from appliance import __version__
from appliance.model import Config, Failback, Interfaces

KEEPALIVED = "keepalived.conf"
SUPERVISORD = "supervisord.conf"

_templates = Environment(
    loader=PackageLoader("appliance"),
    undefined=StrictUndefined,
    autoescape=False,  # noqa: S701 - these are no web pages; config admits no character that could do harm
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Versions:
    """The versions of the programs that read what we render, as tuples of numbers."""

    keepalived: tuple[int, ...] = (2, 2, 7)
    nft: tuple[int, ...] = (1, 0, 6)


@dataclass(frozen=True)
class File:
    """A file of ours, by its name in the run directory."""

    name: str
    text: str


def files(
    config: Config,
    node: str,
    interfaces: Interfaces,
    versions: Versions,
    run_dir: Path,
    python: Path,
    config_path: Path,
) -> tuple[File, ...]:
    """The files of one node's daemons; they are the same in every role."""
    return (
        File(KEEPALIVED, keepalived(config, node, interfaces, versions, run_dir)),
        File(SUPERVISORD, supervisord(node, run_dir, python, config_path)),
    )


def keepalived(
    config: Config, node: str, interfaces: Interfaces, versions: Versions, run_dir: Path
) -> str:
    """keepalived.conf(5), with no word that the installed version does not parse."""
    return _render(
        "keepalived.conf.j2",
        config=config,
        node=node,
        me=config.nodes[node],
        peer=config.nodes[config.peer_of(node)],
        interfaces=interfaces,
        run_dir=run_dir,
        Failback=Failback,
        # Both words came with 2.2.8.
        knows_timer_expired_backup=versions.keepalived >= (2, 2, 8),
    )


def supervisord(node: str, run_dir: Path, python: Path, config_path: Path) -> str:
    """supervisord's configuration: which daemons run, in which order they stop."""
    return _render(
        "supervisord.conf.j2", node=node, run_dir=run_dir, python=python, config_path=config_path
    )


def netplan(config: Config, machine: str) -> str:
    """The netplan file of a machine behind: its address, and the VGW as its way out."""
    return _render(
        "netplan.yaml.j2", name=machine, machine=config.machines[machine], vgw=config.vgw.address.ip
    )


def _render(template: str, **words: Any) -> str:
    return _templates.get_template(template).render(version=__version__, **words)
