"""The snapshot's faces: what one writes the other reads, and the lines answer an operator."""

from dataclasses import replace

from appliance.status import metrics
from appliance.status.node_status import Snapshot, from_json, rows, sickness, to_json

SNAPSHOT = Snapshot(
    node="master",
    config="/etc/vgw/gateway.yaml",
    role="MASTER",
    since=1000.0,
    written=1059.0,
    sentence="now MASTER: this node holds the VGW (keepalived said MASTER)",
    vgw="192.168.100.99/24",
    wan_vip="203.0.113.99/24",
    profile="standard",
    failback="gated",
    promise={"takeover_s": 0.3648, "release_s": 0.0648},
    ready=True,
    programs={"agent": "RUNNING", "keepalived": "RUNNING"},
)


def test_json_there_and_back() -> None:
    snapshot = replace(SNAPSHOT, repairs=2, repaired=("+ table inet vgw",), problems=("a", "b"))
    assert from_json(to_json(snapshot)) == snapshot


def test_rows() -> None:
    assert rows(SNAPSHOT, 1060.0) == [
        ("node", "master"),
        ("role", "MASTER for 60 s"),
        ("why", "now MASTER: this node holds the VGW (keepalived said MASTER)"),
        ("VGW", "192.168.100.99/24"),
        ("WAN VIP", "203.0.113.99/24"),
        ("profile", "standard: takeover in 0.36 s after a crash, 0.06 s after a clean stop"),
        ("ready", "yes"),
        ("programs", "agent RUNNING, keepalived RUNNING"),
        ("repairs", "0"),
    ]


def test_a_silent_agent_and_every_problem_are_told() -> None:
    found = rows(replace(SNAPSHOT, problems=("no way out",), programs={}), 1059.0 + 300)
    assert ("problem", "no way out") in found
    silent = rows(replace(SNAPSHOT, programs={}), 1059.0 + 300)
    assert ("problem", "the agent last wrote its status 5 min ago") in silent
    stopped = rows(replace(SNAPSHOT, programs={"keepalived": "STOPPED"}), 1060.0)
    assert ("problem", "keepalived is STOPPED") in stopped
    assert ("programs", "supervisord does not answer") in found


def test_health() -> None:
    assert sickness(SNAPSHOT, 1060.0) is None
    assert sickness(replace(SNAPSHOT, role="BACKUP"), 1060.0) is None
    assert sickness(SNAPSHOT, 1070.0) == "the agent last wrote its status 11 s ago"
    assert sickness(replace(SNAPSHOT, problems=("no rules", "no routes")), 1060.0) == (
        "no rules; no routes"
    )
    stopped = replace(SNAPSHOT, programs={"keepalived": "STOPPED"})
    assert sickness(stopped, 1060.0) == "keepalived is STOPPED"
    assert sickness(replace(SNAPSHOT, programs={}), 1060.0) == (
        "keepalived is not under supervisord"
    )
    fault = replace(SNAPSHOT, role="FAULT", sentence="now FAULT: the node is not ready")
    assert sickness(fault, 1060.0) == "now FAULT: the node is not ready"


def test_the_pair_is_told_where_the_agent_knows_of_it() -> None:
    told = {
        "reason": "takes over again in 2 s",
        "aside": True,
        "uplink": True,
        "entries": 12,
        "entries_limit": 262144,
        "refused": 5,
        "canary": 7,
        "lag_ms": 4.0,
        "degraded": "",
        "behind": "",
        "behind_s": 0.2,
        "counters": {"messages_lost": 3},
        "peer": {
            "node": "backup",
            "role": "MASTER",
            "reason": "all is well",
            "entries": 13,
            "ready": True,
        },
    }
    standby = replace(SNAPSHOT, role="BACKUP", pair=told)
    found = dict(rows(standby, 1060.0))
    assert found["ready"] == "yes: takes over again in 2 s"
    assert found["peer"] == "backup is MASTER: all is well"
    assert found["way out"] == "works"
    assert found["flows"] == (
        "12 of at most 262144 here, 13 on backup; a new one is here after 4 ms"
    )
    assert "degraded" not in found
    alone = replace(standby, pair={**told, "peer": None, "uplink": None, "degraded": "no word"})
    found = dict(rows(alone, 1060.0))
    assert (found["peer"], found["way out"], found["degraded"]) == (
        "silent",
        "not asked",
        "no word",
    )
    assert from_json(to_json(standby)) == standby
    lines = metrics.text(standby, 1060.0).splitlines()
    for line in (
        'vgw_role{role="BACKUP"} 1.0',
        'vgw_role{role="MASTER"} 0.0',
        "vgw_role_seconds 60.0",
        "vgw_entries 12.0",
        "vgw_peer_ready 1.0",
        "vgw_replication_lag_seconds 0.004",
        "vgw_replication_messages_lost 3.0",
        "vgw_replication_degraded 0.0",
    ):
        assert line in lines
    assert "vgw_peer_up 0.0" in metrics.text(alone, 1060.0)
    assert "vgw_entries" not in metrics.text(SNAPSHOT, 1060.0), "an agent that told nothing yet"
