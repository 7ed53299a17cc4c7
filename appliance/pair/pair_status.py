"""What `status` tells of the pair, as this node knows it."""

from dataclasses import asdict
from typing import Any

from appliance.conntrack import table
from appliance.pair.side import Pair


def of(pair: Pair, now: float) -> dict[str, Any]:
    """The verdict, the way out, the tables, the replication, and the peer's last beat."""
    return {
        "reason": pair.verdict.reason,
        "aside": pair.verdict.aside,
        "uplink": pair.uplink.works() if pair.uplink else None,
        "entries": table.count(),
        "entries_limit": table.limit(),
        "refused": table.refused(),
        "canary": pair.replicas.number,
        "lag_ms": pair.replicas.lag_ms,
        "degraded": pair.degraded or pair.unheard,
        "behind": pair.behind,
        "behind_s": round(pair.waited(now), 1),
        "counters": dict(pair.replicas.orders.counters),
        "peer": asdict(pair.peer.beat) if pair.peer.beat else None,
    }
