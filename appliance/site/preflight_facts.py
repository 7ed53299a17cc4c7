"""Look at this machine and its LAN for the preflight, and tell every reason not to start."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from appliance import ApplianceError, ReadOnlySysctl
from appliance.addresses import Address
from appliance.config.model import Config, Interfaces
from appliance.drivers import firewall, routes, sysctl
from appliance.planning.plan import sysctls
from appliance.planning.wanted import Names
from appliance.processes import claim
from appliance.run_dir import RunDir
from appliance.site import locate, preflight, probes

LISTEN = 1.2  # seconds: a little more than the interval of whoever advertises once a second
ASK = 0.2  # seconds for an ARP answer on a local network


def problems(
    config: Config, node: str, names: Names, run_dir: RunDir, *, listening: bool
) -> tuple[ApplianceError, ...]:
    """Every reason for `node` not to start here, under these names in the kernel. Reads only.

    What needs something that is already missing is left for the next try. `listening` also hears
    the LAN for foreign adverts, which takes a second.
    """
    links, rules = routes.links(), firewall.of(names, run_dir)
    machine = preflight.Observed(
        claimed=claim.refusal(names.table, run_dir),
        interfaces={name: link.addresses for name, link in links.items()},
        up=frozenset(name for name, link in links.items() if link.enabled),
        capabilities=probes.capabilities(),
        programs=probes.programs(rules),
    )
    found = _judged(config, node, machine)
    if found:
        return found
    interfaces = locate.locate(config, node, machine.interfaces or {})
    # Two interfaces of one machine on one network answer for each other; that is no conflict.
    mine = {link.mac for link in links.values()}
    answers = _answers(config, node, interfaces)
    network = preflight.Observed(
        lacking=probes.lacking(rules),
        arp={address: mac for address, mac in answers.items() if mac not in mine},
        vrids=probes.router_ids(interfaces.lan, LISTEN) if listening else {},
    )
    return (*_judged(config, node, network), *_settings(config, node, interfaces))


def _judged(config: Config, node: str, observed: preflight.Observed) -> tuple[ApplianceError, ...]:
    return tuple(
        problem.error(problem.message) for problem in preflight.judge(config, node, observed)
    )


def _answers(config: Config, node: str, interfaces: Interfaces) -> Mapping[Address, str]:
    """Who answers for the addresses that are, or will be, ours; and for the peer's, to know it by."""
    me, peer = config.nodes[node], config.nodes[config.peer_of(node)]
    questions = (
        (interfaces.lan, {config.vgw.address.ip, me.lan.ip, peer.lan.ip}),
        (interfaces.wan, {config.wan.address.ip, *(own.wan.ip for own in (me, peer) if own.wan)}),
        (interfaces.sync, {me.sync.ip}),
    )
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(probes.answers, *question, ASK) for question in questions]
        return {address: mac for one in asked for address, mac in one.result().items()}


def _settings(config: Config, node: str, interfaces: Interfaces) -> tuple[ApplianceError, ...]:
    wanted = dict(sysctls(config, node, interfaces))
    try:
        return tuple(ReadOnlySysctl(sentence) for sentence in sysctl.refusals(wanted))
    except ApplianceError as error:
        return (error,)
