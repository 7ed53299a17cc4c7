"""Messages of the connection table: byte examples, and what is read back of what was written."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.conntrack import ctnetlink, table
from appliance.conntrack.ctnetlink import (
    ASSURED,
    CONFIRMED,
    ICMP,
    KINDS,
    SEEN_REPLY,
    TCP,
    UDP,
    Connection,
    Entry,
    Flow,
    Refusal,
    Translated,
    is_rearmed,
)

HERE, THERE = bytes((192, 168, 100, 10)), bytes((8, 8, 8, 8))
TIMERS = {
    "udp": 30,
    "icmp": 30,
    "udp_stream": 180,
    "tcp_established": 7200,
    "tcp_unacknowledged": 300,
}

# Field by field as in linux/netfilter/nfnetlink_conntrack.h, for a little-endian machine.
NAME = bytes.fromhex(
    "3400 0180"  # CTA_TUPLE_ORIG, 52 bytes, nested
    "1400 0180 0800 0100 c0a8640a 0800 0200 08080808"  # CTA_TUPLE_IP: source, destination
    "1c00 0280 0500 0100 11 000000"  # CTA_TUPLE_PROTO: UDP
    "0600 0200 1388 0000 0600 0300 0035 0000"  # ports 5000 and 53
)
# What `conntrack -I` and a ping leave behind, as a kernel 6.x shows them: more than we asked for.
SHOWN = bytes.fromhex(
    "9c00 0000 0001 0200 00000000 00000000 0200 0000"  # nlmsghdr, IPCTNL_MSG_CT_NEW; nfgenmsg
    + NAME.hex()
    + "3400 0280 1400 0180 0800 0100 08080808 0800 0200 c0a8640a"
    "1c00 0280 0500 0100 11 000000 0600 0200 0035 0000 0600 0300 1388 0000"
    "0800 0300 0000000a"  # CTA_STATUS: SEEN_REPLY | CONFIRMED
    "0800 0800 00000000"  # CTA_MARK
    "0800 0c00 12345678"  # CTA_ID
    "0800 0700 0000001d"  # CTA_TIMEOUT: 29 s
)

pytestmark = pytest.mark.skipif(
    struct.pack("=H", 1) != b"\x01\x00", reason="the examples are those of a little-endian machine"
)


def test_of_an_entry_is_seen_whether_its_port_was_moved() -> None:
    end = HERE + bytes((UDP,)) + bytes.fromhex("1388")
    assert list(ctnetlink.translations(SHOWN)) == [Translated(NAME, end, moved=False)]
    moved = SHOWN.replace(bytes.fromhex("0600 0300 1388"), bytes.fromhex("0600 0300 1389"))
    done = bytes.fromhex("1400 0000 0300 0000 00000000 00000000 00000000")
    found = list(ctnetlink.translations(moved + done))
    assert found == [Translated(NAME, end, moved=True), Refusal(0)]


def test_of_an_entry_both_directions_are_seen_and_the_number_by_which_no_other_is_ended() -> None:
    here, there = (int.from_bytes(one, "big") for one in (HERE, THERE))
    name = NAME + bytes.fromhex("0800 0c00 12345678")
    flow = Connection(name, UDP, here, there, 53, there, 53, here)
    done = bytes.fromhex("1400 0000 0300 0000 00000000 00000000 00000000")
    assert list(ctnetlink.connections(SHOWN + done)) == [flow, Refusal(0)]
    gre = SHOWN.replace(bytes.fromhex("0500 0100 11"), bytes.fromhex("0500 0100 2f"))
    (other, _) = ctnetlink.connections(gre + done)
    assert isinstance(other, Connection)
    assert (other.protocol, other.port, other.answering_port) == (47, 0, 0)


def test_an_entry_is_named_by_the_bytes_that_the_kernel_uses() -> None:
    assert ctnetlink.origin(Flow(UDP, HERE, THERE, 5000, 53)) == NAME


def test_a_touch_is_an_update_that_creates_nothing_and_wants_no_answer() -> None:
    head = bytes.fromhex("4800 0000 0001 0100 00000000 00000000 0200 0000")
    assert ctnetlink.touches([NAME, NAME]) == (head + NAME) * 2


def test_an_entry_is_read_among_attributes_that_nobody_asked_for() -> None:
    entry = Entry(NAME, UDP, SEEN_REPLY | CONFIRMED, 29, 0)
    assert list(ctnetlink.answers(SHOWN + SHOWN)) == [entry, entry]


@pytest.mark.parametrize(
    ("here", "back", "strict"), [("23", "03", True), ("0b", "2b", True), ("0b", "1b", False)]
)
def test_of_a_tcp_connection_is_read_whether_resets_have_to_fit(
    here: str, back: str, *, strict: bool
) -> None:
    name = ctnetlink.origin(Flow(TCP, HERE, THERE, 5000, 80))
    protoinfo = bytes.fromhex(
        "3000 0480 2c00 0180"  # CTA_PROTOINFO, CTA_PROTOINFO_TCP
        "0500 0100 03 000000"  # ESTABLISHED
        "0500 0200 07 000000 0500 0300 07 000000"  # the scales of windows
        f"0600 0400 {here} 00 0000 0600 0500 {back} 00 0000"  # the flags, and a mask of nothing
    )
    shown = ctnetlink.message(0x100, 0, name + protoinfo)
    assert list(ctnetlink.answers(shown)) == [Entry(name, TCP, 0, 0, 3, strict)]


def test_a_touch_may_forget_what_was_acknowledged_and_nothing_else() -> None:
    change = bytes.fromhex(
        "1800 0480 1400 0180"  # CTA_PROTOINFO, CTA_PROTOINFO_TCP: no state, no scales
        "0600 0400 00 20 0000 0600 0500 00 20 0000"  # of the flags, MAXACK_SET becomes 0
    )
    assert ctnetlink.touches([NAME], ctnetlink.LENIENT) == ctnetlink.message(
        0x100, 0, NAME + change
    )


def test_the_end_of_a_dump_and_an_error_are_told_from_entries() -> None:
    done = bytes.fromhex("1400 0000 0300 0200 00000000 00000000 00000000")
    refused = bytes.fromhex("2400 0000 0200 0000 00000000 00000000 feffffff") + bytes(16)
    assert list(ctnetlink.answers(SHOWN + done))[1:] == [Refusal(0)]
    assert list(ctnetlink.answers(refused + refused)) == [Refusal(errno.ENOENT)] * 2


addresses = st.binary(min_size=4, max_size=4)
ports = st.integers(0, 65535)
flows = st.builds(Flow, st.sampled_from((ICMP, TCP, UDP)), addresses, addresses, ports, ports)
entries = st.tuples(flows, st.integers(0, 2**32 - 1), st.integers(0, 2**31), st.integers(0, 13))


@given(st.lists(entries, max_size=5))
def test_what_was_written_is_read_back(wanted: list[tuple[Flow, int, int, int]]) -> None:
    buffer = b"".join(
        ctnetlink.creation(flow, timeout, status, state) for flow, timeout, status, state in wanted
    )
    assert list(ctnetlink.answers(buffer)) == [
        Entry(
            ctnetlink.origin(flow), flow.protocol, status, timeout, state * (flow.protocol == TCP)
        )
        for flow, timeout, status, state in wanted
    ]


@given(flows)
def test_the_way_back_of_an_echo_keeps_its_identifier_and_the_others_swap_ports(flow: Flow) -> None:
    back = flow.back()
    assert (back.source, back.destination) == (flow.destination, flow.source)
    if flow.protocol == ICMP:
        assert back.source_port == flow.source_port
    else:
        assert back.back() == flow


@pytest.mark.parametrize(
    ("remaining", "kind", "period", "expected"),
    [
        (29, "udp", 10, True),
        (20, "udp", 10, True),  # rounded down from anything up to 21
        (19, "udp", 10, False),
        (15, "udp", 10, False),  # a canary, just planted
        (150, "udp_stream", 60, True),
        (119, "udp_stream", 60, False),
        (7150, "tcp_established", 100, True),
        (7000, "tcp_established", 100, False),
        (250, "tcp_established", 100, True),  # data is under way
        (150, "tcp_established", 100, False),
    ],
)
def test_an_entry_is_fresh_if_its_timer_was_armed_within_the_period(
    remaining: int, kind: str, period: float, expected: bool
) -> None:
    assert is_rearmed(remaining, kind, TIMERS, period) is expected


def test_each_entry_is_of_one_kind_at_most() -> None:
    def kinds(protocol: int, status: int, state: int) -> list[str]:
        entry = Entry(b"", protocol, status, 0, state)
        return [name for name, kind in KINDS.items() if kind.has(entry)]

    assert kinds(UDP, SEEN_REPLY, 0) == ["udp"]
    assert kinds(UDP, SEEN_REPLY | ASSURED, 0) == ["udp_stream"]
    assert kinds(ICMP, SEEN_REPLY, 0) == ["icmp"]
    assert kinds(TCP, ASSURED, 3) == ["tcp_established"]
    assert kinds(TCP, 0, 1) == []
    assert kinds(132, ASSURED, 3) == []


def test_refused_flows_are_counted_over_all_processors() -> None:
    text = (
        "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop\n"
        "00000bb8 00000001 00 00 00000002 00 00 00 00 0000fbff 03\n"
        "00000bb8 00000000 00 00 00000000 00 00 00 00 00000001 02\n"
    )
    assert (table.total("insert_failed", text), table.total("drop", text)) == (0xFC00, 5)
