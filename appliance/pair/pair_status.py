"""What `status` tells of the pair, as this node knows it."""

from appliance import vrrp
from appliance.config.model import Config
from appliance.pair.beat import Beat
from appliance.pair.side import Pair
from appliance.status.node_status import Counters, PairStatus, PeerStatus, Promise
from appliance.vrrp import Role


def of(pair: Pair) -> PairStatus:
    """The verdict, the way out, the tables, the replication, and the peer's last beat."""
    memory, ears, ask = pair.memory, pair.ears, pair.bulkheads.ask
    canaries, pings, said = memory.replication.canaries, ears.wires.pings, ears.peer.beat
    return PairStatus(
        reason=memory.verdict.reason,
        aside=memory.verdict.aside,
        uplink=ask("whether the way out works", pings.works, None) if pings else None,
        entries=ears.entries,
        entries_limit=ears.limit,
        refused=ask("the count of refused flows", pair.doors.table.refused, None),
        canary=canaries.number,
        lag_ms=canaries.lag_ms,
        degraded=memory.degraded or memory.unheard,
        behind=memory.behind,
        behind_s=round(memory.waited, 1),
        counters=Counters(**ears.counters),
        peer=peer(said) if said else None,
        false_takeovers=memory.false_takeovers,
        standstills=memory.standstills,
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
