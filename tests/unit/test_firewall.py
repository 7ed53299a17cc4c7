"""The firewall in neutral words: what must hold for every configuration there is."""

import json
import re
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from appliance import Unsupported
from appliance.addresses import Address, Family
from appliance.config import gateway_file
from appliance.config.model import Config, Interfaces
from appliance.drivers.nftables import counts
from appliance.planning import firewall, nft_text, virtual_macs
from appliance.planning.ruleset import (
    Accept,
    Admit,
    Chain,
    ChainKind,
    Count,
    Dnat,
    Drop,
    Hook,
    Mark,
    Match,
    NoTrack,
    Refresh,
    Rule,
    Ruleset,
    Show,
    Snat,
    Stop,
    Timer,
)
from appliance.planning.wanted import Names

CASES = sorted((Path(__file__).parents[1] / "golden").glob("[0-9][0-9]-*/gateway.yaml"))
INTERFACES = Interfaces(lan="eth1", wan="eth0", sync="eth2")
NOWHERE = (IPv4Network("0.0.0.0/32"),)
TABLE, MARK = Names().table, Names().mark


@pytest.fixture(params=CASES, ids=lambda path: path.parent.name)
def wanted(request: pytest.FixtureRequest) -> Config:
    return gateway_file.parse(request.param.read_bytes())


def ruleset(wanted: Config) -> Ruleset:
    """The rules of the node `master`."""
    sides = virtual_macs.sides(wanted, INTERFACES, Names())
    return firewall.ruleset(wanted, "master", sides, MARK)


@pytest.fixture
def rules(wanted: Config) -> Ruleset:
    return ruleset(wanted)


def chain(rules: Ruleset, name: str) -> Chain:
    return next(chain for chain in rules.chains if chain.name == name)


def test_input_and_forward_drop_what_nothing_names(rules: Ruleset) -> None:
    for found in rules.chains:
        if found.kind is ChainKind.FILTER and found.hook in (Hook.INPUT, Hook.FORWARD):
            assert found.drop_rest
            assert isinstance(found.rules[-1].action, Drop)
            assert found.rules[-1].count


@pytest.mark.parametrize(
    ("opened", "hears"),
    [
        ("", False),
        ("{from: 192.168.100.0/24, protocol: udp, ports: [67]}", True),
        ("{from: 0.0.0.0/0, protocol: udp, ports: [53, 60-70]}", True),
        ("{from: 192.168.100.0/24, protocol: tcp, ports: [67]}", False),
        ("{from: 192.168.100.0/24, protocol: udp, ports: [53]}", False),
        ("{from: 10.0.0.0/8, protocol: udp, ports: [67]}", False),
    ],
)
def test_who_asks_for_an_address_is_heard_where_input_opens_dhcp_to_the_lan(
    opened: str, *, hears: bool
) -> None:
    text = CASES[0].read_text() + f"\ninput: [{opened}]\n"
    rules = ruleset(gateway_file.parse(text.encode()))
    asks = {"source": NOWHERE, "protocol": "udp", "ports": ((67, 67),)}
    found = [
        one.name
        for one in rules.chains
        for rule in one.rules
        if asks.items() <= vars(rule.match).items() and rule.action == Accept()
    ]
    assert found == (["arriving", "input"] if hears else [])


def test_nothing_is_ever_rejected_or_masqueraded(rules: Ruleset) -> None:
    text = nft_text.text(rules, TABLE)
    assert not {"reject", "masquerade", "random", "flush ruleset"} & set(text.split())


def test_every_new_flow_that_is_forwarded_comes_from_a_named_inside(
    wanted: Config, rules: Ruleset
) -> None:
    peer = IPv4Network(wanted.nodes["backup"].sync.ip)
    inside = {rule.from_ for rule in wanted.nat.source} | {peer}
    for rule in chain(rules, "forwarded").rules:
        if isinstance(rule.action, Accept) and not rule.match.ct_redirected:
            known = {"established", "related"} == set(rule.match.ct_state)
            sources = rule.match.source
            assert known or all(any(s.subnet_of(i) for i in inside) for s in sources)
            assert known or sources


def test_what_is_translated_goes_to_an_address_that_moves(wanted: Config, rules: Ruleset) -> None:
    sides = virtual_macs.sides(wanted, INTERFACES, Names())
    ways = {sides.wan: wanted.wan.address.ip, sides.lan: wanted.vgw.address.ip}
    for rule in chain(rules, "translated").rules:
        assert isinstance(rule.action, Snat)
        assert rule.action.to == ways[rule.match.out_interface]


