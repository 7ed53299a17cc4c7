"""The snapshot's faces: what one writes the other reads, and the lines answer an operator."""

from appliance.status import metrics
from appliance.status.health import sickness
from appliance.status.node_status import from_json, to_json
from appliance.status.rows import rows
from appliance.vrrp import Role

from .snapshots import SNAPSHOT, STANDBY, at


def test_json_there_and_back() -> None:
    snapshot = SNAPSHOT._replace(repairs=2, repaired=("+ table inet vgw",), problems=("a", "b"))
    assert from_json(to_json(snapshot)) == snapshot
    assert from_json(to_json(STANDBY)) == STANDBY


def test_rows() -> None:
    assert rows(SNAPSHOT, at(1060.0)) == [
        ("node", "master"),
        ("role", "MASTER for 60 s"),
        ("why", "now MASTER: this node holds the VGW (keepalived said MASTER)"),
        ("VGW", "192.168.100.99/24"),
        ("WAN VIP", "203.0.113.99/24"),
        ("profile", "standard: takeover in 0.36 s after a crash, 0.06 s after a clean stop"),
        ("ready", "yes"),
        ("peer", "silent"),
        ("way out", "not asked"),
        ("flows", "0 of at most 262144 here"),
        ("programs", "agent RUNNING, keepalived RUNNING"),
        ("repairs", "0"),
    ]


def test_a_file_that_is_not_in_force_is_told_and_is_no_illness() -> None:
    errors = ("/etc/vgw/gateway.yaml:3:5: vgw.x: unknown key", "/etc/vgw/gateway.yaml:4:5: …")
    snapshot = SNAPSHOT._replace(file_errors=errors)
    assert from_json(to_json(snapshot)) == snapshot
    assert sickness(snapshot, at(1060.0)) is None
    told, *lines = [value for name, value in rows(snapshot, at(1060.0)) if name == "file"]
    assert told.startswith(
        f"{SNAPSHOT.config} is not in force: this node goes on by what it took up"
    )
    assert tuple(lines) == errors
    assert "vgw_file_in_force 0.0" in metrics.text(snapshot, at(1060.0))
    assert "vgw_file_in_force 1.0" in metrics.text(SNAPSHOT, at(1060.0))


def test_a_silent_agent_and_every_problem_are_told() -> None:
    found = rows(SNAPSHOT._replace(problems=("no way out",), programs={}), at(1059.0 + 300))
    assert ("problem", "no way out") in found
    silent = rows(SNAPSHOT._replace(programs={}), at(1059.0 + 300))
    assert ("problem", "the agent last wrote its status 5 min ago") in silent
    stopped = rows(SNAPSHOT._replace(programs={"keepalived": "STOPPED"}), at(1060.0))
    assert ("problem", "keepalived is STOPPED") in stopped
    assert ("programs", "supervisord does not answer") in found


def test_health() -> None:
    assert sickness(SNAPSHOT, at(1060.0)) is None
    assert sickness(SNAPSHOT._replace(role=Role.BACKUP), at(1060.0)) is None
    assert sickness(SNAPSHOT, at(1070.0)) == "the agent last wrote its status 11 s ago"
    assert sickness(SNAPSHOT._replace(problems=("no rules", "no routes")), at(1060.0)) == (
        "no rules; no routes"
    )
    stopped = SNAPSHOT._replace(programs={"keepalived": "STOPPED"})
    assert sickness(stopped, at(1060.0)) == "keepalived is STOPPED"
    assert sickness(SNAPSHOT._replace(programs={}), at(1060.0)) == (
        "keepalived is not under supervisord"
    )
    fault = SNAPSHOT._replace(role=Role.FAULT, sentence="now FAULT: the node is not ready")
    assert sickness(fault, at(1060.0)) == "now FAULT: the node is not ready"


def test_the_pair_is_told() -> None:
    found = dict(rows(STANDBY, at(1060.0)))
    assert found["ready"] == "yes: takes over again in 2 s"
    assert found["peer"] == "backup is MASTER (VGW 0.1.0): all is well"
    assert found["way out"] == "works"
    assert found["flows"] == (
        "12 of at most 262144 here, 1000 on backup; a new one is here after 4 ms"
    )
    assert "degraded" not in found
    assert STANDBY.pair.peer
    older = STANDBY.pair._replace(peer=STANDBY.pair.peer._replace(version="", digest=""))
    found = dict(rows(STANDBY._replace(pair=older), at(1060.0)))
    assert found["peer"] == "backup is MASTER (an older VGW): all is well"
    pair = STANDBY.pair._replace(peer=None, uplink=None, degraded="no word")
    alone = STANDBY._replace(pair=pair)
    found = dict(rows(alone, at(1060.0)))
    assert (found["peer"], found["way out"], found["degraded"]) == (
        "silent",
        "not asked",
        "no word",
    )
    lines = metrics.text(STANDBY, at(1060.0)).splitlines()
    for line in (
        'vgw_role{role="BACKUP"} 1.0',
        'vgw_role{role="MASTER"} 0.0',
        "vgw_role_seconds 60.0",
        "vgw_entries 12.0",
        "vgw_peer_ready 1.0",
        "vgw_replication_lag_seconds 0.004",
        "vgw_replication_messages_lost 3.0",
        "vgw_replication_degraded 0.0",
        "# TYPE vgw_dropped_packets_total counter",
        'vgw_dropped_packets_total{chain="input",rule="everything else"} 3.0',
        'vgw_dropped_bytes_total{chain="input",rule="everything else"} 180.0',
        'vgw_dropped_packets_total{chain="leak-guard",rule="untranslated"} 0.0',
    ):
        assert line in lines
    told = metrics.text(alone, at(1060.0))
    assert "vgw_peer_up 0.0" in told
    assert "vgw_peer_ready" not in told, "of a peer that is silent"
    assert "vgw_replication_messages_unsent" not in told, "conntrackd has not told yet"
