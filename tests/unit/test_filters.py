"""What other programs' filters do with what has to pass: judged on what kernels have answered, and said with the mend."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance import netlink
from appliance.config import gateway_file
from appliance.config.model import Interfaces
from appliance.filters import kernel, legacy_kernel, watch, whose
from appliance.filters.crossings import Crossing, Passes, Subject, crossings, let_out
from appliance.filters.hindrances import ForeignChain, hindrances
from appliance.filters.packets import HookPoint, Packet
from appliance.filters.verdicts import (
    ACCEPT,
    CONTINUE,
    DROP,
    MOST_RULES,
    RETURN,
    Called,
    Does,
    RuleVerdict,
    Step,
    Walk,
)
from appliance.filters.watch import Watch
from appliance.planning.wanted import Names

from .kernel_stand_ins import opened
from .nft_stand_in import Nftables, legacy
from .node_doors import GOLDEN

INTERFACES = Interfaces(lan="eth1", wan="eth0", sync="eth2")
OURS = frozenset({("inet", "vgw")})
UFW = "chain FORWARD of table ip filter"
OUT, BACK = "what comes from inside", "the answers to what came from inside"


def subject(case: str = "01-standard", more: str = "") -> Subject:
    text = (GOLDEN / case / "gateway.yaml").read_text(encoding="utf-8") + more
    return Subject(gateway_file.parse(text.encode()), "master", INTERFACES, Names())


@pytest.fixture
def nftables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Nftables:
    """The kernel's nftables, with nothing in it, and no iptables-legacy."""
    found = Nftables()
    opened(monkeypatch).lead(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETFILTER, to=found.door)
    monkeypatch.setattr(legacy_kernel, "TABLE_NAMES", tmp_path / "ip_tables_names")
    return found


def said(what: Subject) -> list[str]:
    """What is to be said of the filters there are."""
    return [one.sentence for one in Watch(OURS).look(what).complaints]


def test_where_there_is_nothing_but_ours_there_is_nothing_to_say(nftables: Nftables) -> None:
    assert Watch(OURS).look(subject()) == watch.Found((1, ()))


ROUTE = "`ufw route allow in on eth1 out on eth0` lets it pass"
DOCKER = (
    "`iptables-nft -I DOCKER-USER -i eth1 -o eth0 -j ACCEPT; iptables-nft -I DOCKER-USER -i eth0 -o eth1 "
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT` lets it pass"
)
TRUST = "firewall-cmd --permanent --zone=trusted --change-interface={}; firewall-cmd --reload"


@pytest.mark.parametrize(
    ("tape", "sentences"),
    [
        (
            "ufw",
            [
                f"ufw drops {OUT} (TCP, UDP) ({UFW}): {ROUTE}",
                "ufw drops the peer's VRRP adverts and what the peer says on the sync link "
                "(chain INPUT of table ip filter): `ufw allow in on eth1 proto vrrp from 192.168.100.3; "
                "ufw allow in on eth2 proto udp from 10.99.0.3 to any port 3780:3781` lets it pass",
            ],
        ),
        (
            "firewalld",
            [
                f"firewalld drops {OUT} (chain filter_FORWARD of table inet firewalld): "
                f"`{TRUST.format('eth1')}` lets it pass",
                "firewalld drops the peer's VRRP adverts and what the peer says on the sync link (chain "
                f"filter_INPUT of table inet firewalld): `{TRUST.format('eth1')}; {TRUST.format('eth2')}` "
                "lets it pass",
            ],
        ),
        ("firewalld-mended", []),
        ("docker", [f"Docker drops {OUT} and {BACK} ({UFW}): {DOCKER}"]),
        ("docker-mended", []),
    ],
)
def test_each_known_program_is_named_with_its_own_mend(
    nftables: Nftables, tape: str, sentences: list[str]
) -> None:
    nftables.load(tape)
    assert said(subject()) == sentences


