"""What the file says of the pair, as one of its nodes needs it. Pure."""

from dataclasses import dataclass

from appliance import vrrp
from appliance.addresses import Address
from appliance.config import digests
from appliance.config.model import Config, Failback
from appliance.planning import virtual_macs

GARP_REFRESH = 10.0  # seconds; for whoever missed the first gratuitous ARP


@dataclass(frozen=True)
class WireTerms:
    """What a node's sockets are opened by: where two files have these in common, they stay."""

    # On the sync link: the ends of the beats, and their port at both.
    own: Address
    peer: Address
    port: int
    # Whose adverts count on the LAN, and of which router id.
    advertiser: Address
    router_id: int
    # The own address outside, and who is asked from there whether the way out works.
    outside: Address | None
    targets: frozenset[Address]
    # The MACs of the VGW and of the WAN VIP, where they have some of their own.
    macs: tuple[str, ...]


@dataclass(frozen=True)
class Terms:
    """One node's view of the file. Times in seconds."""

    node: str
    peer: str
    priority: int
    # This node has the higher priority.
    outranks: bool
    # Its canaries have even numbers.
    even: bool
    failback: Failback
    # How long a failback waits.
    hold: float
    # Between two adverts; and without one until this node takes over.
    advert_interval: float
    patience: float
    # Between two gratuitous ARPs of a MASTER.
    refresh: float
    # Where conntrackd's messages come in.
    sync_port: int
    # This node's address on the LAN.
    home: Address
    # The addresses that move with the role: the VGW and the WAN VIP.
    floating: tuple[Address, Address]
    # Of the file's meaning: equal on two nodes that go by the same; and by a former version's formula.
    digest: str
    legacy_digest: str
    wires: WireTerms


def patience(config: Config, node: str) -> float:
    """Seconds without an advert until that node takes over."""
    vgw, priority = config.vgw, config.nodes[node].priority
    return vrrp.master_down_interval(vgw.vrrp_version, priority, vgw.advert_interval)


def terms(config: Config, node: str) -> Terms:
    """The terms of this node."""
    vgw, peer = config.vgw, config.peer_of(node)
    own = config.nodes[node]
    return Terms(
        node=node,
        peer=peer,
        priority=own.priority,
        outranks=own.priority > config.nodes[peer].priority,
        # By the order of the names. Priorities may be swapped in a file that one node has taken up and the
        # other has not, and two files that mean the same may list the nodes in another order.
        even=node > peer,
        failback=vgw.failback,
        hold=vgw.hold,
        advert_interval=vgw.advert_interval,
        patience=patience(config, node),
        refresh=virtual_macs.REFRESH if vgw.virtual_mac else GARP_REFRESH,
        sync_port=config.sync.port,
        home=own.lan.ip,
        floating=(vgw.address.ip, config.wan.address.ip),
        digest=digests.digest(config),
        legacy_digest=digests.legacy_digest(config),
        wires=_wires(config, node),
    )


def _wires(config: Config, node: str) -> WireTerms:
    me, peer = config.nodes[node], config.nodes[config.peer_of(node)]
    return WireTerms(
        own=me.sync.ip,
        peer=peer.sync.ip,
        port=config.sync.port + 1,
        advertiser=peer.lan.ip,
        router_id=config.vgw.virtual_router_id,
        outside=me.wan.ip if me.wan else None,
        targets=frozenset({config.wan.gateway, *config.wan.probes}),
        macs=virtual_macs.macs(config) if config.vgw.virtual_mac else (),
    )
