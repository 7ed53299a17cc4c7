"""What the lab's instruments count: the probe, the witness and the capture."""

import json
from collections.abc import Mapping

import pytest

from vgw_lab.drills.verdict import summary
from vgw_lab.instruments import newcomer, witness
from vgw_lab.instruments.probe import tally
from vgw_lab.instruments.witness import Sight
from vgw_lab.measures import newcomers
from vgw_lab.measures.checks import Findings
from vgw_lab.worlds import capture


def train(pattern: str) -> tuple[float, float | None, int, int]:
    """The tally of a train of one datagram a millisecond; `.` answered, `x` lost, `2` twice."""
    answers = [{"x": 0, ".": 1, "2": 2}[letter] for letter in pattern]
    found = tally([number / 1000 for number in range(len(answers))], answers, None)
    return found.gap_ms, found.gap_at, found.lost, found.duplicates


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", (0, None, 0, 0)),
        ("....", (0, None, 0, 0)),
        (".x..", (2, 0.0, 1, 0)),
        ("..xxx.x..", (4, 0.001, 4, 0)),
        (".x.xx..", (3, 0.002, 3, 0)),
        ("xx...", (2, 0.0, 2, 0)),  # out of order from the first
        ("..xxx", (3, 0.001, 3, 0)),  # and to the last
        ("xxxx", (3, 0.0, 4, 0)),
        ("..2.2", (0, None, 0, 2)),
    ],
)
def test_the_longest_gap_of_a_train(
    pattern: str, expected: tuple[float, float | None, int, int]
) -> None:
    assert train(pattern) == expected


def test_every_silence_of_a_train_is_told_and_the_longest_of_many() -> None:
    at = [number / 10 for number in range(8)]
    found = tally(at, [1, 0, 1, 1, 0, 0, 1, 1], None)
    assert found.silences == [[0.0, 0.2], [0.3, 0.6]]
    assert found.ended == 0.7
    many = tally([float(n) for n in range(1201)], [n % 3 % 2 for n in range(1201)], None)
    assert len(many.silences) == 200
    assert [begin for begin, _ in many.silences] == sorted(begin for begin, _ in many.silences)


def test_a_probe_of_another_machine_tells_by_our_clock() -> None:
    found = tally([100.0, 100.25, 100.5], [1, 0, 1], 100.5).earlier(100)
    assert (found.began, found.ended, found.gap_at, found.last_answer) == (0.0, 0.5, 0.0, 0.5)
    assert found.silences == [[0.0, 0.5]]
    assert tally([100.0], [1], None).earlier(100).last_answer is None


MAC = bytes.fromhex("020000000003")


def ipv4(protocol: int, payload: bytes, source: bytes = bytes([192, 168, 100, 3])) -> bytes:
    header = bytes([0x45, 0, 0, 0, 0, 0, 0, 0, 255, protocol, 0, 0]) + source + bytes(4)
    return bytes(6) + MAC + b"\x08\x00" + header + payload


def arp(sender: bytes, target: bytes) -> bytes:
    body = bytes.fromhex("00010800060400010200000000") + b"\x03" + sender + bytes(6) + target
    return b"\xff" * 6 + MAC + b"\x08\x06" + body


def test_an_advert_is_read_in_both_versions() -> None:
    for version in (2, 3):
        message = bytes([version << 4 | 1, 51, 90, 1, 0, 0, 0, 0])
        assert witness.parse(ipv4(112, message), 1.5) == Sight(
            1.5, "advert", "192.168.100.3", "02:00:00:00:00:03", vrid=51, priority=90
        )


def test_a_gratuitous_arp_is_read_and_a_question_is_not() -> None:
    vgw, asker = bytes([192, 168, 100, 99]), bytes([192, 168, 100, 10])
    seen = witness.parse(arp(vgw, vgw), 2.0)
    assert seen == Sight(2.0, "arp", "192.168.100.99", "02:00:00:00:00:03")
    assert witness.parse(arp(asker, vgw), 2.0) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        bytes(20),
        ipv4(17, bytes(16)),
        ipv4(112, b"\x31"),
        ipv4(112, b"\x32" + bytes(7)),
        arp(bytes(4), bytes(4))[:30],
    ],
)
def test_what_is_neither_is_passed_over(frame: bytes) -> None:
    assert witness.parse(frame, 0.0) is None


def advert(at: float, source: str, priority: int, vrid: int = 51) -> Sight:
    return Sight(at, "advert", source, "", vrid, priority)


def test_a_takeover_ends_with_the_first_advert_of_the_new_master() -> None:
    sights = [
        advert(0.9, "b", 90),  # before the fault: an election that was over by then
        advert(1.0, "a", 100),
        advert(1.1, "b", 90, vrid=7),
        advert(1.2, "b", 0),  # says that it leaves, not that it is there
        Sight(1.25, "arp", "b", ""),
        advert(1.3, "b", 90),
        advert(1.4, "b", 90),
    ]
    assert witness.takeover(sights, "b", 51, since=1.0) == pytest.approx(0.3)
    assert witness.takeover(sights, "b", 51, since=1.5) is None


def test_what_a_witness_prints_is_read_back() -> None:
    line = '{"at": 1.0, "kind": "arp", "source": "x", "mac": "y", "vrid": 0, "priority": 0}'
    assert witness.read(["listening", line]) == [Sight(1.0, "arp", "x", "y")]


def listing(*elements: Mapping[str, object]) -> str:
    counters = [
        {"counter": {"name": "translated", "packets": 12}},
        {"counter": {"name": "untranslated", "packets": 3}},
    ]
    offenders = {"set": {"name": "offenders", **({"elem": list(elements)} if elements else {})}}
    return json.dumps({"nftables": [{"metainfo": {}}, *counters, offenders]})


def test_a_capture_is_read_from_what_nft_prints() -> None:
    pair = {"concat": ["192.168.100.10", "8.8.8.8"]}
    plain = capture.parse(listing(pair))
    assert plain == capture.Capture(12, 3, (("192.168.100.10", "8.8.8.8"),))
    assert capture.parse(listing({"elem": {"val": pair, "expires": 3}})) == plain
    assert capture.parse(listing()).offenders == ()


def test_figures_of_several_drills_are_summed_up() -> None:
    assert summary([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert summary([]) == {}


@pytest.mark.parametrize(
    ("opened", "failed", "broken"),
    [(200, [3.1, 3.2], 0), (200, [3.1, 3.2, 3.3], 1), (0, [], 1)],
    ids=["two of 200", "three", "nobody came"],
)
def test_of_new_connections_nearly_all_must_work_at_once(
    opened: int, failed: list[float], broken: int
) -> None:
    found = Findings()
    newcomers.note(found, newcomer.Tally(opened, failed), "then")
    assert len(found.broken) == broken
    share = round(100 * (1 - len(failed) / opened), 1) if opened else 0.0
    assert found.figures == {"new connections that worked at once then, %": share}
    if failed and broken:
        assert "those begun after 3.1, 3.2, 3.3 s" in found.broken[0]
