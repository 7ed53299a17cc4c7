"""Routes, rules, addresses and links of ours: what differs is told, and made as it was told."""

import errno
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from appliance import CommandFailed
from appliance.drivers import links, routes
from appliance.planning.wanted import BLACKHOLE, Change, Route, RouteRule, VirtualLink

from .kernel_stand_ins import opened
from .rtnetlink_stand_in import Machine, machine

OURS = 201
WAY_OUT = Route(201, IPv4Network("0.0.0.0/0"), IPv4Address("203.0.113.1"), "eth0")
FROM_VIP = Route(
    254,
    IPv4Network("10.0.0.0/8"),
    IPv4Address("203.0.113.1"),
    "eth0",
    source=IPv4Address("203.0.113.2"),
)
RULES = (
    RouteRule(priority=100, table=254, specific_only=True),
    RouteRule(priority=101, table=201, interface="eth1", mark=0x10000),
    RouteRule(priority=102, table=BLACKHOLE, interface="eth1"),
)
VIRTUAL = VirtualLink("vgw-lan", "eth1", "00:00:5e:00:01:33")
NAMES = frozenset({VIRTUAL.name})


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = machine(monkeypatch, opened(monkeypatch))
    found.add_link("eth0", up=True, mac="02:00:00:00:00:01")
    found.add_link("eth1", mac="02:00:00:00:00:02")
    return found


def signs(changes: tuple[Change, ...]) -> list[str]:
    return [change.sign for change in changes]


def test_what_was_made_differs_no_more_and_what_is_not_wanted_goes(kernel: Machine) -> None:
    changes = routes.diff((WAY_OUT, FROM_VIP), RULES, OURS)
    assert [change.payload for change in changes] == [WAY_OUT, FROM_VIP, *RULES]
    routes.apply(changes, OURS)
    assert routes.diff((WAY_OUT, FROM_VIP), RULES, OURS) == ()
    assert routes.interfaces(OURS) == ("eth0", "eth1")
    gone = routes.diff((WAY_OUT,), RULES[:1], OURS)
    assert signs(gone) == ["-", "-", "-"]
    routes.apply(gone, OURS)
    assert routes.diff((WAY_OUT,), RULES[:1], OURS) == ()


def test_a_route_in_the_place_of_a_former_one_is_replaced_in_one_step(kernel: Machine) -> None:
    routes.put([WAY_OUT], OURS)
    other = Route(201, WAY_OUT.destination, IPv4Address("203.0.113.254"), "eth0")
    changes = routes.diff((other,), (), OURS)
    assert signs(changes) == ["+"]
    routes.apply(changes, OURS)
    assert routes.diff((other,), (), OURS) == ()


def test_routes_of_others_are_none_of_our_business(kernel: Machine) -> None:
    routes.put([WAY_OUT], 4)
    assert routes.diff((), (), OURS) == ()
    assert routes.interfaces(OURS) == ()


def test_what_is_so_already_is_no_error(kernel: Machine) -> None:
    made = routes.diff((WAY_OUT,), RULES, OURS)
    gone = [Change("-", change.what, change.payload) for change in made]
    for changes in (made, made, gone, gone):
        routes.apply(changes, OURS)
    assert kernel.routes == kernel.rules == []


def test_what_the_kernel_refuses_is_told_and_does_not_stop_the_rest(kernel: Machine) -> None:
    lost = Route(201, IPv4Network("10.0.0.0/8"), IPv4Address("203.0.113.1"), "gone0")
    with pytest.raises(CommandFailed) as error:
        routes.apply(routes.diff((lost, WAY_OUT), (), OURS), OURS)
    assert str(error.value) == f"the kernel refused + {lost}: there is no interface gone0"
    assert routes.diff((WAY_OUT,), (), OURS) == ()


def test_links_are_told_with_their_state_and_addresses(kernel: Machine) -> None:
    for address in ("203.0.113.99/32", "203.0.113.2/24"):
        kernel.add_address("eth0", address)
    found = routes.links()
    assert list(found) == ["lo", "eth0", "eth1"]
    own = (IPv4Interface("203.0.113.2/24"), IPv4Interface("203.0.113.99/32"))
    assert found["eth0"] == routes.Link(2, True, True, "02:00:00:00:00:01", own)
    assert (found["eth1"].enabled, found["eth1"].up) == (False, False)


def test_a_list_that_changes_while_it_is_read_is_read_again(kernel: Machine) -> None:
    kernel.add_address("eth0", "203.0.113.2/24")
    kernel.interruptions = 3
    assert routes.holds(IPv4Address("203.0.113.2"))
    kernel.interruptions = 1000
    with pytest.raises(OSError, match="changed each time while it was read"):
        routes.links()


def test_an_address_is_dropped_wherever_it_is_and_no_other(kernel: Machine) -> None:
    kept, dropped = IPv4Address("203.0.113.2"), IPv4Address("203.0.113.99")
    for address in (kept, dropped):
        kernel.add_address("eth0", f"{address}/24")
    kernel.refuses = errno.EADDRNOTAVAIL
    routes.drop((dropped,))  # somebody else was faster
    kernel.refuses = 0
    routes.drop((dropped, IPv4Address("203.0.113.50")))
    assert routes.holds(kept) and not routes.holds(dropped)


def test_a_virtual_link_is_made_silent_and_up_and_taken_away_again(kernel: Machine) -> None:
    changes = links.diff((VIRTUAL,), NAMES)
    assert signs(changes) == ["+"]
    links.apply(changes)
    assert links.diff((VIRTUAL,), NAMES) == ()
    gone = links.diff((), NAMES)
    assert signs(gone) == ["-"]
    links.apply(gone)
    assert links.diff((), NAMES) == () and len(kernel.links) == 3


def test_a_virtual_link_that_is_down_or_on_another_parent_is_put_right(kernel: Machine) -> None:
    links.apply(links.diff((VIRTUAL,), NAMES))
    kernel.links[kernel.index_of(VIRTUAL.name)].up = False
    for wanted in (VIRTUAL, VirtualLink(VIRTUAL.name, "eth0", VIRTUAL.mac)):
        changes = links.diff((wanted,), NAMES)
        assert signs(changes) == ["~"]
        links.apply(changes)
        assert links.diff((wanted,), NAMES) == ()


def test_a_strangers_link_of_our_name_is_left_alone(kernel: Machine) -> None:
    kernel.add_link(VIRTUAL.name)
    with pytest.raises(CommandFailed, match=r"the interface vgw-lan is not ours.*: rename it"):
        links.diff((VIRTUAL,), NAMES)
    assert links.diff((), NAMES) == ()


def test_a_link_that_the_kernel_refuses_is_told(kernel: Machine) -> None:
    changes = links.diff((VIRTUAL,), NAMES)
    kernel.refuses = errno.EPERM
    with pytest.raises(CommandFailed, match=r"the kernel refused \+ .*: Operation not permitted"):
        links.apply(changes)
