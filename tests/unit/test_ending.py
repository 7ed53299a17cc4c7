"""Flows are ended by a process of their own, which is told what to judge by and says how many there were."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from socket import AF_NETLINK, SOCK_RAW

import pytest

from appliance import ApplianceError, netlink
from appliance.conntrack import end_flows, ending, permissions
from appliance.conntrack.ctnetlink import TCP, UDP, Flow
from appliance.conntrack.ending import END_SECONDS, Ended, FlowEnd
from appliance.conntrack.passing import Lack, Passing
from tests.waiting import eventually

from .kernel_stand_ins import ConnectionTable, Kept, opened
from .test_passing import VIP, WEB, file, number, ports

FORMER, NOW = permissions.of(ports(WEB)), permissions.of(file(forward="  policy: drop\n"))
INSIDE, WORLD = bytes((192, 168, 100, 10)), bytes((8, 8, 8, 8))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> ConnectionTable:
    found = ConnectionTable()
    opened(monkeypatch).lead(AF_NETLINK, SOCK_RAW, netlink.NETFILTER, to=found.door)
    return found


def translated(port: int) -> Kept:
    """A flow of a machine to the world, which sees it as the WAN VIP."""
    return Kept(Flow(TCP, INSIDE, WORLD, port, 443), 7200, seen_as=number(VIP).to_bytes(4, "big"))


def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    former: Passing,
    now: Passing,
) -> dict[str, int]:
    """Be the process."""
    monkeypatch.setattr("sys.stdin", io.StringIO(end_flows.words(former, now)))
    end_flows.main()
    found: dict[str, int] = json.loads(capsys.readouterr().out)
    return found


def test_those_that_pass_no_more_end_are_counted_and_others_stay(
    kernel: ConnectionTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    local = Kept(Flow(UDP, INSIDE, bytes((192, 168, 100, 99)), 5000, 53), 30)
    kernel.keep(*map(translated, range(1, 251)), local)
    assert run(monkeypatch, capsys, FORMER, FORMER) == {}
    assert len(kernel.entries) == 251
    assert run(monkeypatch, capsys, FORMER, NOW) == {str(Lack.RULE): 250}
    assert list(kernel.entries.values()) == [local]


def test_a_kernel_that_refuses_is_told(
    kernel: ConnectionTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.refuses = 1
    monkeypatch.setattr("sys.stdin", io.StringIO(end_flows.words(FORMER, NOW)))
    with pytest.raises(SystemExit, match="the kernel refused to show the connection table: CAP"):
        end_flows.main()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Has a shell script run in the place of the process."""

    def put(script: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        return path

    return put


def outcome(end: FlowEnd, at: float = 0.0) -> Ended | None:
    assert eventually(lambda: end.is_over(at))
    return end.outcome(at)


def test_it_is_told_what_to_judge_by_and_says_how_many_ended(
    program: Callable[[str], Path], tmp_path: Path
) -> None:
    program(f'cat > {tmp_path}/given; echo "$*" > {tmp_path}/words; echo \'{{"{Lack.PORT}": 1}}\'')
    end = FlowEnd()
    assert (end.is_over(0.0), end.outcome(0.0)) == (False, None)
    end.begin(FORMER, NOW, 0.0)
    ended = outcome(end)
    assert ended
    assert ended.sentence == (
        "1 flow ended that the file no longer allows: 1 of ports that lead elsewhere or nowhere"
    )
    assert (tmp_path / "given").read_text() == end_flows.words(FORMER, NOW)
    assert (tmp_path / "words").read_text() == "-m appliance.conntrack.end_flows\n"
    assert (end.is_over(0.0), end.outcome(0.0)) == (False, None), "it is told once"
    assert Ended({}).sentence == Ended({str(Lack.RULE): 0}).sentence == ""


def test_one_that_fails_says_nonsense_or_hangs_is_a_problem_that_is_told(
    program: Callable[[str], Path],
) -> None:
    end = FlowEnd()
    program("echo no table here; exit 1")
    end.begin(FORMER, NOW, 0.0)
    ended = outcome(end)
    assert ended
    assert ended.sentence == "flows that the file no longer allows may go on: no table here"
    program("echo done")
    end.begin(FORMER, NOW, 0.0)
    with pytest.raises(ApplianceError, match=r"what ends flows said 'done\\n': "):
        outcome(end)
    program("exec sleep 60")
    end.begin(FORMER, NOW, 0.0)
    assert not end.is_over(END_SECONDS)
    ended = outcome(end, END_SECONDS + 0.1)
    assert ended
    assert ended.problem == "the connection table was not read within 30 s"
    program("").unlink()
    with pytest.raises(ApplianceError):
        end.begin(FORMER, NOW, 0.0)
    assert ending.END_SECONDS < 60
