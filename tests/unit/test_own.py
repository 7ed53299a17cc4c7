"""What an agent has seen of its own node: from when on it can have heard others."""

from appliance.pair.ears import Own

LOST = "eth1 has lost this node's address 192.168.100.2/24"


def seen(own: Own, now: float, *, carries: bool = True, lost: str = "") -> Own:
    return own.cabled(now, carries=carries, lan="eth1", lost=lost)


def test_a_node_whose_cable_or_own_address_is_back_begins_to_listen_then() -> None:
    for carries, lost in ((False, ""), (True, LOST), (False, LOST)):
        own = seen(Own(), 1.0, carries=carries, lost=lost)
        assert seen(own, 2.0, carries=carries, lost=lost).back == 0.0
        own = seen(own, 3.0)
        assert own.back == 3.0
        assert seen(own, 4.0).back == 3.0, "once"


def test_a_cable_that_is_back_without_the_address_lets_nothing_be_heard() -> None:
    own = seen(seen(Own(), 1.0, carries=False), 2.0, lost=LOST)
    assert own.back == 0.0
    assert seen(own, 3.0).back == 3.0
