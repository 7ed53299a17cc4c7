"""A container engine for the tests: the one that answers, or a private one that reaches no network."""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Kept between runs, so that images are built once: the engine's data, and the compose plugin.
HOME = Path(os.environ.get("VGW_ENGINE_HOME", "/var/tmp/vgw-engine"))
BASE = "vgw-base:trixie"
PROGRAMS = {
    "docker": "docker.io",
    "dockerd": "docker.io",
    "mmdebstrap": "mmdebstrap",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
# The engine gets a mount and a process namespace of its own: when its first process ends, all that it
# started and mounted is gone. `/sys` must show the network namespace that the engine is in.
INSIDE = """
set -eu
home=$1 group=$2 network=$3
shift 3
if [ "$network" = own ]; then
    mkdir -p "$home/run/cgroup"
    mount --rbind /sys/fs/cgroup "$home/run/cgroup"
    mount -t sysfs sysfs /sys
    mount --rbind "$home/run/cgroup" /sys/fs/cgroup
fi
exec dockerd --data-root "$home/data" --exec-root "$home/run/exec" \
    --pidfile "$home/run/dockerd.pid" --host "unix://$home/run/docker.sock" \
    --cgroup-parent "$group" "$@"
"""
FILES = ("-f", "compose/lab.yaml", "-f", "compose/internet.yaml")
BUILD = ("docker", "compose", "--progress=plain", *FILES, "build")
# For building in the machine's own network: the engine changes nothing of it.
HANDS_OFF = ("--bridge=none", "--iptables=false", "--ip-masq=false", "--ip-forward=false")
# The words that lead an engine into its network: the machine's, or a new one.
SHARED: tuple[str, ...] = ()
OWN = ("unshare", "--net")


class Unavailable(Exception):
    """Why no engine can be had here."""


def environment(url: str = "") -> dict[str, str]:
    """What docker and compose find in their environment; `url` is a private engine's socket."""
    found = {**os.environ}
    if url:
        found |= {
            "DOCKER_HOST": url,
            "DOCKER_CONFIG": str(HOME / "docker"),
            "VGW_BASE": BASE,
            "VGW_BUILD_NETWORK": "host",
        }
    return found


def run(*argv: str, url: str = "", seconds: float = 900) -> "subprocess.CompletedProcess[str]":
    """Run a program of the repository's or docker's to its end, whatever the exit code."""
    return subprocess.run(
        argv,
        cwd=REPOSITORY,
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def must(*argv: str, url: str = "", seconds: float = 900) -> str:
    """What a program that has to succeed printed."""
    done = run(*argv, url=url, seconds=seconds)
    assert done.returncode == 0, f"{' '.join(argv)}: {(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


def fetch(*argv: str, url: str = "") -> None:
    """Run what needs the package index. Raises Unavailable: there may be no network here."""
    done = run(*argv, url=url)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(argv)}: {(done.stdout + done.stderr)[-1000:].strip()}")


def wait(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until a condition holds. Raises Unavailable at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Unavailable(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)


def answering() -> bool:
    """Whether the engine that the environment names answers, with a compose of version 2."""
    if not shutil.which("docker") or run("docker", "info").returncode != 0:
        return False
    return run("docker", "compose", "version").returncode == 0


def hindrances() -> list[str]:
    """Why a private engine cannot be started here; each says what would help."""
    found = [] if os.geteuid() == 0 else ["a private engine needs root"]
    for program, package in PROGRAMS.items():
        if not shutil.which(program):
            found.append(f"{program} is missing (Debian package {package})")
    return found


@contextmanager
def private(*options: str, network: Sequence[str], home: Path = HOME) -> Iterator[str]:
    """A private engine's URL while the block runs; `network` are the words that lead into its network."""
    with _alone(home), _running(options, network, home) as url:
        yield url


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the store while the block runs: two engines on one would ruin it."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                f"another private engine runs on {home}; VGW_ENGINE_HOME names another place"
            ) from None
        yield


@contextmanager
def _running(options: tuple[str, ...], network: Sequence[str], home: Path) -> Iterator[str]:
    working, group = home / "run", f"vgw-{home.name}-{os.getpid()}"
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    # Networks that a former engine left behind are not in this one's namespace.
    shutil.rmtree(home / "data" / "network", ignore_errors=True)
    place = "own" if network else "shared"
    with (working / "dockerd.log").open("w") as log:
        first = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", *network),
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("sh", "-c", INSIDE, "engine", str(home), group, place, *options),
            ],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    url = f"unix://{working}/docker.sock"
    try:
        wait(
            lambda: first.poll() is not None or run("docker", "info", url=url).returncode == 0,
            60,
            "the private engine answers",
        )
        if first.poll() is not None:
            raise Unavailable(f"dockerd ended: {(working / 'dockerd.log').read_text()[-1500:]}")
        yield url
    finally:
        _end(first, group)


def _end(first: "subprocess.Popen[bytes]", group: str) -> None:
    """Let dockerd end by itself; its namespaces go with it."""
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children")
    if first.poll() is None:
        for pid in children.read_text().split():
            os.kill(int(pid), signal.SIGTERM)
    try:
        first.wait(30)
    except subprocess.TimeoutExpired:
        first.kill()
        first.wait(10)
    for left in sorted(Path("/sys/fs/cgroup").glob(f"**/{group}"), reverse=True):
        _remove_empty(left)


def _remove_empty(directory: Path) -> None:
    for inner in directory.iterdir():
        if inner.is_dir():
            _remove_empty(inner)
    try:
        directory.rmdir()
    except OSError as error:
        print(f"{directory} stays: {error.strerror}")


def build(url: str) -> None:
    """Build all images, from the layers that are there; the base is made where no registry answers."""
    if url and not has_base(url):
        fetch("images/base/make.sh", BASE, url=url)
    must(*BUILD, url=url)


def has_base(url: str) -> bool:
    """Whether an engine has the base that the images are made from here."""
    return run("docker", "image", "inspect", BASE, url=url).returncode == 0


@contextmanager
def engine() -> Iterator[str]:
    """The URL of an engine that has the images; empty for the one of the environment."""
    if answering():
        build("")
        yield ""
        return
    missing = hindrances()
    if missing:
        raise Unavailable("no container engine answers, and " + "; ".join(missing))
    fetch("setup/compose-plugin.sh", str(HOME / "docker"))
    # Only an engine in the machine's own network reaches the package indexes, which a change of our
    # own source does not need.
    with private(network=OWN) as url:
        if has_base(url) and run(*BUILD, url=url).returncode == 0:
            yield from _tidied(url)
            return
    with private(*HANDS_OFF, network=SHARED) as url:
        build(url)
    with private(network=OWN) as url:
        yield from _tidied(url)


def _tidied(url: str) -> Iterator[str]:
    must("docker", "image", "prune", "--force", url=url)
    yield url