def test_neighbours_outside_come_as_the_vgw_only_where_the_file_says_so_and_a_port_leads_in() -> (
    None
):
    text = next(path for path in CASES if "05" in str(path)).read_text()
    for file, rules in (
        (text, [(IPv4Network("203.0.113.0/24"),)]),
        (text.replace("neighbours: vgw", "neighbours: themselves"), []),
        (re.sub(r"(?m)^  destination:\n(    - .*\n)+", "", text), []),
    ):
        translated = chain(ruleset(gateway_file.parse(file.encode())), "translated").rules
        found = [rule for rule in translated if rule.why == "nat.neighbours"]
        assert [rule.match.source for rule in found] == rules
        assert all(rule.match.ct_redirected for rule in found), "what the node itself sends is not"


@pytest.mark.parametrize("name", ["leak-guard", "forwarded", "departing"])
def test_every_inside_network_is_guarded_on_each_way_out(
    wanted: Config, rules: Ruleset, name: str
) -> None:
    guards = [rule for rule in chain(rules, name).rules if rule.why == "untranslated"]
    sync = {node.sync.network for node in wanted.nodes.values()}
    assert {network for rule in guards for network in rule.match.source} == {
        *(rule.from_ for rule in wanted.nat.source),
        wanted.vgw.address.network,
        *sync,
    }
    assert all(isinstance(rule.action, Drop) for rule in guards)


def test_a_known_flow_leaves_only_if_it_is_translated(rules: Ruleset) -> None:
    found = chain(rules, "forwarded").rules
    accepts = [
        number
        for number, rule in enumerate(found)
        if isinstance(rule.action, Accept) and "established" in rule.match.ct_state
    ]
    guards = [number for number, rule in enumerate(found) if rule.why == "untranslated"]
    assert [found[number].match.ct_translated for number in accepts] == [True, False]
    assert accepts[0] < min(guards)
    assert max(guards) < accepts[1]
    assert all(found[number].match.ct_state == ("established",) for number in guards)


def test_vrrp_and_replication_are_the_peers_alone_and_untracked(
    wanted: Config, rules: Ruleset
) -> None:
    peer = wanted.nodes["backup"]
    arriving = chain(rules, "arriving").rules
    for protocol, address in (("vrrp", peer.lan.ip), ("udp", peer.sync.ip)):
        found = [
            rule
            for rule in arriving
            if rule.match.protocol == protocol and not isinstance(rule.action, Refresh | Stop)
        ]
        untracked, accepted, dropped = found
        assert isinstance(untracked.action, NoTrack)
        assert isinstance(accepted.action, Accept)
        assert untracked.match == accepted.match
        assert accepted.match.source == (IPv4Network(address),)
        assert isinstance(dropped.action, Drop)
        assert not dropped.match.source
    first = next(rule for rule in arriving if rule.match.protocol_not != "vrrp")
    assert first.match.protocol == "vrrp"
    assert first.match.ttl == 255


def test_an_advert_counts_only_in_the_version_of_the_file(wanted: Config, rules: Ruleset) -> None:
    arriving, entering = chain(rules, "arriving").rules, chain(rules, "input").rules
    taken = [
        rule.match
        for rule in (*arriving, *entering)
        if rule.match.protocol == "vrrp" and not isinstance(rule.action, Drop)
    ]
    assert len(taken) == 7, (
        "it is not tracked, believed as it leads or leaves for two timers, accepted, and let in"
    )
    assert {match.vrrp_version for match in taken} == {wanted.vgw.vrrp_version}
    assert Rule(Drop(), Match(protocol="vrrp"), "VRRP from anybody else", count=True) in arriving


TIMER = Timer("one", 0.06)


def line(rule: Rule, kind: ChainKind = ChainKind.FILTER) -> str:
    """The rule as nft reads it."""
    framed = kind is ChainKind.FRAMES
    hook, places = (Hook.INGRESS, ("eth1",)) if framed else (Hook.INPUT, ())
    some = Chain("some", hook, kind, (rule,), interfaces=places)
    return nft_text.text(Ruleset((some,), (TIMER,)), TABLE).splitlines()[-3].strip()