def test_the_mend_of_ufw_leaves_what_it_was_not_for(nftables: Nftables) -> None:
    nftables.load("ufw-mended")
    (left,) = Watch(OURS).look(subject()).complaints
    assert "VRRP adverts" in left.sentence
    assert not left.vital, "who hears nobody is judged by what is heard"


def test_what_is_dropped_of_opened_ports_is_said_too(nftables: Nftables) -> None:
    nftables.load("ufw")
    first, *_ = said(subject("05-everything"))
    assert first == (
        f"ufw drops {OUT} (TCP) and what comes for a port that is opened ({UFW}): `ufw route allow in on "
        "eth1 out on eth0; ufw route allow in on eth0 out on eth1` lets it pass"
    )


def test_with_virtual_macs_the_mend_names_the_interfaces_that_bear_them(nftables: Nftables) -> None:
    nftables.load("docker")
    (sentence,) = said(subject("07-hot"))
    assert "-i vgw-lan -o eth0 -j ACCEPT" in sentence
    assert "-i vgw-wan -o eth1 -m conntrack" in sentence


@pytest.mark.parametrize(
    ("tape", "sentences"),
    [
        ("legacy-ufw", [f"ufw drops {OUT} (TCP, UDP) "]),
        ("legacy-docker", [f"Docker drops {OUT} and {BACK} "]),
        ("legacy-docker-mended", []),
    ],
)
def test_iptables_legacy_is_read_too(
    nftables: Nftables, tape: str, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legacy_kernel, "tables", lambda: legacy(tape))
    found = [one for one in said(subject()) if OUT in one]
    assert [one.partition("(chain")[0] for one in found] == sentences
    assert all("(chain FORWARD of iptables-legacy's table filter)" in one for one in found)
    if "docker" in tape and found:
        assert (
            "`iptables-legacy -I DOCKER-USER -i eth1 -o eth0 -j ACCEPT; iptables-legacy" in found[0]
        )


# Of the made-up tables: by chain, what comes from inside surely meets (False: is dropped, None: perhaps).
WORDS = {
    "chain forward of table inet empty": dict.fromkeys(("TCP", "UDP", "ping"), False),
    "chain forward of table inet allows": {},
    "chain forward of table inet chooses": dict.fromkeys(("TCP", "UDP", "ping")),
    "chain prerouting of table ip maps": dict.fromkeys(("TCP", "UDP"), False),
    "chain prerouting of table ip pairs": {"TCP": None, "UDP": False, "ping": None},
    "chain PREROUTING of table ip mangle": dict.fromkeys(("TCP", "UDP", "ping"), False),
    "chain PREROUTING of table ip keeps": dict.fromkeys(("TCP", "UDP", "ping")),
    "chain PREROUTING of table ip raw": dict.fromkeys(("TCP", "UDP", "ping"), False),
    "chain in of table netdev early": {},
}


def test_policies_sets_maps_marks_and_devices_are_judged_as_the_kernel_takes_them(
    nftables: Nftables,
) -> None:
    nftables.load("words")
    found: dict[str, dict[str, bool | None]] = {name: {} for name in WORDS}
    for one in hindrances(outgoing(subject()), kernel.foreign_chains(OURS)):
        found[whose.place(one.chain)][one.crossing.of] = False if one.surely else None
    assert found == WORDS


def outgoing(what: Subject) -> list[Crossing]:
    return [one for one in crossings(what) if one.passes is Passes.OUT]


def test_a_filter_of_nobody_known_is_named_by_its_place_with_a_rule_to_insert(
    nftables: Nftables,
) -> None:
    nftables.load("words")
    chains = [one for one in kernel.foreign_chains(OURS) if one.table in ("empty", "raw", "maps")]
    found = hindrances(crossings(subject()), chains)
    told = {one.sentence for one in whose.complaints(found, crossings(subject()))}
    assert told == {
        f"a filter of another program drops {OUT} and {BACK} (chain forward of table inet empty): `nft insert "
        "rule inet empty forward iifname eth1 oifname eth0 accept; nft insert rule inet empty forward iifname "
        "eth0 oifname eth1 ct state established,related accept` lets it pass",
        f"a filter of another program drops {OUT} (chain PREROUTING of table ip raw): `iptables-nft -t raw -I "
        "PREROUTING -i eth1 -j ACCEPT` lets it pass",
        f"a filter of another program drops {OUT} (TCP, UDP) (chain prerouting of table ip maps): `nft insert "
        "rule ip maps prerouting iifname eth1 accept` lets it pass",
    }


