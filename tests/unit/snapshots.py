"""A beat as a peer says it, and snapshots as an agent writes them, for the tests of what reads them."""

from appliance.pair import pair_status
from appliance.pair.beat import Beat
from appliance.status import status_file
from appliance.status.node_status import (
    Counters,
    Dropped,
    Moment,
    PairStatus,
    Promise,
    Snapshot,
)
from appliance.vrrp import Role

# What a MASTER says, and what of it its standby tells.
PEER = Beat(
    node="backup",
    role="MASTER",
    ready=True,
    reason="all is well",
    priority=90,
    entries=1000,
    quiet=0.1,
    still=0.0,
    generation=17,
    canary=5,
    seen=0,
    replicas=True,
    asks=0,
    prepared=0,
    config="abc",
    schema=1,
    version="0.1.0",
    digest="def",
)
ALONE = PairStatus(
    reason="all is well",
    aside=False,
    uplink=None,
    entries=0,
    entries_limit=262144,
    refused=None,
    canary=0,
    lag_ms=None,
    degraded="",
    behind="",
    behind_s=0.0,
    counters=Counters(),
    peer=None,
)
SNAPSHOT = Snapshot(
    node="master",
    config="/etc/vgw/gateway.yaml",
    role=Role.MASTER,
    since=1000.0,
    written=1059.0,
    sentence="now MASTER: this node holds the VGW (keepalived said MASTER)",
    vgw="192.168.100.99/24",
    wan_vip="203.0.113.99/24",
    profile="standard",
    failback="gated",
    promise=Promise(takeover_s=0.3648, release_s=0.0648),
    ready=True,
    programs={"agent": "RUNNING", "keepalived": "RUNNING"},
    pair=ALONE,
    version="0.1.0",
    boot="c0ffee",
    since_s=1000.0,
    written_s=1059.0,
)
STANDBY = SNAPSHOT._replace(
    dropped=(
        Dropped("input", "everything else", 3, 180),
        Dropped("leak-guard", "untranslated", 0, 0),
    ),
    role=Role.BACKUP,
    pair=PairStatus(
        reason="takes over again in 2 s",
        aside=True,
        uplink=True,
        entries=12,
        entries_limit=262144,
        refused=5,
        canary=7,
        lag_ms=4.0,
        degraded="",
        behind="",
        behind_s=0.2,
        counters=Counters(messages_lost=3),
        peer=pair_status.peer(PEER),
    ),
)


def at(monotonic: float, boot: str = "c0ffee") -> Moment:
    """A moment on the clock of the machine's start in which the snapshots were written, by a wall clock that is wrong."""
    return Moment(boot, monotonic, monotonic - 3600.0)


def written(snapshot: Snapshot, ago: float = 0.0, in_role: float = 60.0) -> Snapshot:
    """The snapshot as an agent of this machine wrote it so many seconds ago, in its role for so long now."""
    now = status_file.moment()
    return snapshot._replace(
        boot=now.boot, written_s=now.monotonic - ago, since_s=now.monotonic - in_role
    )
