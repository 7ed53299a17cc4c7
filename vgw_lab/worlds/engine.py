"""The one door to the container engine: the Docker SDK for orders, `docker exec` for programs.

Which engine it is, DOCKER_HOST says, or else docker's own context.
"""

import contextlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import docker
import docker.models.containers
from docker.errors import DockerException, ImageNotFound, NotFound

from appliance import ApplianceError, CommandFailed, system
from vgw_lab.worlds import entry

Container = docker.models.containers.Container
# An engine that is there answers at once; an order may take as long as a container takes to stop.
_ANSWER_SECONDS, _ORDER_SECONDS = 5, 60
_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"


class Engine:
    """An engine that answers. Raises ApplianceError where none does, with what would help."""

    def __init__(self) -> None:
        if not shutil.which("docker"):
            raise ApplianceError(
                "docker: program not found; install a container engine and its client (Debian 12: "
                "docker.io; Debian 13: docker.io and docker-cli), or take --engine namespaces, which "
                "needs none"
            )
        url = os.environ.get("DOCKER_HOST") or _context()
        try:
            # By its environment it also knows DOCKER_TLS_VERIFY and DOCKER_CERT_PATH.
            own = {**os.environ, **({"DOCKER_HOST": url} if url else {})}
            self._client = docker.from_env(environment=own, timeout=_ANSWER_SECONDS)
            self._client.ping()
            self._client.api.timeout = _ORDER_SECONDS
        except (DockerException, OSError) as error:
            raise ApplianceError(
                f"the container engine at {url or 'the usual socket'} does not answer: {error}; "
                "start it (systemctl start docker), let your user reach its socket (group docker), "
                "or say in DOCKER_HOST where it is"
            ) from None

    def services(self, project: str) -> dict[str, Container]:
        """The containers of a compose project, running or not, by service."""
        with saying(f"the containers of project '{project}'"):
            listed = self._client.containers.list(
                all=True, filters={"label": f"{_PROJECT}={project}"}, ignore_removed=True
            )
            return {container.labels[_SERVICE]: container for container in listed}

    def projects(self) -> set[str]:
        """The names of all compose projects that have a container here."""
        with saying("the compose projects"):
            listed = self._client.containers.list(
                all=True, filters={"label": _PROJECT}, ignore_removed=True
            )
            return {container.labels[_PROJECT] for container in listed}

    def has_image(self, name: str) -> bool:
        """Whether an image is there."""
        with saying(f"image {name}"):
            try:
                self._client.images.get(name)
            except ImageNotFound:
                return False
            return True


def is_on(container: Container) -> bool:
    """Whether a container ran when it was looked up; one that starts again and again does not."""
    state = container.attrs["State"]
    return bool(state["Running"]) and not state["Restarting"]


def is_frozen(container: Container) -> bool:
    """Whether a container was paused when it was looked up."""
    return bool(container.attrs["State"]["Paused"])


def process(container: Container) -> int:
    """The first process of a container that runs on this machine, by its number here; 0 where its engine is elsewhere."""
    found = int(container.attrs["State"].get("Pid") or 0)
    # Of an engine on another machine the number would be another process's.
    groups = system.read(Path(f"/proc/{found}/cgroup")) if found else None
    return found if groups and str(container.id) in groups else 0


def read(container: Container, path: str, ask: Callable[[], str | None]) -> str | None:
    """The text of a file of a container that runs; None if there is none.

    From outside, which costs no program there. By `ask` where /proc does not show it: of an engine elsewhere, or to a plain user.
    """
    if pid := process(container):
        try:
            return entry.text_of(pid, path)
        except (FileNotFoundError, ProcessLookupError):
            return None
        except PermissionError:
            pass
    return ask()


def file(container: Container, path: str) -> str | None:
    """The text of a file in a container's image or volumes, running or not; None if there is none."""
    with saying(f"{container.name}: {path}"):
        try:
            stream, _ = container.get_archive(path)
        except NotFound:
            return None
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            held = archive.next()
            found = held and archive.extractfile(held)
            return found.read().decode() if found else None


def log(container: Container, lines: int | None) -> str:
    """What a container's programs printed; the last lines only, if so many are asked for."""
    with saying(f"{container.name}: logs"):
        return container.logs(tail="all" if lines is None else lines).decode(errors="replace")


@contextlib.contextmanager
def saying(what: str) -> Iterator[None]:
    """Turns the engine's complaints into CommandFailed, with the words on what was asked of it."""
    try:
        yield
    except (DockerException, OSError) as error:
        _fail(f"{what}: the container engine says: {error}", error)


def _fail(sentence: str, error: Exception) -> NoReturn:
    raise CommandFailed(sentence) from error


def _context() -> str | None:
    """Where docker's current context has its engine; the SDK knows no contexts."""
    shown = system.attempt(["docker", "context", "inspect"])
    try:
        return str(json.loads(shown.stdout)[0]["Endpoints"]["docker"]["Host"])
    except (ValueError, LookupError, TypeError):
        return None
