"""Two hosts with an engine each, wired like the lab's gateways, and one node of the pair on each.

A host is a node of a namespace lab that runs nothing by itself; its engine is a private one in that
node's network. Everything is set up as docs/containers.md says, with the lines that stand there.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker

from tests.containers import engine
from tests.containers.pair import VGW
from tests.waiting import PATIENCE
from vgw_lab.worlds import topology
from vgw_lab.worlds.namespaces import NamespaceLab
from vgw_lab.worlds.nodes import NamespaceNode

COMPOSE = engine.REPOSITORY / "compose"
IMAGE = "vgw:latest"


@dataclass(frozen=True)
class Way:
    """How a node is put on a host: the compose files, its service there, and what the host's owner does first."""

    files: tuple[str, ...]
    service: str
    preparation: Callable[[], str]


@dataclass(frozen=True)
class Host:
    """A machine with an engine; `settings` is its compose/host.env."""

    name: str
    url: str
    node: NamespaceNode
    settings: Path

    def compose(self, way: Way, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a compose command of the documents to its end."""
        files = [word for file in way.files for word in ("-f", f"compose/{file}")]
        argv = ["docker", "compose", *files, "--env-file", str(self.settings), *words]
        return engine.run(*argv, url=self.url, seconds=300)

    def shell(self, script: str) -> None:
        """What the host's own administrator does."""
        done = self.node.run(["sh", "-ec", script])
        assert done.returncode == 0, f"{self.name}: {script}: {done.output}"


@dataclass(frozen=True)
class Site:
    """The hosts and the lab that they are nodes of, with a machine behind and an internet."""

    lab: NamespaceLab
    hosts: dict[str, Host]


@dataclass(frozen=True)
class SpreadPair:
    """The pair on the hosts of a site, put there in one way."""

    site: Site
    way: Way

    def service(self, host: str) -> str:
        """The name of a host's node in its compose project."""
        return self.way.service.format(host=host)

    def must(self, host: str, verb: str, *options: str) -> None:
        """Have compose do something with a host's node, which has to succeed."""
        done = self.site.hosts[host].compose(self.way, verb, *options, self.service(host))
        assert done.returncode == 0, f"{host}: {verb}: {done.stdout}{done.stderr}"

    def run(self, host: str, *command: str) -> str:
        """What a program printed on a host's node; nothing while that does not run."""
        words = ("exec", "-T", self.service(host), *command)
        return self.site.hosts[host].compose(self.way, *words).stdout

    def prepare(self) -> None:
        """What the documents have a host's owner do before a node is put there."""
        for host in self.site.hosts.values():
            host.shell(self.way.preparation())

    def start(self) -> None:
        """Bring up a node on each host."""
        for name in self.site.hosts:
            self.must(name, "up", "--detach", "--no-build", "--pull=never")

    def down(self) -> None:
        """Take everything of it away."""
        for host in self.site.hosts.values():
            done = host.compose(self.way, "down")
            assert done.returncode == 0, f"{host.name}: {done.stderr}"

    def holders(self) -> list[str]:
        """The nodes that have the VGW on an interface."""
        listed = {name: self.run(name, "ip", "-o", "-4", "address") for name in self.site.hosts}
        return [name for name, shown in listed.items() if f" {VGW}/24 " in shown]

    def settled(self) -> bool:
        """The usual state: master is MASTER, backup is a BACKUP that could follow, and a ping passes."""
        told = [
            json.loads(self.run(name, "cat", "/run/vgw/status.json") or "{}")
            for name in self.site.hosts
        ]
        roles = [(one.get("role"), one.get("ready")) for one in told]
        return (
            roles == [("MASTER", True), ("BACKUP", True)]
            and self.holders() == ["master"]
            and self.site.lab.pings("noeud1")
        )

    def told(self) -> dict[str, str]:
        """What each node said at last, for one who asks why."""
        return {
            name: host.compose(self.way, "logs").stdout[-2500:]
            for name, host in self.site.hosts.items()
        }

    @contextmanager
    def probe(self, every_ms: float) -> Iterator[dict[str, Any]]:
        """A train of datagrams from noeud1 while the block runs; then what became of it."""
        words = ["--every", str(every_ms), "--seconds", "60"]
        running = self.site.lab.node("noeud1").instrument("probe", words)
        assert running.stdout is not None
        assert running.stdout.readline().startswith("sending ")
        result: dict[str, Any] = {}
        try:
            yield result
        finally:
            told, _ = running.communicate(timeout=PATIENCE)
        result |= json.loads(told)


@contextmanager
def site(url: str, place: Path) -> Iterator[Site]:
    """The hosts with their engines and the image, while the block runs; no node runs yet.

    The image comes from the engine at `url`. Raises Unavailable.
    """
    plan = topology.from_yaml((COMPOSE / "etc" / "gateway.yaml").read_text(encoding="utf-8"))
    name = f"t{os.getpid()}-hosts"
    bare = tuple(
        replace(spec, kind="machine") if spec.kind == "gateway" else spec for spec in plan.nodes
    )
    source = docker.DockerClient(base_url=url) if url else docker.from_env()
    with ExitStack() as stack:
        stack.callback(source.close)
        lab = NamespaceLab(name, replace(plan, nodes=bare))
        lab.start(tied=True)
        stack.callback(lab.end)
        hosts = {}
        for spec in plan.gateways:
            node = lab.node(spec.name)
            own = stack.enter_context(_engine(node))
            _carry(source, own)
            hosts[spec.name] = Host(spec.name, own, node, _settings(spec.name, place))
        yield Site(lab, hosts)


@contextmanager
def _engine(node: NamespaceNode) -> Iterator[str]:
    """An engine in a node's network; nothing of it is kept."""
    home = engine.HOME / f"host-{node.spec.name}"
    try:
        way = ("nsenter", f"--net=/proc/{node.pid}/ns/net")
        with engine.private(network=way, home=home) as url:
            yield url
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _carry(source: docker.DockerClient, url: str) -> None:
    target = docker.DockerClient(base_url=url)
    target.images.load(b"".join(source.images.get(IMAGE).save(named=IMAGE)))
    target.close()


def _settings(name: str, place: Path) -> Path:
    """compose/host.env of a host, made from the example."""
    file = place / f"{name}.env"
    text = (COMPOSE / "host.env.example").read_text(encoding="utf-8")
    text = re.sub("^VGW_NODE=.*$", f"VGW_NODE={name}", text, flags=re.MULTILINE)
    text = re.sub("^VGW_FOLDER=.*$", f"VGW_FOLDER={COMPOSE / 'etc'}", text, flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")
    return file


def kernel_settings() -> str:
    """compose/host-sysctl.conf.example as a script, for a machine without sysctl(8)."""
    lines = (COMPOSE / "host-sysctl.conf.example").read_text(encoding="utf-8").splitlines()
    told = [line.split(" = ", 1) for line in lines if line and not line.startswith("#")]
    return "\n".join(f"echo {value} >/proc/sys/{key.replace('.', '/')}" for key, value in told)


def bare_interfaces() -> str:
    """Takes a host's own addresses off its wires, where its node is to have them."""
    return "\n".join(f"ip address flush dev eth{number}" for number in range(3))


def firewall_lines() -> str:
    """What docs/containers.md has a host's owner allow in Docker's firewall."""
    text = (engine.REPOSITORY / "docs/containers.md").read_text(encoding="utf-8")
    found = re.findall(r"^iptables -I DOCKER-USER .*$", text, re.MULTILINE)
    assert found, "docs/containers.md names no lines for DOCKER-USER"
    return "\n".join(found)


# The container of a host's network gets it as it is; one on macvlan brings its own kernel settings.
WAYS = {
    "host": Way(("host.yaml",), "gateway", firewall_lines),
    "macvlan": Way(("lab.yaml", "macvlan.yaml"), "{host}", bare_interfaces),
}
