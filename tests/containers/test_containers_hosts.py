"""One node a host: two hosts, each with an engine and a network of its own, joined by three wires."""

import time
from collections.abc import Iterator

import pytest

from tests.conftest import Bound, Figure
from tests.containers import engine, hosts
from tests.containers.hosts import WAYS, Host, Site, SpreadPair
from tests.containers.pair import NODES
from tests.waiting import eventually, waited

# Only a host's network outlives a container; on macvlan a stop and a kill are what they are on a bridge.
in_the_hosts_network = pytest.mark.parametrize("spread", ["host"], indirect=True)


@pytest.fixture(scope="module")
def site(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The two hosts, without a node yet; ended with the promise that nothing left them untranslated."""
    missing = engine.hindrances()
    if missing:
        pytest.skip("one node a host needs two private engines, and " + "; ".join(missing))
    with hosts.site(engine_url, tmp_path_factory.mktemp("hosts")) as site:
        yield site
        seen = site.lab.capture()
    assert seen.untranslated == 0, seen
    assert seen.translated > 0, "the capture saw nothing at all, so it proves nothing"


@pytest.fixture(scope="module")
def checks(site: Site) -> dict[str, tuple[int, str, int, str]]:
    """What `check` says on each host, before its owner has set the kernel up and after."""
    found = {}
    for host in site.hosts.values():
        before = check(host)
        host.shell(hosts.kernel_settings())
        found[host.name] = (*before, *check(host))
    return found


def check(host: Host) -> tuple[int, str]:
    done = host.compose(WAYS["host"], "run", "--rm", "gateway", "check")
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module", params=WAYS)
def spread(request: pytest.FixtureRequest, site: Site, checks: object) -> Iterator[SpreadPair]:
    """The pair as the documents put it on the hosts; it ends without leaving an address there."""
    spread = SpreadPair(site, WAYS[request.param])
    spread.prepare()
    try:
        spread.start()
        yield spread
    finally:
        spread.down()
    shown = [host.node.run(["ip", "-o", "-4", "address"]).stdout for host in site.hosts.values()]
    assert not any(".99/24" in text for text in shown), shown


@pytest.fixture
def pair(spread: SpreadPair) -> SpreadPair:
    """The pair in its usual state."""
    assert eventually(spread.settled), spread.told()
    return spread


def test_check_names_what_a_host_lacks_and_then_what_a_start_will_do(
    checks: dict[str, tuple[int, str, int, str]],
) -> None:
    for refused, complaint, ready, listed in checks.values():
        assert refused == 13, complaint
        assert "sysctl -w net.ipv4.conf.all.arp_ignore=1" in complaint
        assert ready == 3, listed
        assert "net.ipv4.conf.all" not in listed


def test_a_machine_behind_gets_out(pair: SpreadPair) -> None:
    done = pair.site.lab.node("noeud1").run(["ping", "-q", "-i0.2", "-c10", "8.8.8.8"])
    assert " 0% packet loss" in done.stdout, done.output


@in_the_hosts_network
def test_compose_stop_loses_at_most_one(pair: SpreadPair, bound: Bound) -> None:
    with pair.probe(every_ms=10) as train:
        pair.must("master", "stop")
        assert eventually(lambda: pair.holders() == ["backup"])
        time.sleep(0.5)
    print(f"compose stop: {train['lost']} lost at 10 ms")
    with bound:
        assert train["lost"] <= 1, train
    with pair.probe(every_ms=10) as train:
        pair.must("master", "start")
        assert eventually(pair.settled), pair.told()
    print(f"start again: {train['lost']} lost at 10 ms")
    with bound:
        assert train["lost"] <= 1, train


def test_a_power_cut_of_a_host_ends_within_what_the_profile_promises(
    pair: SpreadPair, figure: Figure, bound: Bound
) -> None:
    lab = pair.site.lab
    ports = [lab.topology.node("master").port(bridge) for bridge in ("lan", "wan", "sync")]
    with pair.probe(every_ms=2) as train:
        time.sleep(0.3)
        lab.world.order([f"link set {port} down" for port in ports])
        assert eventually(lambda: "backup" in pair.holders())
        time.sleep(0.5)
    lab.world.order([f"link set {port} up" for port in ports])
    figure(f"power cut of a host, {pair.way.files[-1]}: {train['gap_ms']} ms")
    with bound:
        assert train["gap_ms"] <= 400, train


@in_the_hosts_network
@pytest.mark.parametrize("name", NODES)
def test_a_killed_container_is_healed_by_its_start(
    pair: SpreadPair, name: str, bound: Bound
) -> None:
    pair.must(name, "kill")
    out = waited(lambda: pair.site.lab.pings("noeud1"), told=pair.told)
    pair.must(name, "start")
    healed = waited(pair.settled, told=pair.told)
    print(f"killed {name}, started again: healed after {healed:.1f} s")
    with bound:
        assert out <= 5
        assert healed <= 10
