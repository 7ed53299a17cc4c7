"""When each kind of entry is looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.conntrack.replica_refresh import DEFAULTS, Refresher, due, spacing

SPACES = spacing({**DEFAULTS, "udp_stream": 180, "tcp_established": 7200})


def test_each_kind_is_looked_at_thrice_in_its_timer_the_shortest_first() -> None:
    assert list(SPACES.items()) == [
        ("udp", 10),
        ("icmp", 10),
        ("udp_stream", 60),
        ("tcp_established", 100),  # of 300, which unacknowledged data leaves
    ]
    assert spacing({**DEFAULTS, "tcp_established": 60})["tcp_established"] == 20


def test_a_node_that_has_looked_at_nothing_has_everything_to_do() -> None:
    assert due(SPACES, {}, 0.0) == list(SPACES)


def test_a_kind_is_due_again_when_its_time_has_come() -> None:
    last = {"udp": 1000.0, "icmp": 1005.0, "udp_stream": 950.0, "tcp_established": 911.0}
    assert due(SPACES, last, 1009.9) == []
    assert due(SPACES, last, 1010.0) == ["udp", "udp_stream"]
    assert due(SPACES, last, 1011.0) == ["udp", "udp_stream", "tcp_established"]


@given(st.lists(st.floats(0.01, 30), min_size=10, max_size=200))
def test_no_pass_comes_early_nor_later_than_one_look(steps: list[float]) -> None:
    now, last = 0.0, dict.fromkeys(SPACES, 0.0)
    for step in steps:
        now += step
        for kind in due(SPACES, last, now):
            assert SPACES[kind] <= now - last[kind] < SPACES[kind] + step + 1e-6
            last[kind] = now
        assert all(now - began < SPACES[kind] for kind, began in last.items())


def test_a_new_master_leaves_its_first_passes_for_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The timers of the one that it follows are true, and flows that begin now must not wait.
    holds, now = [False], [100.0]
    monkeypatch.setattr("appliance.wires.local_address.holds", lambda _: holds[0])
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    refresher = Refresher("192.168.100.99", DEFAULTS, 1000)
    passes: list[str] = []
    monkeypatch.setattr(refresher, "_pass", passes.append)
    monkeypatch.setattr(refresher, "_forget", lambda: passes.append("forget"))
    refresher.look()
    assert passes == []
    holds[0] = True
    refresher.look()
    assert passes == ["forget"]
    now[0] += refresher.spaces["udp"]
    refresher.look()
    assert passes == ["forget", "udp", "icmp"]


def test_one_that_starts_on_a_master_begins_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.wires.local_address.holds", lambda _: True)
    refresher = Refresher("192.168.100.99", DEFAULTS, 1000)
    passes: list[str] = []
    monkeypatch.setattr(refresher, "_pass", passes.append)
    monkeypatch.setattr(refresher, "_forget", lambda: passes.append("forget"))
    refresher.look()
    assert passes == [*refresher.spaces, "forget"]
