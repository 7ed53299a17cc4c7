"""keepalived as the agent sees it: what it works on, whether it takes part, and what it is told to do."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from appliance import vrrp
from appliance.agent.doors import AgentDoors
from appliance.agent.networks import carry
from appliance.config.model import Config
from appliance.drivers.routes import Link
from appliance.pair import election
from appliance.pair.election import ElectionSight, KeepalivedOrder
from appliance.pair.side import Pair
from appliance.planning import virtual_macs
from appliance.planning.wanted import Site
from appliance.processes import programs
from appliance.processes.programs import Program

# What a node's priority comes down to at the lowest, where it stands aside or has lost links.
_LEAST_PRIORITY = 1

log = logging.getLogger("vgw")


def electable(keepalived: Program | None) -> bool:
    """Whether keepalived runs; it counts as running where supervisord does not tell."""
    return not keepalived or keepalived.state in ("RUNNING", "STARTING")


class Keepalived:
    """Whether keepalived takes part in the election; one that does not is told of, and made to.

    `links` are the machine's, as the agent last saw them.
    """

    def __init__(self, doors: AgentDoors) -> None:
        self.doors = doors
        self.links: Mapping[str, Link] = {}
        self.state = election.Election()
        self.problem = ""
        # Whether its VRRP process has the realtime priority that the file asks for.
        self.preferred = True

    def has_read(self) -> None:
        """Take note that it has just read a new file, and knows the interfaces that were made anew for it."""
        self.state = replace(self.state, interfaces={}, anew=frozenset())

    def judge(
        self, pair: Pair, config: Config, site: Site, program: Program | None, now: float
    ) -> None:
        """Judge what is known now, and have keepalived do what it needs."""
        running = program if program and program.state == "RUNNING" else None
        process = programs.vrrp_process(pair.run_dir)
        sockets = self.doors.vrrp_sockets(process)
        if running and process:
            self._prefer(process, config.vgw.realtime_priority)
        sight = _sight(pair, config, site, self.links, running, sockets)
        judged = election.judge(self.state, sight, now)
        self.state, self.problem = judged.state, judged.problem
        if judged.why:
            log.warning(judged.why)
        if judged.order is KeepalivedOrder.RELOAD:
            programs.signal(pair.run_dir, "keepalived", "HUP")
        if judged.order is KeepalivedOrder.RESTART and running:
            self.doors.kill(running)

    def _prefer(self, process: int, priority: int) -> None:
        """Have the VRRP process run before others, where the file asks for that and this process may.

        keepalived's own word for it sets a limit too, which it makes 0 when it reads its file again (2.2.7, without
        CAP_SYS_RESOURCE), and the kernel then kills it.
        """
        before, self.preferred = self.preferred, self.doors.run_before_others(process, priority)
        if before and priority and not self.preferred:
            log.info("keepalived runs as any process: its realtime priority needs CAP_SYS_NICE")


def _sight(
    pair: Pair,
    config: Config,
    site: Site,
    links: Mapping[str, Link],
    running: Program | None,
    sockets: int | None,
) -> ElectionSight:
    advert, interfaces = pair.last_advert, site.interfaces
    vgw, homes = config.vgw, virtual_macs.homes(config, interfaces, site.names)
    needed = {interfaces.lan, interfaces.wan, homes.vgw, homes.wan_vip}
    works_on = needed | {own.interface for own in vgw.track_interfaces}
    own = config.nodes[pair.node].lan
    usable = carry(config, interfaces, links) and needed <= links.keys()
    return ElectionSight(
        role=pair.own.role,
        dismissed=pair.dismissed,
        usable=usable and own in links[interfaces.lan].addresses,
        interfaces={name: links[name].index for name in sorted(works_on & links.keys())},
        lan=interfaces.lan,
        process=running.pid if running else 0,
        sockets=sockets,
        peer=pair.ears.peer.beat,
        advert=(advert.at, advert.priority) if advert else None,
        promise=vrrp.master_down_interval(vgw.vrrp_version, _LEAST_PRIORITY, vgw.advert_interval),
    )
