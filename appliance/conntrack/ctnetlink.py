"""Messages of the connection table's netlink protocol, written and read (linux/netfilter/nfnetlink_conntrack.h).

Numbers inside attributes are big-endian, those of the headers are the machine's own. What the kernel
sends is read at the places where it writes it: a table of 300,000 entries must not cost seconds.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from appliance import netlink
from appliance.netlink import ACK, ATTRIBUTE, CREATE, DUMP, NESTED, attribute

ICMP, TCP, UDP = 1, 6, 17
SEEN_REPLY, ASSURED, CONFIRMED = 2, 4, 8  # bits of an entry's status, IPS_*
ESTABLISHED = 3  # TCP_CONNTRACK_ESTABLISHED
_MAXACK = 0x20  # IP_CT_TCP_FLAG_MAXACK_SET (linux/netfilter/nf_conntrack_tcp.h)

_SUBSYSTEM = 1 << 8  # NFNL_SUBSYS_CTNETLINK
_CT_NEW, _CT_GET, _CT_DELETE = (_SUBSYSTEM | kind for kind in range(3))  # IPCTNL_MSG_CT_*
_INET = 2  # AF_INET: the family of every entry asked for

_ORIGIN, _REPLY, _STATUS, _PROTOINFO, _TIMEOUT, _ID = 1, 2, 3, 4, 7, 12  # CTA_*
_FILTER, _STATUS_MASK = 25, 26
_IP, _PROTO = 1, 2  # inside a tuple
_BY_PROTOCOL = 1 << 3  # CTA_FILTER_F_CTA_PROTO_NUM (net/netfilter/nf_internals.h)

_NUMBER, _PORT = struct.Struct("!I"), struct.Struct("!H")
_NFGENMSG = bytes((_INET, 0, 0, 0))  # stands before the attributes
_PROTOCOL_AT = 32  # in a tuple of IPv4: its header, the two addresses, two more headers
# In a tuple of TCP or UDP: the first port, and its whole length, which the reply follows.
_PORTS_AT, _TUPLE = 40, 52
# In a tuple of IPv4: its two addresses; and the second port.
_SOURCE_AT, _DESTINATION_AT, _SECOND_PORT_AT = 12, 20, 48
_PORTED = frozenset({TCP, UDP, 33, 132, 136})  # and DCCP, SCTP, UDP-Lite
_STATE_AT = 12  # in CTA_PROTOINFO: three headers
# In the same, behind the state and the two scales of windows: the flags of either direction.
_FLAGS_AT, _FLAGS_BACK_AT, _PROTOINFO_LENGTH = 36, 44, 48


class Flow(NamedTuple):
    """One direction of a connection: protocol number, two IPv4 addresses of 4 bytes, two ports.

    ICMP has the identifier in the source's place, and type and code (256 * type + code) in the other.
    """

    protocol: int
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int

    def back(self) -> "Flow":
        """The other direction of a connection that nobody translates."""
        ports = self.source_port, self.destination_port
        if self.protocol == ICMP:
            return Flow(
                self.protocol, self.destination, self.source, ports[0], 0
            )  # the echo's reply
        return Flow(self.protocol, self.destination, self.source, ports[1], ports[0])


class Entry(NamedTuple):
    """An entry as the kernel shows it: its name there, and what tells when traffic last re-armed it."""

    origin: bytes
    """The attribute CTA_TUPLE_ORIG, whole: what names the entry in a request."""
    protocol: int
    status: int
    """IPS_* bits."""
    remaining: int
    """Seconds until it expires, rounded down."""
    state: int
    """TCP's state (TCP_CONNTRACK_*); 0 for other protocols."""
    strict: bool = False
    """Whether the kernel has seen acknowledgements of TCP, and takes no RST but one that fits them."""


class Translated(NamedTuple):
    """A TCP or UDP entry's name, and what became of the port of whoever began it."""

    origin: bytes
    """The attribute CTA_TUPLE_ORIG, whole."""
    end: bytes
    """Address, protocol and port of whoever began it: what its siblings share."""
    moved: bool
    """Whether the world sees another port than that."""


class Connection(NamedTuple):
    """An entry by its two directions: who began it with whom, and who answers whom. Addresses and ports are numbers.

    What has no ports has 0.
    """

    name: bytes
    """The attributes CTA_TUPLE_ORIG and CTA_ID: by these it is ended, and no other that follows on its ports."""
    protocol: int
    source: int
    destination: int
    port: int
    """Of the destination."""
    answerer: int
    answering_port: int
    answered: int


