"""A node's claim to its network: abstract sockets, under a name that nobody else has."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import ApplianceError
from appliance.processes import claim
from appliance.run_dir import RunDir

from .kernel_stand_ins import opened, refused


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The descriptors of the claims, which end with the test and not with this process."""
    held: list[int] = []

    class Claim(socket.socket):
        def detach(self) -> int:
            held.append(super().detach())
            return held[-1]

    made = opened(monkeypatch)
    made.lead(socket.AF_UNIX, socket.SOCK_STREAM, to=lambda: Claim(socket.AF_UNIX))
    yield held
    for one in held:
        os.close(one)


@pytest.fixture
def name(held: list[int]) -> str:
    """One of this test's own."""
    return f"vgw-test-{os.getpid()}"


@pytest.fixture(autouse=True)
def _short_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A claim's words are cut where the kernel's names end: a temporary directory may be longer.
    monkeypatch.chdir(tmp_path)


def run_dir(name: str) -> RunDir:
    place = Path(name)
    place.mkdir()
    return RunDir(place)


def test_a_second_gateway_is_told_whose_the_network_is(name: str) -> None:
    first, second = run_dir("one"), run_dir("two")
    assert claim.refusal(name, second) is None
    claim.take(name, "master", first)
    assert claim.refusal(name, first) is None, "it is its own"
    told = claim.refusal(name, second)
    assert told and told.startswith(
        f"a gateway runs in this network namespace already: master in {first}"
    )
    with pytest.raises(ApplianceError) as error:
        claim.take(name, "backup", second)
    assert str(error.value) == told


def test_the_claim_goes_to_the_program_that_the_process_becomes(name: str, held: list[int]) -> None:
    claim.take(name, "master", run_dir("one"))
    assert len(held) == 2 and all(map(os.get_inheritable, held))


def test_a_claim_without_a_run_directory_says_whose_it_is_too(name: str) -> None:
    claim.take(name, "master", RunDir("none"))
    told = claim.refusal(name, run_dir("two"))
    assert told and "master in none;" in told


def test_another_error_is_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    opened(monkeypatch).lead(socket.AF_UNIX, to=refused(errno.EMFILE))
    with pytest.raises(OSError, match="refused"):
        claim.take("vgw-test", "master", RunDir())