def test_filters_are_read_again_only_where_something_is_another_one(nftables: Nftables) -> None:
    nftables.load("docker")
    looks, what = Watch(OURS), subject()
    first = looks.look(what)
    asked = nftables.asked
    assert looks.look(what) is first
    assert nftables.asked == asked + 1, "the ruleset's number, and nothing else"
    assert looks.look(replace(what, node="backup")) is not first
    nftables.unload()
    assert looks.look(what).complaints == ()


def test_filters_that_change_while_they_are_read_are_judged_once_they_do_not(
    nftables: Nftables,
) -> None:
    nftables.load("docker")
    looks, what = Watch(OURS), subject()
    nftables.restless = 100
    assert looks.look(what) == watch.Found()
    nftables.restless = 0
    assert len(looks.look(what).complaints) == 1


@pytest.mark.parametrize(
    ("forward", "protocols"),
    [
        ("", (1, 6, 17)),
        ("forward: {policy: drop}", ()),
        ("forward: {rules: [{action: drop, protocol: udp}]}", (1, 6)),
        ("forward: {rules: [{action: drop, protocol: udp, ports: [53]}]}", (1, 6, 17)),
        ("forward: {rules: [{action: drop, to: 198.51.100.0/24}]}", (1, 6, 17)),
        ("forward: {policy: drop, rules: [{action: accept, protocol: icmp}]}", (1,)),
        ("forward: {rules: [{action: accept, protocol: tcp}, {action: drop}]}", (6,)),
    ],
)
def test_what_our_own_file_drops_others_may_drop_too(
    nftables: Nftables, forward: str, protocols: tuple[int, ...]
) -> None:
    what = subject(more=forward)
    assert sorted(let_out(what.config)) == list(protocols)
    nftables.load("docker")
    assert any(one.vital for one in Watch(OURS).look(what).complaints) == bool(protocols)


def test_a_filter_that_drops_pings_alone_is_told_and_no_reason_to_let_go() -> None:
    chain = drops(HookPoint.FORWARD, only="ping")
    has_to_pass = crossings(subject())
    (told,) = whose.complaints(hindrances(has_to_pass, [chain]), has_to_pass)
    assert (f"drops {OUT} (ping)" in told.sentence, told.vital) == (True, False)


def drops(place: HookPoint, only: str = "", name: str = "x", **more: Any) -> ForeignChain:
    """A chain of somebody's that drops one kind of packet, or all."""
    number = {"ping": 1, "TCP": 6}.get(only)

    def steps(_: Called, packet: Packet) -> Iterator[Step]:
        if number in (None, packet.protocol):
            yield Step(True, frozenset({DROP}))

    return ForeignChain("ip", "t", name, place, 0, Does.ACCEPT, steps=steps, **more)


def test_a_chain_of_devices_drops_what_comes_and_goes_by_these() -> None:
    has_to_pass = crossings(subject())
    for place, device, passes in (
        (HookPoint.INGRESS, "eth1", {Passes.OUT, Passes.ADVERTS_IN}),
        (HookPoint.INGRESS, "eth0", {Passes.BACK}),
        (HookPoint.INGRESS, "eth9", set()),
        (HookPoint.EGRESS, "eth0", {Passes.OUT}),
        (HookPoint.EGRESS, "eth2", {Passes.SYNC_OUT}),
    ):
        found = hindrances(has_to_pass, [drops(place, devices=(device,))])
        assert {one.crossing.passes for one in found} == passes