@pytest.mark.parametrize(("version", "first"), [(2, "0x21"), (3, "0x31")])
def test_version_and_type_of_an_advert_are_one_byte(version: int, first: str) -> None:
    match = Match(protocol="vrrp", ttl=255, vrrp_version=version)
    assert line(Rule(Accept(), match)) == f"meta l4proto 112 ip ttl 255 @th,0,8 {first} accept"


@pytest.mark.parametrize(
    ("kind", "rule", "sentence"),
    [
        (
            ChainKind.FILTER,
            Rule(Accept(), Match(protocol="sctp"), "some reason"),
            "chain some: rule 1 (some reason): the number of protocol sctp is not known",
        ),
        (
            ChainKind.FILTER,
            Rule(Accept(), Match(ports=((80, 80),))),
            "chain some: rule 1 (no comment): protocol any has no ports",
        ),
        (
            ChainKind.FILTER,
            Rule(Dnat((("icmp", 1, IPv4Address("192.168.100.10"), 1),))),
            "chain some: rule 1 (no comment): protocol icmp has no ports to redirect",
        ),
        (
            ChainKind.FILTER,
            Rule(Accept(), Match(family=Family.IPV6, ttl=255), "some reason"),
            "chain some: rule 1 (some reason): nobody has said yet what family ipv6 is called",
        ),
        (
            ChainKind.GUARD,
            Rule(Accept()),
            "chain some: nothing of kind guard is called at input",
        ),
        (
            ChainKind.FILTER,
            Rule(Refresh("one"), Match(run_out=("other",)), "some reason"),
            "chain some: rule 1 (some reason): there is no timer other",
        ),
        (
            ChainKind.FILTER,
            Rule(Drop(), Match(asked_for=(Address("192.168.100.99"),)), "some reason"),
            "chain some: rule 1 (some reason): no packet of IP is an ARP request",
        ),
        (
            ChainKind.FRAMES,
            Rule(NoTrack(), Match(), "some reason"),
            "chain some: rule 1 (some reason): NoTrack is nothing that can be done with a frame",
        ),
        (
            ChainKind.FILTER,
            Rule(Show(), Match(), "some reason"),
            "chain some: rule 1 (some reason): only what has passed all filters is shown",
        ),
    ],
)
def test_what_nft_cannot_say_is_refused_and_never_left_out(
    kind: ChainKind, rule: Rule, sentence: str
) -> None:
    framed = kind is ChainKind.FRAMES
    hook, places = (Hook.INGRESS, ("eth1",)) if framed else (Hook.INPUT, ())
    rules = Ruleset((Chain("some", hook, kind, (rule,), interfaces=places),), (TIMER,))
    assert nft_text.problems(rules) == (sentence,)
    with pytest.raises(Unsupported, match="nft cannot say our ruleset"):
        nft_text.text(rules, TABLE)


@pytest.mark.parametrize(("hook", "places"), [(Hook.INGRESS, ()), (Hook.INPUT, ("eth1",))])
def test_only_frames_are_seen_at_an_interface(hook: Hook, places: tuple[str, ...]) -> None:
    kind = ChainKind.FILTER if places else ChainKind.FRAMES
    rules = Ruleset((Chain("some", hook, kind, (), interfaces=places),))
    told = "chain some: frames are seen at an interface, and packets of IP at none"
    assert nft_text.problems(rules) == (told,)


def test_nft_can_say_every_configuration(rules: Ruleset) -> None:
    assert nft_text.problems(rules) == ()


def test_a_timer_is_a_set_whose_element_each_refreshing_keeps() -> None:
    running = Match(running=("one",), run_out=("one",))
    assert line(Rule(Refresh("one"))) == "update @one { numgen inc mod 1 }"
    assert line(Rule(Stop("one"))) == "delete @one { numgen inc mod 1 }"
    assert line(Rule(Drop(), running)) == "numgen inc mod 1 @one numgen inc mod 1 != @one drop"
    some = Chain("some", Hook.INPUT, ChainKind.FILTER, (Rule(Refresh("one")),))
    text = nft_text.text(Ruleset((some,), (TIMER, Timer("unused", 1.0))), TABLE)
    assert "typeof numgen inc mod 1; flags dynamic,timeout; timeout 60ms; size 64;" in text
    assert "unused" not in text


