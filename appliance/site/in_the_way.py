"""Whose routes, rules and filters are in the way on this machine, as a command tells it: a sentence each, with the mend."""

from appliance import ApplianceError
from appliance.drivers import firewall, routes
from appliance.filters.crossings import Subject
from appliance.filters.watch import Watch
from appliance.planning.wanted import Site
from appliance.run_dir import RunDir
from appliance.site import probes
from appliance.site.accepted import Accepted
from appliance.status import status_file
from appliance.status.health import STATUS_SILENCE


def by_filters(found: Accepted, site: Site) -> tuple[str, ...]:
    """What filters of others drop, also on a machine that is no gateway yet."""
    what = Subject(found.config, found.node, site.interfaces, site.names)
    ours = firewall.of(site.names, site.run_dir).tables
    return tuple(one.sentence for one in Watch(ours).look(what).complaints)


def at_all(found: Accepted, site: Site) -> tuple[str, ...]:
    """All that is in the way on a machine that is as planned, also by what a running agent has seen."""
    stolen = probes.obstacle(found.config, site.interfaces, site.names, routes.links())
    told = (stolen, *by_filters(found, site), *_seen(site.run_dir))
    return tuple(dict.fromkeys(filter(None, told)))


def _seen(run_dir: RunDir) -> tuple[str, ...]:
    """What the agent says that runs here: it sees also what no look at one moment shows."""
    try:
        snapshot = status_file.read(run_dir)
    except ApplianceError:
        return ()
    return snapshot.in_the_way if status_file.moment().age(snapshot) <= STATUS_SILENCE else ()