def test_the_nodes_own_adverts_and_messages_are_let_out_by_name() -> None:
    for beside, mend in (
        (
            (),
            "`iptables-nft -I OUTPUT -o eth1 -p 112 -j ACCEPT; iptables-nft -I OUTPUT -o eth2 -p udp",
        ),
        (
            ("ufw-user",),
            "`ufw allow out on eth1 proto vrrp from 192.168.100.2; ufw allow out on eth2",
        ),
    ):
        chain = replace(drops(HookPoint.OUTPUT, name="OUTPUT", beside=beside), table="filter")
        has_to_pass = crossings(subject())
        (told,) = whose.complaints(hindrances(has_to_pass, [chain]), has_to_pass)
        assert mend in told.sentence
        assert not told.vital


def test_a_name_that_no_terminal_should_see_is_made_one_that_it_may() -> None:
    has_to_pass = crossings(subject())
    found = hindrances(has_to_pass, [drops(HookPoint.FORWARD, name="\x1b[2J\udcff")])
    (told,) = whose.complaints(found, has_to_pass)
    assert told.sentence.isprintable()
    assert whose.unexplained(found).isprintable()


def test_where_nothing_leaves_and_nobody_is_sure_to_drop_it_those_are_named_that_may(
    nftables: Nftables,
) -> None:
    nftables.load("words")
    chains = [one for one in kernel.foreign_chains(OURS) if one.table in ("chooses", "keeps")]
    assert whose.unexplained(hindrances(crossings(subject()), chains)) == (
        "what comes from inside is let in, and does not leave: it may be a filter of another program (chain "
        "PREROUTING of table ip keeps), or a filter of another program (chain forward of table inet chooses)"
    )
    assert "`nft list ruleset`" in whose.unexplained(())


# Ways through chains: rules by chain, and what may become of the packet where the policy is to accept.
JUMP, GOTO = (RuleVerdict(does, "other") for does in (Does.JUMP, Does.GOTO))
SURE, PERHAPS = True, False
WAYS: list[tuple[dict[str, list[tuple[bool, RuleVerdict]]], set[str]]] = [
    ({"base": []}, {"accept"}),
    ({"base": [(SURE, DROP)]}, {"drop"}),
    ({"base": [(PERHAPS, DROP)]}, {"accept", "drop"}),
    ({"base": [(PERHAPS, ACCEPT), (SURE, DROP)]}, {"accept", "drop"}),
    ({"base": [(SURE, CONTINUE), (SURE, DROP)]}, {"drop"}),
    ({"base": [(SURE, JUMP), (SURE, DROP)], "other": []}, {"drop"}),
    ({"base": [(SURE, JUMP), (SURE, DROP)], "other": [(SURE, ACCEPT)]}, {"accept"}),
    ({"base": [(SURE, JUMP), (SURE, DROP)], "other": [(SURE, RETURN)]}, {"drop"}),
    ({"base": [(SURE, GOTO), (SURE, DROP)], "other": [(SURE, RETURN)]}, {"accept"}),
    ({"base": [(SURE, GOTO), (SURE, DROP)], "other": [(PERHAPS, DROP)]}, {"accept", "drop"}),
    ({"base": [(PERHAPS, JUMP)], "other": [(SURE, DROP)]}, {"accept", "drop"}),
    ({"base": [(SURE, JUMP)], "other": [(SURE, JUMP)]}, {"accept", "drop"}),
]


@pytest.mark.parametrize(("chains", "outcomes"), WAYS)
def test_all_ways_through_chains_are_followed(
    chains: dict[str, list[tuple[bool, RuleVerdict]]], outcomes: set[str]
) -> None:
    def steps(chain: Called) -> list[Step]:
        return [Step(surely, frozenset({verdict})) for surely, verdict in chains[str(chain)]]

    assert Walk(steps).outcomes("base", Does.ACCEPT) == outcomes


def test_of_more_rules_than_one_should_read_nothing_is_sure() -> None:
    def steps(chain: Called) -> Iterator[Step]:
        for _ in range(MOST_RULES + 1):
            yield Step(False, frozenset({DROP}))

    assert Walk(steps).outcomes("base", Does.DROP) == {"accept", "drop"}
