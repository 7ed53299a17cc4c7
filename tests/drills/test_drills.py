"""Every drill of the lab, on both engines: each is held, or the lab says why it cannot have it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.containers import engine
from vgw_lab import faults
from vgw_lab.worlds import topology

# So that drills which wait for a timer of the connection table take seconds.
TIMERS = "timeouts: {udp_stream: 6, tcp_established: 30}\n"
# The drills that a lab with the usual timers is not for.
TIMED = {"outlive-udp", "idle-tcp"}
# Past the lab's own timers of a takeover; a drill by hand looks on for longer.
WATCH = "15"
Vgw = Callable[..., "subprocess.CompletedProcess[str]"]


def vgw(kind: str, url: str, name: str) -> Vgw:
    """`vgw lab …` for the lab of that name, made with this engine."""
    variables = {**engine.environment(url), "VGW_LAB_ENGINE": kind}

    def run(verb: str, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "appliance", "lab", verb, "--name", name, *words],
            cwd=engine.REPOSITORY,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )

    return run


def lab(kind: str, url: str = "", config: Path | None = None) -> Iterator[Vgw]:
    """A lab that is up, and is ended with the promise that nothing left it untranslated."""
    run = vgw(kind, url, f"t{os.getpid()}-drills{'-timed' if config else ''}")
    done = run("up", *(["--config", str(config)] if config else []))
    assert done.returncode == 0, done.stderr
    try:
        yield run
        assert "and 0 untranslated" in run("capture").stdout
    finally:
        run("down")


@pytest.fixture(scope="module")
def namespaces() -> Iterator[Vgw]:
    yield from lab("namespaces")


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vgw]:
    file = tmp_path_factory.mktemp("timed") / "gateway.yaml"
    file.write_text(topology.gateway_yaml() + TIMERS)
    yield from lab("namespaces", config=file)


@pytest.fixture(scope="module")
def containers() -> Iterator[Vgw]:
    running = engine.engine()
    try:
        url = running.__enter__()
    except engine.Unavailable as error:
        pytest.skip(f"drills in containers cannot run: {error}")
    try:
        yield from lab("containers", url)
    finally:
        running.__exit__(None, None, None)


def held(run: Vgw, drill: str) -> None:
    done = run("drill", drill, "--watch", WATCH)
    print(done.stdout)
    if "cannot have this drill" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("drill", [name for name in faults.FAULTS if name not in TIMED])
def test_a_drill_is_held_in_namespaces(namespaces: Vgw, drill: str) -> None:
    held(namespaces, drill)


@pytest.mark.parametrize("drill", sorted(TIMED))
def test_a_drill_that_waits_for_a_timer_is_held_where_timers_are_short(
    timed: Vgw, drill: str
) -> None:
    held(timed, drill)


def test_a_lab_says_why_it_cannot_have_a_drill(namespaces: Vgw) -> None:
    for drill in TIMED:
        done = namespaces("drill", drill)
        assert done.returncode == 1
        assert "make a lab with shorter timers" in done.stderr


@pytest.mark.parametrize("drill", faults.FAULTS)
def test_a_drill_is_held_in_containers(containers: Vgw, drill: str) -> None:
    held(containers, drill)
