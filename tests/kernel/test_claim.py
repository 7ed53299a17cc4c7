"""One gateway a network namespace: a second one is told of the first, and harms it in nothing."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import ApplianceError
from appliance.planning.wanted import Plan
from appliance.processes import claim
from appliance.run_dir import RunDir
from tests.kernel.conftest import Namespace
from tests.kernel.test_start import all_run, started
from tests.kernel.wanted import state

RUN_DIR, OTHER = RunDir(), RunDir(Path("/run/other"))
WHO = f"a gateway runs in this network namespace already: master in {RUN_DIR};"
Cases = dict[str, Path]


def vgw(run_dir: RunDir, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "appliance", *words],
        env={**os.environ, "VGW_RUN_DIR": str(run_dir)},
        check=False,
        capture_output=True,
        text=True,
    )


def kept() -> dict[str, Any]:
    """What a node has in the kernel in any role: all but the routes, which move when it becomes MASTER."""
    return {kind: found for kind, found in state(Plan()).items() if kind != "routes"}


def test_a_second_node_in_one_network_is_refused_and_told_of_the_first(
    namespace: Namespace, cases: Cases
) -> None:
    file = str(cases["02-fast"])

    def body() -> None:
        with started(cases["01-standard"]) as process:
            before = kept()
            for words in (("start", file), ("apply", file), ("check", file), ("teardown",)):
                refused = vgw(OTHER, *words)
                assert refused.returncode == 1, words
                assert WHO in refused.stderr
                assert not OTHER.path.exists()
            assert kept() == before
            assert all_run()
            assert WHO not in vgw(RUN_DIR, "check", str(cases["01-standard"])).stderr
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=5)
        applied = vgw(OTHER, "apply", file)
        assert applied.returncode == 0, f"a claim is left behind: {applied.stderr}"

    namespace(body)


HOLD = """
import sys
from pathlib import Path
from appliance.processes import claim
from appliance.run_dir import RunDir
claim.take("vgw", "master", RunDir(Path(sys.argv[1])))
print("taken", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def claimed(run_dir: RunDir) -> Iterator[None]:
    """Another process has a claim to this network, and is killed at the end."""
    run_dir.path.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(run_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"taken\n"
            yield
        finally:
            process.kill()


def test_of_two_at_once_one_has_it_and_a_claim_ends_with_its_process(namespace: Namespace) -> None:
    def body() -> None:
        with claimed(RUN_DIR):
            assert claim.refusal("vgw", RUN_DIR) is None, "one's own is no other's"
            assert str(claim.refusal("vgw", OTHER)).startswith(WHO)
            assert claim.refusal("another", OTHER) is None, "other names are in nobody's way"
            with pytest.raises(ApplianceError, match=WHO):
                claim.take("vgw", "backup", OTHER)
        assert claim.refusal("vgw", OTHER) is None
        claim.take("vgw", "backup", OTHER)

    namespace(body)


def test_two_containers_in_one_network_call_their_run_directories_the_same(
    namespace: Namespace,
) -> None:
    def body() -> None:
        with claimed(RUN_DIR):
            subprocess.run(["mount", "-t", "tmpfs", "none", RUN_DIR.path], check=True)
            assert str(claim.refusal("vgw", RUN_DIR)).startswith(WHO)

    namespace(body)