def test_what_is_shown_is_copied_to_the_loopback_interface_in_a_table_of_its_own() -> None:
    rule = Rule(Show(), Match(out_interface=("eth1",), protocol="vrrp"))
    some = Chain("some", Hook.OUTPUT, ChainKind.LAST, (rule,))
    (family, script), *others = nft_text.scripts(Ruleset((some,)), TABLE).items()
    assert (family, others) == ("ip", [])
    words = 'oifname "eth1" meta l4proto 112 dup to 127.0.0.1 device "lo"'
    assert script.splitlines()[-3].strip() == words


def test_a_frame_is_asked_for_by_what_it_is() -> None:
    asked = Match(asked_for=(Address("192.168.100.99"), Address("203.0.113.99")))
    both = "{ 192.168.100.99, 203.0.113.99 }"
    words = f"arp operation request arp daddr ip {both} arp saddr ip != {both} drop"
    assert line(Rule(Drop(), asked), ChainKind.FRAMES) == words
    for leaves, words in ((True, "@th,16,8 0"), (False, "@th,16,8 != 0")):
        advert = Match(protocol="vrrp", vrrp_farewell=leaves)
        told = line(Rule(Refresh("one"), advert), ChainKind.FRAMES)
        assert told == f"meta l4proto 112 {words} update @one {{ numgen inc mod 1 }}"


def test_counters_of_one_chain_and_reason_are_one() -> None:
    def counting(chain: str, packets: int, **comment: str) -> str:
        count = {"counter": {"packets": packets, "bytes": 10 * packets}}
        return json.dumps({"rule": {"chain": chain, "expr": [count, {"drop": None}], **comment}})

    listed = ", ".join(
        [
            '{"metainfo": {}}',
            '{"rule": {"chain": "input", "expr": [{"accept": null}]}}',
            counting("input", 1, comment="everything else"),
            counting("leak-guard", 2, comment="untranslated"),
            counting("leak-guard", 3, comment="untranslated"),
            counting("other", 4),
        ]
    )
    assert counts(f'{{"nftables": [{listed}]}}') == (
        Count("input", "everything else", 1, 10),
        Count("leak-guard", "untranslated", 5, 50),
        Count("other", "", 4, 40),
    )


def test_what_is_admitted_at_once_is_what_the_rest_would_mark_and_let_in(
    wanted: Config, rules: Ruleset
) -> None:
    sides = virtual_macs.sides(wanted, INTERFACES, Names())
    arriving = chain(rules, "arriving").rules
    admitted = [rule for rule in arriving if isinstance(rule.action, Admit)]
    rest = arriving[len(admitted) :]
    drops = [rule.match for rule in rest if isinstance(rule.action, Drop)]
    (mark,) = [rule for rule in rest if isinstance(rule.action, Mark)]
    (passed,) = [rule for rule in rest if rule.why == "its source may come in here"]

    assert arriving[: len(admitted)] == tuple(admitted)
    assert {rule.match.in_interface for rule in admitted} == {sides.lan, sides.wan}
    assert {rule.action for rule in admitted} == {Admit(MARK)}
    assert Match(protocol="vrrp") in drops
    for match in (rule.match for rule in admitted):
        assert match.protocol_not == "vrrp"
        assert set(match.in_interface) <= set(passed.match.in_interface)
        assert set(match.in_interface) <= set(mark.match.in_interface)
        (own,) = [drop for drop in drops if drop.in_interface == match.in_interface]
        if match.in_interface == sides.lan:
            assert own == Match(in_interface=sides.lan, source_not=match.source)
        else:
            assert own.source == match.source_not


def test_a_prefix_of_three_bytes_is_asked_for_by_its_mask() -> None:
    def source(prefix: str, action: Accept | Drop, *, inverted: bool = False) -> str:
        networks = (IPv4Network(prefix),)
        match = Match(source_not=networks) if inverted else Match(source=networks)
        return line(Rule(action, match))

    assert source("10.1.2.0/24", Accept()) == "ip saddr & 255.255.255.0 == 10.1.2.0 accept"
    inverted = source("10.1.2.0/24", Drop(), inverted=True)
    assert inverted == "ip saddr & 255.255.255.0 != 10.1.2.0 drop"
    assert source("10.1.0.0/16", Accept()) == "ip saddr 10.1.0.0/16 accept"
    assert source("10.1.2.3/32", Accept()) == "ip saddr 10.1.2.3 accept"


def test_ports_become_one_map_however_many_they_are() -> None:
    case = next(path for path in CASES if "everything" in str(path))
    text = nft_text.text(ruleset(gateway_file.parse(case.read_bytes())), TABLE)
    assert text.count("dnat ip to") == 1
