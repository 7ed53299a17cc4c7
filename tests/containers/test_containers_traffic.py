"""What a user of the compose file sees: internet behind the pair, the course sheet, his own container."""

import pytest
from docker.errors import APIError

from appliance.commands import lab_door
from tests.conftest import Bound, Figure
from tests.containers.pair import MACHINES, PROJECT, VGW, Pair
from tests.waiting import eventually, waited


def test_the_first_ping_is_answered_within_ten_seconds_of_the_start(
    pair: Pair, figure: Figure, bound: Bound
) -> None:
    slowest = max(pair.first_answers[machine] for machine in MACHINES)
    figure(f"first ping answered {slowest:.1f} s after the start of the last container")
    for machine in MACHINES:
        assert pair.pings(machine, 3)
    with bound:
        assert slowest <= 10


def test_course_sheet(pair: Pair, bound: Bound) -> None:
    with pair.probe(every_ms=10) as train:
        pair.shell("master", "supervisorctl stop keepalived")
        assert eventually(lambda: VGW in pair.shell("backup", "ip addr show eth1"))
        assert VGW not in pair.shell("master", "ip addr show eth1")
        assert pair.pings(count=3)
        pair.shell("master", "supervisorctl start keepalived")
        assert eventually(pair.settled)
    print(f"course sheet, at 10 ms: {train['lost']} lost")
    with bound:
        assert train["lost"] <= 1, train


def test_machines_come_out_as_the_wan_vip_and_names_resolve(pair: Pair) -> None:
    page = pair.shell("noeud1", "curl --silent --show-error --max-time 5 http://dns.google/")
    assert "you came from 203.0.113.99" in page
    assert pair.shell("noeud2", "dig +short +time=2 @8.8.8.8 one.one.one.one").strip() == "1.1.1.1"


def test_the_interfaces_are_where_the_course_sheet_has_them(pair: Pair) -> None:
    for node, last in (("master", 2), ("backup", 3)):
        assert f"203.0.113.{last}/24" in pair.shell(node, "ip addr show eth0")
        assert f"192.168.100.{last}/24" in pair.shell(node, "ip addr show eth1")


def test_a_users_own_container_on_backend_has_internet(pair: Pair) -> None:
    own = pair.docker.containers.create(
        pair.image("noeud1"),
        ["sleep", "60"],
        network=pair.network("backend"),
        cap_drop=["ALL"],
    )
    try:
        own.start()
        own.reload()
        address = own.attrs["NetworkSettings"]["Networks"][pair.network("backend")]["IPAddress"]
        assert int(address.rsplit(".", 1)[1]) >= 128, "the lower half is for fixed addresses"
        done = own.exec_run(["curl", "-sS", "--max-time", "5", "http://8.8.8.8/"])
        assert b"you came from 203.0.113.99" in done.output, done.output
    finally:
        own.remove(force=True)


@pytest.mark.parametrize(("network", "address"), [("backend", VGW), ("uplink", "203.0.113.99")])
def test_no_container_can_take_an_address_of_the_pair(
    pair: Pair, network: str, address: str
) -> None:
    image = pair.image("noeud1")
    thief = pair.docker.containers.create(image, ["true"], name=f"{PROJECT}-thief")
    try:
        pair.docker.networks.get(pair.network(network)).connect(thief, ipv4_address=address)
        with pytest.raises(APIError, match="already in use"):
            thief.start()
    finally:
        thief.remove(force=True)


def test_a_node_has_the_least_privilege(pair: Pair) -> None:
    for node in ("master", "backup"):
        inside = pair.shell(node, "cat /proc/self/status")
        facts = dict(line.split(":\t", 1) for line in inside.splitlines() if ":\t" in line)
        assert int(facts["CapEff"], 16) == 1 << 12 | 1 << 13, "NET_ADMIN and NET_RAW, no more"
        assert facts["NoNewPrivs"] == "1"
        assert facts["Seccomp"] == "2"
        assert pair.exec(node, "touch", "/anything")[0] != 0, "the root file system is writable"
        limits = pair.container(node).attrs["HostConfig"]
        assert limits["Memory"] == 256 << 20
        assert limits["PidsLimit"] == 128
        assert not any("docker.sock" in bind for bind in limits["Binds"] or [])


def test_the_engine_hears_from_the_agent_itself_that_it_is_well(pair: Pair, bound: Bound) -> None:
    def health(node: str) -> str:
        return str(pair.container(node).attrs["State"]["Health"]["Status"])

    for node in ("master", "backup"):
        took = waited(
            lambda node=node: health(node) == "healthy",  # type: ignore[misc]
            told=lambda node=node: pair.exec(node, "vgw", "health"),  # type: ignore[misc]
        )
        with bound:
            assert took <= 30


def test_check_finds_nothing_to_do(pair: Pair) -> None:
    for node in ("master", "backup"):
        code, output = pair.exec(node, "vgw", "check")
        assert (code, output.strip()) == (0, "nothing to do")


def test_the_image_is_small_and_holds_no_tools_of_the_build(pair: Pair, figure: Figure) -> None:
    image = pair.image("master")
    size = image.attrs["Size"] / 1e6
    figure(f"gateway image: {size:.0f} MB")
    assert size <= 142
    for tool in ("gcc", "pip", "pip3", "apt-get", "perl"):
        assert pair.exec("master", "sh", "-c", f"command -v {tool}")[0] != 0, tool
    assert pair.exec("master", "ls", "/var/cache/apt")[0] != 0
    assert "import-failed" in pair.shell(
        "master", "python3 -c 'import tests' || echo import-failed"
    )
    assert image.labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_the_image_holds_the_product_and_nothing_of_the_lab(pair: Pair) -> None:
    held = pair.shell("master", "ls /opt/vgw/lib/python3*/site-packages").split()
    assert {"appliance", "click"} <= set(held)
    assert [name for name in held if name.startswith(("vgw_lab", "rich", "typer", "docker"))] == []
    code, output = pair.exec("master", "vgw", "lab", "up")
    assert (code, output) == (1, f"vgw: {lab_door.NO_LAB.format('lab')}\n")