class Refusal(NamedTuple):
    """The kernel's word about a request: an error number (errno(3)), 0 for done."""

    code: int


_Shown = TypeVar("_Shown", Entry, Translated, Connection)


def message(kind: int, flags: int, payload: bytes) -> bytes:
    """One request about IPv4 entries; its attributes are the payload."""
    return netlink.message(kind, flags, _NFGENMSG + payload)


def origin(flow: Flow) -> bytes:
    """The name of an entry in a request: the attribute CTA_TUPLE_ORIG of its first direction."""
    return _tuple(_ORIGIN, flow)


def _tuple(kind: int, flow: Flow) -> bytes:
    addresses = attribute(1, flow.source) + attribute(2, flow.destination)
    if flow.protocol == ICMP:
        kind_and_code = divmod(flow.destination_port, 256)
        rest = attribute(4, flow.source_port.to_bytes(2, "big"))
        rest += attribute(5, bytes(kind_and_code[:1])) + attribute(6, bytes(kind_and_code[1:]))
    else:
        rest = attribute(2, flow.source_port.to_bytes(2, "big"))
        rest += attribute(3, flow.destination_port.to_bytes(2, "big"))
    numbers = attribute(1, bytes((flow.protocol,))) + rest
    parts = attribute(_IP | NESTED, addresses) + attribute(_PROTO | NESTED, numbers)
    return attribute(kind | NESTED, parts)


def creation(flow: Flow, timeout: int, status: int = CONFIRMED, state: int = 0) -> bytes:
    """Asks for an entry, or for this timer (seconds) and status in one that is there; wants an answer."""
    payload = origin(flow) + _tuple(_REPLY, flow.back())
    payload += attribute(_STATUS, _NUMBER.pack(status))
    payload += attribute(_TIMEOUT, _NUMBER.pack(timeout))
    if flow.protocol == TCP:
        tcp = attribute(1 | NESTED, attribute(1, bytes((state,))))
        payload += attribute(_PROTOINFO | NESTED, tcp)
    return message(_CT_NEW, CREATE | ACK, payload)


def question(name: bytes) -> bytes:
    """Asks for the one entry of this name."""
    return message(_CT_GET, 0, name)


# A change for `touches`: what was seen acknowledged, in either direction, is forgotten.
LENIENT = attribute(
    _PROTOINFO | NESTED,
    attribute(1 | NESTED, b"".join(attribute(kind, bytes((0, _MAXACK))) for kind in (4, 5))),
)


def touches(names: Iterable[bytes], change: bytes = b"") -> bytes:
    """Updates, one for each named entry, that change nothing else; only those that fail are answered.

    Without NLM_F_CREATE the kernel makes no entry where the named one is gone.
    """
    return b"".join([message(_CT_NEW, 0, name + change) for name in names])


def removals(names: Iterable[bytes]) -> bytes:
    """Ends each named entry; only what fails is answered."""
    return b"".join([message(_CT_DELETE, 0, name) for name in names])


def dump(protocol: int | None, assured: bool | None = None) -> bytes:
    """Asks for all entries, or for those of one protocol, or of one state of the ASSURED bit too.

    A kernel before 5.8 has never heard of such filters and sends everything: whoever reads must look.
    """
    payload = b""
    if protocol is not None:
        only = attribute(_PROTO | NESTED, attribute(1, bytes((protocol,))))
        payload += attribute(_ORIGIN | NESTED, attribute(_IP | NESTED, b"") + only)
        payload += attribute(_FILTER | NESTED, attribute(1, netlink.CODE.pack(_BY_PROTOCOL)))
    if assured is not None:
        payload += attribute(_STATUS, _NUMBER.pack(ASSURED if assured else 0))
        payload += attribute(_STATUS_MASK, _NUMBER.pack(ASSURED))
    return message(_CT_GET, DUMP, payload)


def answers(buffer: bytes) -> Iterator[Entry | Refusal]:
    """What the kernel sent: entries, and its word about requests. A dump ends with Refusal(0)."""
    return _read(buffer, _entry)


def translations(buffer: bytes) -> Iterator[Translated | Refusal]:
    """What the kernel sent, as `answers` does, but of TCP and UDP entries what became of their ports."""
    return _read(buffer, _translated)


def connections(buffer: bytes) -> Iterator[Connection | Refusal]:
    """What the kernel sent, as `answers` does, but of each entry its two directions."""
    return _read(buffer, _connection)


