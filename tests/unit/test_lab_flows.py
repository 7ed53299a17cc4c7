"""What the flows of a drill and the look at the invariants count and say."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from vgw_lab.instruments import flows, lookout
from vgw_lab.instruments.flows import FRAME, Flow, Tally, report
from vgw_lab.measures import invariants, load, looker
from vgw_lab.measures.invariants import Look, Watch
from vgw_lab.worlds import topology


@pytest.fixture
def client() -> Iterator[Flow]:
    flow = Flow("client", "udp", 0, 0.0)
    flow.alive = True
    yield flow
    flow.end("over")


def frame(number: int, outside: str) -> bytes:
    return struct.pack("!Q", number) + outside.encode().ljust(FRAME - 8, b"\0")


def test_a_flow_that_is_answered_late_has_stalled(client: Flow) -> None:
    client.waiting = 10.0
    client.answer(frame(0, "203.0.113.99:1"), 10.4)
    client.waiting = 11.0
    client.answer(frame(1, "203.0.113.99:1"), 11.1)
    assert report([client])["client"] == Tally(flows=1, alive=1, stall_ms=400.0)
    assert report([client])["client"].stall_ms == 0, "each report is for its own time"


def test_a_flow_that_only_listens_is_quiet_between_ticks() -> None:
    flow = Flow("server", "server", 0, quiet=0.25)
    flow.alive = True
    for number, at in enumerate((1.0, 1.25, 1.9)):
        flow.answer(frame(number, "203.0.113.99:1"), at)
    assert report([flow])["server"].stall_ms == 400.0
    assert flow.lives(since=1.5, first=99)
    assert not flow.lives(since=1.9, first=0)
    flow.end("over")


def test_a_flow_that_comes_out_elsewhere_is_counted_once_a_report(client: Flow) -> None:
    for number, outside in enumerate(("203.0.113.99:1", "203.0.113.99:2", "203.0.113.99:2")):
        client.answer(frame(number, outside), 1.0)
    assert report([client])["client"].changed == 1
    assert report([client])["client"].changed == 0


def test_an_answer_to_an_old_question_shows_no_life(client: Flow) -> None:
    client.answer(frame(3, "203.0.113.99:1"), 2.0)
    assert not client.lives(since=1.0, first=4)
    assert client.lives(since=1.0, first=3)


def test_a_broken_flow_is_counted_with_the_first_reason_and_once() -> None:
    flow = Flow("client", "client", 0, 0.0)
    flow.alive = True
    flow.end("RST")
    flow.end("timeout")
    assert report([flow])["client"] == Tally(flows=1, broken={"RST": 1})
    assert report([flow])["client"] == Tally(flows=1)


def test_the_tallies_of_machines_add_up() -> None:
    tally = Tally(flows=2, alive=1, changed=1, stall_ms=5.0, broken={"RST": 1})
    tally.add(Tally(flows=3, alive=1, stall_ms=9.0, broken={"RST": 1, "EOF": 1}))
    assert tally == Tally(5, 2, 1, 9.0, {"RST": 2, "EOF": 1})


def test_what_broke_is_said_with_when_and_why() -> None:
    tallies = {"client": Tally(9, 7, 0, 1.0, {"RST": 1, "timeout": 1}), "udp": Tally(4, 4, 2)}
    found = load.broken({"takeover": tallies, "return": {"client": Tally(9, 7)}})
    assert [sentence for _, sentence in found] == [
        "2 of 9 flows (client) broke at the takeover: 1 by RST, 1 by timeout",
        "2 of 4 flows (udp) came out from another address or port at the takeover",
    ]


def test_flows_are_shared_out_and_some_collide() -> None:
    found = load.shares(machines=2, scale=1, offset=7)
    assert sum(number for _, _, number, _ in found) == 800
    assert ("client, same port", "client", 100, 10_007) in found
    assert all(number > 0 for _, _, number, _ in load.shares(2, 0.01))
    modes = {mode for _, mode, _, _ in found}
    assert modes == {"client", "stream", "server", "udp", "idle"} == set(load.USUAL)


def test_ports_that_lead_inside_are_found() -> None:
    text = topology.gateway_yaml().replace(
        "nat:\n",
        "nat:\n"
        "  destination:\n"
        "    - {protocol: tcp, port: 8080, to: 192.168.100.10, to_port: 80}\n"
        "    - {protocol: udp, port: 53, to: 192.168.100.20}\n"
        "    - {protocol: tcp, port: 22, to: 192.168.100.20}\n"
        "    - {protocol: tcp, port: 25, to: 192.168.100.77}\n",
    )
    plan = topology.from_yaml(text)
    assert list(load.inbound(plan)) == [("noeud1", 8080, 80), ("noeud2", 22, 22)]
    assert list(load.inbound(topology.from_yaml(topology.gateway_yaml()))) == []


def test_entries_of_the_background_all_differ() -> None:
    lines = load.table(topology.from_yaml(topology.gateway_yaml()), 60_002).splitlines()
    assert len(set(lines)) == 60_002
    assert lines[-1] == (
        "-A -p udp -s 192.168.100.10 -d 198.51.100.1 --sport 1025 --dport 10000 "
        "--src-nat 203.0.113.99 -t 3600 -u ASSURED,SEEN_REPLY"
    )


NAMES = {"m": "master", "b": "backup"}


def look(at: float, answering: str, holders: str = "", **roles: str) -> Look:
    return Look(at, tuple(answering.split()), tuple(holders.split()), tuple(roles.items()))


def sentences(watch: Watch, since: float, names: Mapping[str, str]) -> list[str]:
    return [one.sentence for one in invariants.violations(watch, since, names)]


def test_two_that_answer_for_a_moment_may_and_for_longer_may_not() -> None:
    watch = Watch([look(1, "m"), look(2, "b m"), look(2.5, "b")], {}, 9)
    assert sentences(watch, 1.5, NAMES) == []
    watch = Watch([look(1, "m"), look(2, "b m"), look(2.3, "b m", "x"), look(3, "b")], {}, 9)
    assert sentences(watch, 1.5, NAMES) == [
        "backup and master both answered for the VGW for 1.0 s, 0.5 s after the fault"
    ]


def test_a_role_that_is_not_what_the_node_holds() -> None:
    watch = Watch(
        [look(0, "m", "master", master="MASTER"), look(3, "m", "master", master="BACKUP")], {}, 5
    )
    assert sentences(watch, 4, NAMES) == [
        "master says that it is BACKUP and holds the VGW, for 2.0 s, 1.0 s before the fault"
    ]
    watch.end = 4
    assert sentences(watch, 4, NAMES) == []


def ipv4(protocol: int, payload: bytes) -> bytes:
    header = bytes([0x45, *[0] * 7, 64, protocol, 0, 0, 8, 8, 8, 8, 192, 168, 100, 10])
    return bytes(12) + b"\x08\x00" + header + payload


def icmp(code: int) -> bytes:
    return ipv4(1, bytes([3, code, *[0] * 6]))


def test_a_gateway_that_refuses_is_named_with_what_it_said() -> None:
    said_frame = ipv4(6, struct.pack("!HH", 7, 20000))
    said = looker.refusal(said_frame)
    assert said
    assert said == "a RST from 8.8.8.8:7 to 192.168.100.10:20000"
    assert looker.refusal(said_frame, own=["192.168.100.10"]) is None
    assert looker.refusal(icmp(code=1)) == "an ICMP unreachable from 8.8.8.8 to 192.168.100.10"
    assert looker.refusal(icmp(code=4)) is None, "a packet that is too big has to be told"
    watch = Watch([], {"m": [said, said]}, 1)
    assert watch.refused == 2
    assert sentences(watch, 0, NAMES) == [
        f"master refused 2 packets of flows that it forwards, first with {said}"
    ]


def test_an_answer_for_the_vgw_is_told_from_a_question() -> None:
    mac = bytes.fromhex("020000000002")
    asked = lookout.question(mac, "192.168.100.99")
    assert len(asked) == 42
    assert lookout.answer(asked, "192.168.100.99") is None
    reply = asked[:20] + b"\x00\x02" + mac + bytes([192, 168, 100, 99]) + asked[32:]
    assert lookout.answer(reply, "192.168.100.99") == "02:00:00:00:00:02"
    assert lookout.answer(reply, "192.168.100.1") is None


def test_ports_and_frames_of_both_sides_agree() -> None:
    from vgw_lab.instruments import service

    assert flows.FRAME == service.FRAME


def test_who_has_a_virtual_mac_answers_by_that(tmp_path: Path) -> None:
    from appliance.config.reserved_names import LAN

    own, virtual = "02:00:00:00:00:02", "00:00:5e:00:01:33"
    assert lookout.bearer(own, tmp_path) == own
    (tmp_path / LAN).mkdir()
    (tmp_path / LAN / "address").write_text(f"{virtual}\n")
    assert lookout.bearer(own, tmp_path) == virtual
