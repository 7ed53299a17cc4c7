"""The snapshot as metrics, in the text format that Prometheus reads."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from appliance.status.node_status import Dropped, Moment, PairStatus, Snapshot

_ROLES = ("MASTER", "BACKUP", "FAULT")


def text(snapshot: Snapshot, now: Moment) -> str:
    """All metrics of one node. Names end in their units (Prometheus, "Metric and label naming")."""
    registry = CollectorRegistry()

    def gauge(name: str, about: str, value: float) -> None:
        Gauge(f"vgw_{name}", about, registry=registry).set(value)

    roles = Gauge("vgw_role", "1 for the role that the node has", ["role"], registry=registry)
    for role in _ROLES:
        roles.labels(role).set(snapshot.role == role)
    gauge("role_seconds", "How long it has had this role", now.in_role(snapshot))
    gauge("status_age_seconds", "How old these figures are", now.age(snapshot))
    gauge("ready", "Whether it may be MASTER", snapshot.ready)
    gauge("role_changes", "Changes of role since the agent started", snapshot.role_changes)
    gauge("repairs", "Repaired drifts since the agent started", snapshot.repairs)
    gauge("problems", "Things that could not be put right", len(snapshot.problems))
    gauge("file_in_force", "Whether it goes by its file as that is now", not snapshot.file_errors)
    gauge("agent_resident_bytes", "The agent's memory", snapshot.resident_mb * 1e6)
    programs = Gauge("vgw_program_up", "Whether it runs", ["program"], registry=registry)
    for name, state in snapshot.programs.items():
        programs.labels(name).set(state == "RUNNING")
    registry.register(_Drops(snapshot.dropped))
    _pair(snapshot.pair, registry)
    return generate_latest(registry).decode()


class _Drops(Collector):
    """Counters whose value is the kernel's; a ruleset that is loaded anew begins at 0, as rate() expects."""

    def __init__(self, dropped: Iterable[Dropped]) -> None:
        self.dropped = tuple(dropped)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """A family for packets and one for bytes, by chain and rule."""
        labels = ("chain", "rule")
        packets = CounterMetricFamily(
            "vgw_dropped_packets", "Packets that the ruleset dropped", labels=labels
        )
        octets = CounterMetricFamily("vgw_dropped_bytes", "And their bytes", labels=labels)
        for one in self.dropped:
            packets.add_metric((one.chain, one.rule), one.packets)
            octets.add_metric((one.chain, one.rule), one.bytes)
        yield from (packets, octets)


def _pair(pair: PairStatus, registry: CollectorRegistry) -> None:
    peer = pair.peer
    wanted = {
        "entries": ("Entries in the connection table", pair.entries),
        "entries_limit": ("Entries that it may have", pair.entries_limit),
        "flows_refused": ("New flows that found no free port or entry", pair.refused),
        "peer_up": ("Whether the peer is heard on the sync link", peer is not None),
        "peer_ready": ("Whether the peer may be MASTER", peer and peer.ready),
        "peer_entries": ("Entries in the peer's connection table", peer and peer.entries),
        "uplink_up": ("Whether the way out answers", pair.uplink),
        "false_takeovers": ("Takeovers beside a MASTER that lived", pair.false_takeovers),
        "standstills": ("MASTERs that stood still for a while and went on", pair.standstills),
        "replication_degraded": ("Whether a takeover could lose flows", bool(pair.degraded)),
        "replication_lag_seconds": (
            "How long the last canary took, once announced",
            None if pair.lag_ms is None else pair.lag_ms / 1000,
        ),
        "replication_behind_seconds": (
            "For how long the oldest canary that has not arrived is on its way",
            pair.behind_s,
        ),
        "replication_whole": (
            "Whether the standby has the newest flows too",
            not pair.behind,
        ),
        **{
            f"replication_{name}": (f"conntrackd: {name.replace('_', ' ')}", value)
            for name, value in pair.counters._asdict().items()
        },
    }
    for name, (about, value) in wanted.items():
        if value is not None:
            Gauge(f"vgw_{name}", about, registry=registry).set(value)