def _read(
    buffer: bytes, shown: Callable[[bytes, int, int], _Shown | None]
) -> Iterator[_Shown | Refusal]:
    """The messages of a buffer; `shown` makes of an entry's attributes, from where to where, what is asked for."""
    for kind, at, end in netlink.messages(buffer):
        if kind in (netlink.ERROR, netlink.DONE):
            yield Refusal(netlink.refusal(buffer, at))
        elif kind == _CT_NEW and (found := shown(buffer, at + len(_NFGENMSG), end)):
            yield found


def _translated(buffer: bytes, at: int, _end: int) -> Translated | None:
    protocol = buffer[at + _PROTOCOL_AT]
    if protocol not in (TCP, UDP):
        return None
    port = buffer[at + _PORTS_AT : at + _PORTS_AT + 2]
    seen = at + _TUPLE + _PORTS_AT + 8  # the reply's destination
    end = buffer[at + 12 : at + 16] + bytes((protocol,)) + port
    return Translated(buffer[at : at + _TUPLE], end, port != buffer[seen : seen + 2])


def _connection(buffer: bytes, at: int, end: int) -> Connection | None:
    unpack, number, port = ATTRIBUTE.unpack_from, _NUMBER.unpack_from, _PORT.unpack_from
    forth, back = at, at + unpack(buffer, at)[0]
    at, identity = back + unpack(buffer, back)[0], b""
    while at < end and not identity:
        length, kind = unpack(buffer, at)
        if kind == _ID:
            identity = buffer[at : at + length]
        at += (length + 3) & ~3
    protocol = buffer[forth + _PROTOCOL_AT]
    has_ports = protocol in _PORTED
    return Connection(
        name=buffer[forth:back] + identity,
        protocol=protocol,
        source=number(buffer, forth + _SOURCE_AT)[0],
        destination=number(buffer, forth + _DESTINATION_AT)[0],
        port=port(buffer, forth + _SECOND_PORT_AT)[0] if has_ports else 0,
        answerer=number(buffer, back + _SOURCE_AT)[0],
        answering_port=port(buffer, back + _PORTS_AT)[0] if has_ports else 0,
        answered=number(buffer, back + _DESTINATION_AT)[0],
    )


def _entry(buffer: bytes, at: int, end: int) -> Entry:
    name, protocol, status, remaining, state, flags = b"", 0, 0, 0, 0, 0
    unpack, number = ATTRIBUTE.unpack_from, _NUMBER.unpack_from
    while at < end:
        length, kind = unpack(buffer, at)
        if kind == _TIMEOUT:
            remaining = number(buffer, at + 4)[0]
            if protocol != TCP:  # TCP's state comes after; of the others we know all by now
                break
        elif kind == _STATUS:
            status = number(buffer, at + 4)[0]
        elif kind == _ORIGIN | NESTED:
            name = buffer[at : at + length]
            protocol = name[_PROTOCOL_AT]
        elif kind == _PROTOINFO | NESTED:
            state = buffer[at + _STATE_AT]
            if length >= _PROTOINFO_LENGTH:
                flags = buffer[at + _FLAGS_AT] | buffer[at + _FLAGS_BACK_AT]
            break
        at += (length + 3) & ~3
    return Entry(name, protocol, status, remaining, state, bool(flags & _MAXACK))


class EntryKind(NamedTuple):
    """Entries that share a timer: a protocol, and the state of it that the timer belongs to."""

    protocol: int
    assured: bool | None = None
    state: int = 0

    def has(self, entry: Entry) -> bool:
        """Whether an entry is of this kind."""
        return (
            entry.protocol == self.protocol
            and (self.assured is None or bool(entry.status & ASSURED) == self.assured)
            and (not self.state or entry.state == self.state)
        )


KINDS: Mapping[str, EntryKind] = {
    "udp": EntryKind(UDP, assured=False),
    "icmp": EntryKind(ICMP),
    "udp_stream": EntryKind(UDP, assured=True),
    "tcp_established": EntryKind(TCP, state=ESTABLISHED),
}


def is_rearmed(remaining: int, kind: str, timers: Mapping[str, int], period: float) -> bool:
    """Whether traffic re-armed an entry's timer within the last `period` seconds.

    The kernel tells the remaining seconds rounded down, so the bound itself counts. An established TCP
    connection whose last data nobody has acknowledged yet runs on a shorter timer (`tcp_unacknowledged`).
    """
    full, short = timers[kind], timers.get("tcp_unacknowledged", 0)
    if kind == "tcp_established" and remaining <= short:
        full = min(full, short)
    return remaining >= full - period
