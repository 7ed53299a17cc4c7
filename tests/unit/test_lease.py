"""The lease of a frozen node: what renews it, how long it runs, and what hangs on it."""

from pathlib import Path

import pytest

from appliance.config import gateway_file
from appliance.config.model import Config, Failback, Interfaces
from appliance.planning import firewall, lease, virtual_macs
from appliance.planning.ruleset import Chain, ChainKind, Drop, Refresh, Rule, Ruleset, Stop
from appliance.planning.wanted import Names
from appliance.vrrp import master_down_interval

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(GOLDEN.glob("[0-9][0-9]-*/gateway.yaml"))
INTERFACES = Interfaces(lan="eth1", wan="eth0", sync="eth2")


@pytest.fixture(params=CASES, ids=lambda path: path.parent.name)
def wanted(request: pytest.FixtureRequest) -> Config:
    return gateway_file.parse(request.param.read_bytes())


def ruleset(wanted: Config, *, leased: bool = True) -> Ruleset:
    sides = virtual_macs.sides(wanted, INTERFACES, Names())
    return firewall.ruleset(wanted, "master", sides, Names().mark, leased=leased)


def naming(rules: Ruleset, deed: type[Refresh | Stop], timer: str) -> set[str]:
    """The chains in which a timer is refreshed, or stopped."""
    return {
        chain.name
        for chain in rules.chains
        for rule in chain.rules
        if isinstance(rule.action, deed) and rule.action.timer == timer
    }


def silent(rules: Ruleset) -> list[tuple[Chain, Rule]]:
    found = [(chain, rule) for chain in rules.chains for rule in chain.rules]
    return [(chain, rule) for chain, rule in found if rule.match.run_out]


def test_a_lease_is_over_before_the_peer_takes_over(wanted: Config) -> None:
    seconds = {timer.name: timer.seconds for timer in lease.timers(wanted)}
    for node in wanted.nodes.values():
        vgw = wanted.vgw
        down = master_down_interval(vgw.vrrp_version, node.priority, vgw.advert_interval)
        assert vgw.advert_interval < seconds[lease.LEADS] < down
    assert seconds[lease.LEADS] == seconds[lease.PEER_LEADS]


def test_each_family_keeps_timers_of_its_own(wanted: Config) -> None:
    rules = ruleset(wanted)
    assert naming(rules, Refresh, lease.LEADS) == {"departing", "lo-in"}
    assert naming(rules, Refresh, lease.PEER_LEADS) == {"arriving", "lan-in"}
    assert naming(rules, Stop, lease.PEER_LEADS) == {"arriving", "lan-in"}
    assert naming(rules, Refresh, lease.LIVES) == {"departing"}
    assert naming(rules, Refresh, lease.PEER_LED) == {"arriving"}
    assert naming(rules, Stop, lease.PEER_LED) == {"arriving"}


def test_nobody_falls_silent_who_hears_no_peer_lead_or_advertises(wanted: Config) -> None:
    found = silent(ruleset(wanted))
    assert {chain.name for chain, _ in found} == {
        "setting-out",
        "departing",
        "input",
        "forwarded",
        "lan-in",
        "wan-in",
    }
    for chain, rule in found:
        hushed = chain.name == "departing"
        assert rule.match.running == ((lease.PEER_LED if hushed else lease.PEER_LEADS),)
        assert lease.LEADS in rule.match.run_out
        assert isinstance(rule.action, Drop) or chain.name == "setting-out"


def test_who_stood_still_tells_its_peer_nothing_of_leading_and_of_flows_before_it_has_beaten(
    wanted: Config,
) -> None:
    *adverts, message = (
        rule.match for chain, rule in silent(ruleset(wanted)) if chain.name == "departing"
    )
    # Where VRRP alone decides, an advert is kept back by nothing.
    plain = wanted.vgw.failback is Failback.PLAIN
    kept = [] if plain else [("vrrp", False)]
    found = [(one.protocol, one.vrrp_farewell) for one in adverts]
    assert found == kept, "a farewell may leave"
    assert (message.ports, message.tells_flows) == (((wanted.sync.port,) * 2,), True)
    for match in (*adverts, message):
        assert match.run_out == (lease.LEADS, lease.LIVES)


def test_what_should_set_out_and_is_dropped_by_the_lease_is_not_missed(wanted: Config) -> None:
    (counted,) = [rule for chain, rule in silent(ruleset(wanted)) if chain.name == "setting-out"]
    assert not counted.count


def test_frames_are_seen_on_the_interfaces_that_they_come_by(wanted: Config) -> None:
    found = {one.name: one for one in ruleset(wanted).chains if one.kind is ChainKind.FRAMES}
    assert {name: one.interfaces for name, one in found.items()} == {
        "lan-in": ("eth1",),
        "lo-in": ("lo",),
        "wan-in": ("eth0",),
    }
    asked = {rule.match.asked_for for one in found.values() for rule in one.rules} - {()}
    assert asked == {(wanted.vgw.address.ip, wanted.wan.address.ip)}


def test_a_kernel_that_sees_no_frames_has_the_rest(wanted: Config) -> None:
    whole, plain = ruleset(wanted), ruleset(wanted, leased=False)
    more = (ChainKind.LAST, ChainKind.FRAMES)
    assert plain.chains == tuple(one for one in whole.chains if one.kind not in more)
    assert plain.timers == whole.timers
