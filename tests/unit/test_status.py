"""The snapshot's faces: what one writes the other reads, and the lines answer an operator."""

from dataclasses import replace

from appliance.status import Snapshot, from_json, rows, sickness, to_json

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
