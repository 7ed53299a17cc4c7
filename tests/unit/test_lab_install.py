"""What a drill on somebody's own install is made of: ways to its nodes, pings, and flows to a name server."""

import socket
from pathlib import Path

import pytest
from dnslib import QTYPE, DNSRecord

from appliance import ApplianceError
from appliance.status.node_status import to_json
from tests.unit.snapshots import SNAPSHOT
from vgw_lab.instruments import probe, queries
from vgw_lab.worlds import topology
from vgw_lab.worlds.install import Install, Way
from vgw_lab.worlds.running import told_role


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["echo", "a b"]),
        (("docker", "exec", "-i", "gw"), ["docker", "exec", "-i", "gw", "echo", "a b"]),
        (("ssh", "root@gw"), ["ssh", "root@gw", "echo 'a b'"]),
        (("/usr/bin/ssh", "gw", "sudo"), ["/usr/bin/ssh", "gw", "sudo", "echo 'a b'"]),
    ],
)
def test_a_program_arrives_with_its_words_whole(
    words: tuple[str, ...], expected: list[str]
) -> None:
    assert Way(words).to(["echo", "a b"]) == expected


def test_the_checksum_of_a_packet_with_its_checksum_is_nothing() -> None:
    # The example of RFC 1071, section 3.
    assert probe.internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    for number in (0, 1, 65_535, 1 << 33):
        packet = probe.echo_request(7, number)
        assert probe.internet_checksum(packet) == 0


@pytest.mark.parametrize("raw", [False, True])
def test_a_ping_knows_its_own_answer_only(raw: bool) -> None:
    header = bytes(20) if raw else b""
    reply = b"\0" + probe.echo_request(7, 41)[1:]
    assert probe.echoed(header + reply, 7, raw=raw) == 41
    assert probe.echoed(header + probe.echo_request(7, 41), 7, raw=raw) is None
    assert probe.echoed(header + reply[:-1], 7, raw=raw) is None
    assert probe.echoed(header + reply, 8, raw=raw) == (None if raw else 41)


def test_a_query_is_one_that_a_name_server_reads() -> None:
    record = DNSRecord.parse(queries.query(70_001, "dns.google"))
    assert str(record.q.qname) == "dns.google."
    assert record.q.qtype == QTYPE.A
    assert record.header.rd


def test_a_flow_that_was_not_opened_says_why_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    flow = queries.Flow("tcp", ("127.0.0.1", port), "dns.google")
    assert flow.report()["broken"] == {"not opened: Connection refused": 1}
    assert flow.report()["broken"] == {}
    flow.socket.close()


def prints(text: str) -> Way:
    """A way to a node on which whatever is run prints this."""
    return Way(("sh", "-c", f"printf %s '{text}'"))


def test_a_pair_is_known_by_what_its_nodes_tell(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(topology.gateway_yaml())
    told = SNAPSHOT._replace(config=str(file))
    ways = []
    for node in ("backup", "master"):
        status = tmp_path / f"{node}.json"
        status.write_text(to_json(told._replace(node=node)))
        look = f'case $1 in *status.json) cat {status} ;; *) exec "$0" "$@" ;; esac'
        ways.append(Way(("sh", "-c", look)))
    pair = Install(ways, Way(), "8.8.8.8")
    assert [spec.name for spec in pair.topology.gateways] == ["master", "backup"]
    assert pair.topology.vgw.address == topology.from_yaml(topology.gateway_yaml()).vgw.address
    assert pair.role("master") == "MASTER"
    assert pair.status("backup") == told._replace(node="backup")


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        (Way(("false",)), "no gateway answers there: exit code 1; the command must run"),
        (Way(("true",)), "no gateway answers there: exit code 0; the command must run"),
        (prints("hello"), "status.json is damaged"),
        (prints('{"schema": 9}'), "status.json was written by another version of VGW (schema 9"),
    ],
)
def test_a_node_whose_status_cannot_be_read_is_named_with_the_reason(
    way: Way, sentence: str
) -> None:
    with pytest.raises(ApplianceError, match=r"^--gateway ") as caught:
        Install([way, way], Way(), "8.8.8.8")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["", "hello", "[]", "{}", "null"])
def test_a_status_that_tells_no_role_has_none(text: str) -> None:
    assert told_role(text) is None


def test_the_role_is_read_from_a_status_of_any_version() -> None:
    assert told_role('{"role": "BACKUP", "node": "backup"}') == "BACKUP"
