"""What the agent tells of the node: its snapshot, as `vgw status` reads it."""

from appliance import __version__, system
from appliance.agent.agent import Agent
from appliance.pair import pair_status
from appliance.processes import notes
from appliance.status import node_status, status_file
from appliance.vrrp import Role


def tell(agent: Agent) -> None:
    """Put the snapshot of this moment in place of the former."""
    system.replace(agent.run_dir.status, node_status.to_json(_of(agent)), mode=0o644)


def _of(agent: Agent) -> node_status.Snapshot:
    vgw, ask = agent.config.vgw, agent.bulkheads.ask
    return node_status.Snapshot(
        node=agent.node,
        config=str(agent.site.config_path),
        role=agent.state.role or Role.FAULT,
        since=agent.last.at,
        written=ask("the clock", agent.doors.pair.wall, 0.0),
        sentence=agent.last.sentence,
        vgw=str(vgw.address),
        wan_vip=str(agent.config.wan.address),
        profile=vgw.profile,
        failback=str(vgw.failback),
        promise=pair_status.promise(agent.config),
        ready=ask("the word to keepalived", lambda: notes.is_ready(agent.run_dir), False),
        role_changes=agent.state.changes,
        repairs=agent.upkeep.repairs,
        repaired=agent.upkeep.repaired,
        problems=(*agent.upkeep.problems, *agent.bulkheads.problems),
        file_errors=agent.accepted.file_errors,
        moved_ms=agent.last.moved_ms,
        resident_mb=ask("the agent's memory", system.resident_mb, 0.0),
        programs={name: program.state for name, program in agent.programs.items()},
        pair=pair_status.of(agent.pair),
        dropped=tuple(
            node_status.Dropped(one.chain, one.rule, one.packets, one.octets)
            for one in agent.guard.counts
        ),
        in_the_way=agent.guard.others.in_the_way,
        version=__version__,
        boot=status_file.boot(),
        since_s=agent.last.began,
        written_s=agent.now(),
    )
