"""What a drill on somebody's own install is made of: ways to its nodes, pings, and flows to a name server."""

import socket

import pytest
from dnslib import QTYPE, DNSRecord

from vgw_lab.instruments import probe, queries
from vgw_lab.worlds.install import Way


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
