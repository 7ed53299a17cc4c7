"""VRRP's timers against figures worked out by hand from the RFCs."""

import pytest

from appliance.vrrp import master_down_interval, skew_time


@pytest.mark.parametrize(
    ("version", "priority", "interval", "skew", "down"),
    [
        (2, 100, 1.0, 0.609375, 3.609375),
        (2, 90, 1.0, 0.6484375, 3.6484375),
        (2, 90, 5.0, 0.6484375, 15.6484375),  # version 2: the skew knows no interval
        (3, 100, 1.0, 0.609375, 3.609375),
        (3, 90, 0.1, 0.06484375, 0.36484375),
        (3, 90, 0.02, 0.01296875, 0.07296875),
        (3, 254, 0.01, 0.000078125, 0.030078125),
    ],
)
def test_timers(version: int, priority: int, interval: float, skew: float, down: float) -> None:
    assert skew_time(version, priority, interval) == pytest.approx(skew)
    assert master_down_interval(version, priority, interval) == pytest.approx(down)
