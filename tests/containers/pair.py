"""The compose project under test: the pair, two machines behind it and the simulated internet."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from docker.models.images import Image

from tests.containers import engine
from tests.waiting import PATIENCE, eventually
from vgw_lab.worlds.engine import read

PROJECT = "vgwtest"
NODES = ("master", "backup")
MACHINES = ("noeud1", "noeud2")
VGW = "192.168.100.99"
STATUS = "/run/vgw/status.json"


class Pair:
    """`docker compose` for the project, and the Docker SDK for its containers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.docker = docker.DockerClient(base_url=url) if url else docker.from_env()
        # By machine: seconds from the start of the last container to the first ping answered.
        self.first_answers: dict[str, float] = {}

    def argv(self, *words: str, overlays: Sequence[Path] = ()) -> list[str]:
        """The compose command, with more files laid over the lab's own two."""
        files = ["compose/lab.yaml", "compose/internet.yaml", *map(str, overlays)]
        options = [word for file in files for word in ("-f", file)]
        return ["docker", "compose", "--project-name", PROJECT, *options, *words]

    def compose(self, *words: str, overlays: Sequence[Path] = ()) -> str:
        """What a compose command that has to succeed printed."""
        done = engine.run(*self.argv(*words, overlays=overlays), url=self.url, seconds=300)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def up(self, *words: str, overlays: Sequence[Path] = ()) -> None:
        """Bring it up from the images that are there; nothing is pulled."""
        self.compose("up", "--detach", "--pull=never", "--no-build", *words, overlays=overlays)

    def down(self) -> None:
        """Take everything of it away."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout=10")

    def container(self, service: str) -> Container:
        """A service's container, as it is now."""
        return self.docker.containers.get(f"{PROJECT}-{service}-1")

    def image(self, service: str) -> Image:
        """The image that a service's container was made from."""
        found = self.container(service).image
        assert found is not None
        return found

    def network(self, name: str) -> str:
        """The engine's name of one of the project's networks."""
        order = ("uplink", "backend", "sync")
        return f"{PROJECT}-{order.index(name)}-{name}"

    def exec(self, service: str, *command: str) -> tuple[int, str]:
        """Run a program in a service's container: its exit code, and what it printed."""
        done = self.container(service).exec_run(list(command))
        assert isinstance(done.output, bytes)
        return int(done.exit_code or 0), done.output.decode()

    def shell(self, service: str, script: str) -> str:
        """What a script that has to succeed printed in a container."""
        code, output = self.exec(service, "sh", "-ec", script)
        assert code == 0, f"{service}: {script}: {output}"
        return output

    def status(self, node: str) -> dict[str, Any]:
        """What a node says of itself; empty while it says nothing."""
        container = self.container(node)
        if container.status != "running":
            return {}

        def printed() -> str | None:
            code, output = self.exec(node, "cat", STATUS)
            return output if code == 0 else None

        text = read(container, STATUS, printed)
        return json.loads(text) if text else {}

    def holders(self) -> list[str]:
        """The nodes that have the VGW on their LAN interface."""
        found = []
        for node in NODES:
            if self.container(node).status == "running":
                listed = self.exec(node, "ip", "-o", "-4", "addr", "show")[1]
                found += [node] if f" {VGW}/24 " in listed else []
        return found

    def settled(self) -> bool:
        """The usual state: master is MASTER, backup is BACKUP, and machines get out."""
        roles = [self.status(node).get("role") for node in NODES]
        return roles == ["MASTER", "BACKUP"] and self.holders() == ["master"] and self.pings()

    def whole(self) -> bool:
        """One MASTER, whichever, and a BACKUP that could follow it; a series of faults delays a failback."""
        told = {node: self.status(node) for node in NODES}
        roles = sorted(str(one.get("role")) for one in told.values())
        ready = all(one.get("ready") for one in told.values())
        return roles == ["BACKUP", "MASTER"] and ready and len(self.holders()) == 1

    def pings(self, machine: str = "noeud1", count: int = 1) -> bool:
        """Whether 8.8.8.8 answers a machine behind the gateway, each time."""
        code, output = self.exec(machine, "ping", "-q", "-i0.2", f"-c{count}", "-W1", "8.8.8.8")
        return code == 0 and " 0% packet loss" in output

    def started(self, service: str) -> float:
        """When a container was started, in seconds since 1970."""
        return datetime.fromisoformat(
            self.container(service).attrs["State"]["StartedAt"]
        ).timestamp()

    def await_first_answers(self) -> None:
        """Note when 8.8.8.8 first answers each machine."""
        began = max(self.started(service) for service in (*NODES, *MACHINES))
        for machine in MACHINES:
            if eventually(lambda machine=machine: self.pings(machine)):  # type: ignore[misc]
                self.first_answers[machine] = time.time() - began

    def logs(self, service: str) -> str:
        """All that a container has written."""
        return self.container(service).logs().decode()

    @contextmanager
    def probe(self, every_ms: float) -> Iterator[dict[str, Any]]:
        """A train of datagrams from noeud1 while the block runs; then what became of it."""
        words = ("python3", "-m", "probe", "--every", str(every_ms), "--seconds", "120")
        running = subprocess.Popen(
            ["docker", "exec", "--interactive", f"{PROJECT}-noeud1-1", *words],
            env=engine.environment(self.url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert running.stdout is not None
        first = running.stdout.readline()
        if not first.startswith("sending "):
            raise AssertionError(f"the probe does not run: {first}{running.communicate()[0]}")
        result: dict[str, Any] = {}
        try:
            yield result
        finally:
            told, _ = running.communicate(timeout=PATIENCE)
        result |= json.loads(told)

    def capture(self) -> dict[str, int]:
        """Packets that the simulated internet saw, translated and not, since it came up."""
        listed = self.shell("internet", "nft -j list counters netdev")
        entries = json.loads(listed)["nftables"]
        return {e["counter"]["name"]: e["counter"]["packets"] for e in entries if "counter" in e}
