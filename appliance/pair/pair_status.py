"""What `status` tells of the pair, as this node knows it."""

from appliance import vrrp
from appliance.config.model import Config
from appliance.conntrack import table
from appliance.pair.beat import Beat
from appliance.pair.side import Pair
from appliance.status.node_status import Counters, PairStatus, PeerStatus, Promise
from appliance.vrrp import Role


def of(pair: Pair, now: float) -> PairStatus:
    """The verdict, the way out, the tables, the replication, and the peer's last beat."""
    return PairStatus(
        reason=pair.verdict.reason,
        aside=pair.verdict.aside,
        uplink=pair.uplink.works() if pair.uplink else None,
        entries=table.count(),
        entries_limit=table.limit(),
        refused=table.refused(),
        canary=pair.replicas.number,
        lag_ms=pair.replicas.lag_ms,
        degraded=pair.degraded or pair.unheard,
        behind=pair.behind,
        behind_s=round(pair.waited(now), 1),
        counters=Counters(**pair.replicas.orders.counters),
        peer=peer(pair.peer.beat) if pair.peer.beat else None,
    )


def peer(beat: Beat) -> PeerStatus:
    """What the peer said, word for word."""
    words = {name: getattr(beat, name) for name in PeerStatus._fields}
    return PeerStatus(**words | {"role": Role(beat.role)})


def promise(config: Config) -> Promise:
    """How long the formulas give the node of lower priority to take over."""
    vgw, backup = config.vgw, min(node.priority for node in config.nodes.values())
    terms = (vgw.vrrp_version, backup, vgw.advert_interval)
    return Promise(
        takeover_s=round(vrrp.master_down_interval(*terms), 4),
        release_s=round(vrrp.skew_time(*terms), 4),
    )
