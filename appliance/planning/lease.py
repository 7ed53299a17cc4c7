"""What lets a frozen node go, and keeps it silent as it goes on: timers in the kernel that its own words and its peer's refresh, and what hangs on them.

A node whose programs say nothing more still holds the floating addresses, for nobody takes them away. So its right to them is a
lease (Gray and Cheriton, "Leases", SOSP 1989), which its own adverts renew. Where that has run out and its peer is heard to lead,
its kernel falls silent for them; a node that hears nobody never does.
"""

from dataclasses import replace

from appliance.addresses import Address
from appliance.config.model import Config, Failback
from appliance.planning.nat import host
from appliance.planning.ruleset import (
    Accept,
    Chain,
    ChainKind,
    CtState,
    Drop,
    Hook,
    Match,
    Refresh,
    Rule,
    Show,
    Stop,
    Timer,
)
from appliance.planning.virtual_macs import Sides
from appliance.vrrp import DOWN_ADVERTS

# Adverts of its own have left of late; adverts of its peer's have come in; beats of its own have left.
LEADS, PEER_LEADS, LIVES = "leads", "peer-leads", "lives"
# Adverts of its peer's have come in not long ago.
PEER_LED = "peer-led"
BEATLESS = 1.5  # seconds without a beat of its own; the peer calls that silence
# Seconds for which a peer that has led is taken to lead: on a machine that wakes up its adverts are late.
LED = 5.0
_PEERS = "the peer's to answer"
_STOOD_STILL = "its programs stood still, and its peer leads"
_SILENT = "its programs are silent, and its peer leads"


def timers(config: Config) -> tuple[Timer, ...]:
    """The timers; with new rules none runs, and a node serves.

    Who takes over waits for as many adverts, and its skew on top: so a lease is over before.
    """
    missed = DOWN_ADVERTS * config.vgw.advert_interval
    return (
        Timer(LEADS, missed),
        Timer(PEER_LEADS, missed),
        Timer(PEER_LED, max(LED, missed)),
        Timer(LIVES, BEATLESS),
    )


def heard(advert: Match, timers: tuple[str, ...] = (PEER_LEADS, PEER_LED)) -> tuple[Rule, ...]:
    """What an advert of the peer's says; one that says farewell ends what it said before."""
    stays, leaves = _said(advert, farewell=False), _said(advert, farewell=True)
    return (
        *(Rule(Refresh(timer), stays, "the peer leads") for timer in timers),
        *(Rule(Stop(timer), leaves, "the peer leaves") for timer in timers),
    )


def advertised(advert: Match) -> Rule:
    """What an advert of this node's own says when it leaves."""
    return Rule(Refresh(LEADS), _said(advert, farewell=False), "this node leads")


def beaten(beat: Match) -> Rule:
    """What a beat of this node's own says when it leaves."""
    return Rule(Refresh(LIVES), beat, "this node's agent lives")


def answers_nobody(config: Config) -> Rule:
    """What asks for a floating address, and is the peer's to answer; a standby does not have them."""
    floating = tuple(prefix for one in _floating(config) for prefix in host(one))
    match = Match(destination=floating, running=(PEER_LEADS,), run_out=(LEADS,))
    return Rule(Drop(), match, _PEERS, count=True)


def begins_no_flow() -> Rule:
    """New flows, whose answers the peer would get and not know: nobody here tells it of them.

    Known ones pass, for the peer has them. So does all while the agent lives: to a standby come the flows of machines
    that have yet to hear of the MASTER.
    """
    match = Match(ct_state=(CtState.NEW,), running=(PEER_LEADS,), run_out=(LEADS, LIVES))
    return Rule(Drop(), match, _SILENT, count=True)


def says_nothing(config: Config, advert: Match, message: Match) -> tuple[Rule, ...]:
    """What programs that stood still would tell the peer as they go on, until the agent has judged who leads.

    An advert would have the peer let go of a VGW whose flows are known there alone; conntrackd would end those that have run out
    here meanwhile, for nothing came by. Where VRRP alone decides the advert leaves: keepalived claims the VGW by gratuitous ARP
    all the same, and a second later would be two nodes that each get half of every new flow.
    """
    flows = replace(message, tells_flows=True)
    plain = config.vgw.failback is Failback.PLAIN
    said = (flows,) if plain else (_said(advert, farewell=False), flows)
    return tuple(
        Rule(
            Drop(),
            replace(one, running=(PEER_LED,), run_out=(LEADS, LIVES)),
            _STOOD_STILL,
            count=True,
        )
        for one in said
    )


def shown(interfaces: Sides) -> Chain:
    """Own adverts, on their way out, for `frames`: a chain at the LAN's way out would meet each packet that is forwarded there."""
    leading = _said(Match(out_interface=interfaces.lan, protocol="vrrp"), farewell=False)
    rule = Rule(Show(), leading, "this node leads")
    return Chain("shown", Hook.OUTPUT, ChainKind.LAST, (rule,))


def frames(config: Config, advert: Match, interfaces: Sides) -> tuple[Chain, ...]:
    """The same for ARP, which no chain of IP sees, on the interfaces that the frames come by.

    Only questions are dropped: a new MASTER's gratuitous ARPs may leave before the first advert that renews its lease, and
    a standby must hear its MASTER's, by which it knows that the network lets virtual MACs through.
    """
    asked = Rule(
        Drop(),
        Match(asked_for=_floating(config), running=(PEER_LEADS,), run_out=(LEADS,)),
        _PEERS,
        count=True,
    )
    # One comparison is all that other packets of IP meet; of ARP, which has no protocol above it, this says nothing.
    others = Rule(Accept(), Match(protocol_not="vrrp"), "no advert")
    lan, wan = interfaces.lan[:1], interfaces.wan[:1]
    own = Match(protocol="vrrp")
    return (
        _on(lan, "lan-in", others, asked, *heard(replace(advert, in_interface=()), (PEER_LEADS,))),
        _on(("lo",), "lo-in", advertised(own), Rule(Drop(), own, "has been seen")),
        _on(wan, "wan-in", asked),
    )


def _on(interfaces: tuple[str, ...], name: str, *rules: Rule) -> Chain:
    return Chain(name, Hook.INGRESS, ChainKind.FRAMES, rules, interfaces=interfaces)


def _floating(config: Config) -> tuple[Address, ...]:
    return (config.vgw.address.ip, config.wan.address.ip)


def _said(advert: Match, *, farewell: bool) -> Match:
    return replace(advert, vrrp_farewell=farewell)
