"""The file, read again: what is good is taken up, and beside what is broken the former one stays in force."""

import logging

from appliance import ApplianceError
from appliance.agent.agent import Agent
from appliance.bulkhead import bulkhead
from appliance.drivers import firewall
from appliance.planning.plan import plan
from appliance.site import accepted
from appliance.vrrp import Role

log = logging.getLogger("vgw")


def take_up(agent: Agent) -> bool:
    """Take up the file again; False where it is broken, and then the former one stays in force."""
    agent.reload = False
    path, errors = agent.site.config_path, list[ApplianceError]()
    with bulkhead("the new file", errors.append):
        found = accepted.from_file(path, agent.node)
        # The ruleset is the same in every role.
        planned = plan(found.config, found.node, Role.BACKUP, agent.site)
        firewall.check(agent.guard.firewall, planned.ruleset)
        agent.pair.take_up(found.config, agent.now())
    for error in errors:
        log.error("kept the former configuration, for the file is not to be used:\n%s", error)
        agent.accepted = accepted.beside_error(agent.accepted, error)
        return False
    agent.accepted = found
    with agent.bulkheads.step("keeping the file"):
        accepted.keep(agent.run_dir, found)
    log.info("took up %s", path)
    return True
