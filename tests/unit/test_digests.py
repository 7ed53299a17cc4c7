"""Two nodes find out whether they go by the same file, also where they run different versions."""

from pathlib import Path

import pytest

from appliance.config import gateway_file
from appliance.config.digests import digest, legacy_digest
from appliance.config.model import Config, Vgw
from appliance.config.profiles import PROFILES

CASES = Path(__file__).parent.parent / "golden"
# What a node of 01f73eb says of these files in its beats, made by its own code.
RECORDED = {
    "01-standard": "6a5ccd8c30f0",
    "02-fast": "be1d51209411",
    "03-classic": "a54b54c5a959",
    "04-no-address-outside": "de63519ed652",
    "05-everything": "ac3213f7feb4",
    "06-by-subnet": "1003d7856946",
    "07-hot": "010474b8f1b7",
}


def text(case: str) -> str:
    return (CASES / case / "gateway.yaml").read_text(encoding="utf-8")


def read(case: str) -> Config:
    return gateway_file.parse(text(case))


class LaterVgw(Vgw):
    """Of a release with one more key, which its profile `hot` sets."""

    patience: float = 3.5


class LaterConfig(Config):
    """The file of a release with more keys."""

    vgw: LaterVgw
    logs: tuple[str, ...] = ()


@pytest.mark.parametrize("case", RECORDED)
def test_a_node_of_an_earlier_version_is_told_the_digest_that_it_knows(case: str) -> None:
    assert legacy_digest(read(case)) == RECORDED[case]


@pytest.mark.parametrize("case", RECORDED)
def test_a_release_with_more_keys_makes_the_same_digest(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = read(case)
    data = now.model_dump(by_alias=True)
    later = LaterConfig.model_validate(data, by_alias=True)
    assert digest(later) == digest(now)
    data["vgw"]["patience"] = 9.0
    set_by_profile = LaterConfig.model_validate(data, by_alias=True)
    assert digest(set_by_profile) != digest(now)
    more = PROFILES[now.vgw.profile] | {"patience": 9.0}
    monkeypatch.setitem(PROFILES, now.vgw.profile, more)
    assert digest(set_by_profile) == digest(now)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("vgw: {", "vgw: {hold: 3, "),
        ("vgw: {", "# a comment\nvgw: {"),
        ("profile: standard", "advert_interval: 0.1"),
        ("vgw: {", "timeouts: {}\nforward: {policy: accept}\nmachines: {}\nvgw: {"),
        ("sync: {", "sync: {protocols: [tcp, udp, icmp], "),
    ],
)
def test_the_same_said_otherwise_has_the_same_digest(before: str, after: str) -> None:
    written = text("06-by-subnet")
    assert before in written
    assert digest(gateway_file.parse(written.replace(before, after, 1))) == digest(
        gateway_file.parse(written)
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("vgw: {", "vgw: {hold: 4, "),
        ("profile: standard", "profile: hot"),
        ("vgw: {", "vgw: {advert_interval: 0.2, "),
        ("vgw: {", "timeouts: {udp: 31}\nvgw: {"),
        ("sync: {", "sync: {protocols: [tcp, udp], "),
        ("priority: 90", "priority: 91"),
    ],
)
def test_whatever_differs_has_another(before: str, after: str) -> None:
    written = text("06-by-subnet")
    assert before in written
    assert digest(gateway_file.parse(written.replace(before, after, 1))) != digest(
        gateway_file.parse(written)
    )


def test_all_files_differ() -> None:
    assert len({digest(read(case)) for case in RECORDED}) == len(RECORDED)
