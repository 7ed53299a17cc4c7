"""The verbs of `vgw`: each reads the configuration, does one thing, and ends with a telling code."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance import ApplianceError, InTheWay, NotConverged, __version__, system
from appliance.commands import lab_door, operate
from appliance.run_dir import RunDir
from appliance.vrrp import Role

if TYPE_CHECKING:
    from appliance.planning.wanted import Plan, Site
    from appliance.site.accepted import Accepted

DEFAULT_FILE = Path("/etc/vgw/gateway.yaml")
file_argument = click.argument(
    "file",
    envvar="VGW_CONFIG",
    default=DEFAULT_FILE,
    type=click.Path(path_type=Path),
    metavar="[FILE]",
    help="The configuration of the pair; VGW_CONFIG, or else /etc/vgw/gateway.yaml, unless said.",
)
node_option = click.option(
    "--node",
    metavar="NAME",
    envvar="VGW_NODE",
    help="This node's name; the host name unless said.",
)
role_option = click.option(
    "--role",
    type=click.Choice(Role, case_sensitive=False),
    help="As if the node had this role.",
)


class Commands(click.Group):
    """The product's commands in the order they stand here, then those of the lab where it is there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return [*self.commands, *(lab_door.LAB_COMMANDS if lab_door.is_there() else ())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them by its name; the lab's are known also where the lab is missing."""
        if cmd_name in lab_door.LAB_COMMANDS:
            return LabCommand(cmd_name, help=lab_door.LAB_COMMANDS[cmd_name])
        return super().get_command(ctx, cmd_name)


class LabCommand(click.Command):
    """A command of the lab: what follows its name is the lab's to read."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take all words as they are."""
        ctx.args = args
        return []

    def invoke(self, ctx: click.Context) -> None:
        """Have the lab run it. Raises ApplianceError where there is no lab."""
        lab_door.run([str(self.name), *ctx.args])


@click.group(cls=Commands, no_args_is_help=False)
@click.version_option(__version__, message="vgw %(version)s", help="Print the version and end.")
def app() -> None:
    """A NAT gateway that runs as a pair: one virtual gateway that outlives either node."""


def run(words: list[str]) -> None:
    """Run a command; what click has to say of the words ends with its own exit code."""
    try:
        with app.make_context("vgw", words) as context:
            app.invoke(context)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _prepared(
    path: Path,
    name: str | None,
    role: Role | None,
    *,
    listening: bool = False,
    loading: bool = False,
) -> "tuple[Accepted, Site, Plan]":
    """The configuration with this node's name, site and plan, or every reason why this machine cannot be that node.

    All reasons come at once; the first one gives the exit code.
    """
    from appliance.drivers import firewall
    from appliance.planning.plan import plan
    from appliance.site import accepted, preflight_facts, probes, this_node

    found = accepted.from_file(path, name)
    wanted, node = found.config, found.node
    names, run_dir = this_node.names(), this_node.run_dir()
    if loading:
        probes.load_modules()
    problems = preflight_facts.problems(wanted, node, names, run_dir, listening=listening)
    if problems:
        raise type(problems[0])("\n     ".join(map(str, problems)))
    site = this_node.site(wanted, node, path)
    planned = plan(wanted, node, role or this_node.role_now(wanted), site)
    firewall.check(firewall.of(names, run_dir), planned.ruleset)
    return found, site, planned


def _refuse_where_one_runs(run_dir: RunDir) -> None:
    from appliance.processes import programs

    if programs.states(run_dir):
        raise ApplianceError(
            f"a gateway already runs here, in {run_dir}; `vgw status` tells of it, and TERM to its "
            "supervisord ends it"
        )


@app.command()
@file_argument
def validate(file: Path) -> None:
    """Check the configuration; ends with 0, or with 2 after naming every error."""
    from appliance.site import this_node

    wanted = this_node.load(file)
    nodes = " and ".join(f"{name} ({node.priority})" for name, node in wanted.nodes.items())
    _say(f"{file}: valid: {wanted.vgw.address.ip}, profile {wanted.vgw.profile}, nodes {nodes}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from appliance.config import schema as of_file

    _say(json.dumps(of_file.schema(), indent=2))


@app.command("plan")
@file_argument
@node_option
@role_option
def plan_(file: Path, node: str | None, role: Role | None) -> None:
    """Print the whole wanted machine: ruleset, settings, routes and the daemons' files."""
    from appliance.commands import plan_text
    from appliance.drivers import firewall
    from appliance.planning.plan import plan
    from appliance.site import this_node

    wanted = this_node.load(file)
    name = this_node.node_name(wanted, node)
    site = this_node.site(wanted, name, file)
    planned = plan(wanted, name, role or this_node.role_now(wanted), site)
    _say(plan_text.text(planned, firewall.of(site.names, site.run_dir).text))


@app.command()
@click.argument("machine")
@file_argument
def netplan(machine: str, file: Path) -> None:
    """Print the netplan file of a machine behind the gateway."""
    from appliance.planning import daemon_files
    from appliance.site import this_node

    wanted = this_node.load(file)
    if machine not in wanted.machines:
        known = ", ".join(wanted.machines) or "none"
        raise ApplianceError(f"machines: there is no {machine}; the file knows {known}")
    sys.stdout.write(daemon_files.netplan(wanted, machine))


@app.command()
@file_argument
@node_option
@role_option
def check(file: Path, node: str | None, role: Role | None) -> None:
    """Look, and change nothing: may it start, is anybody in the way, what would apply do?"""
    from appliance import converge
    from appliance.site import in_the_way

    found, site, plan = _prepared(file, node, role, listening=True)
    left = converge.differences(plan, site.run_dir)
    for change in left:
        _say(str(change))
    if left:
        to_do = f"{len(left)} to do; `vgw apply` does it"
        raise NotConverged("\n     ".join((to_do, *in_the_way.by_filters(found, site))))
    if told := in_the_way.at_all(found, site):
        raise InTheWay("\n     ".join(told))
    _say("nothing to do")


@app.command()
@file_argument
@node_option
@role_option
@click.option("--keep-flows", is_flag=True, help="Let flows go on that the file no longer allows.")
def apply(file: Path, node: str | None, role: Role | None, keep_flows: bool) -> None:
    """Bring this machine to the plan; where a node runs, its agent does it, and takes up the file."""
    from appliance import converge
    from appliance.commands import applying
    from appliance.control.words import ApplyRequest
    from appliance.site import this_node

    run_dir = this_node.run_dir()
    if applying.agent_runs(run_dir):
        with applying.told_of_errors(run_dir, file, node):
            found, site, _ = _prepared(file, node, role)
        words = (str(site.config_path), found.node, role or "")
        request = ApplyRequest(*words, keep_flows=keep_flows)
        lines = applying.by_agent(run_dir, request)
        _say("\n".join(lines) or "nothing to do")
        return
    _, _, plan = _prepared(file, node, role, loading=True)
    with converge.only_one(run_dir):
        report = converge.converge_fully(plan, run_dir, lambda change: _say(str(change)))
    if not report.changes:
        _say("nothing to do")


@app.command()
def teardown() -> None:
    """Take what is ours off this machine: forwarding first, the rules last."""
    from appliance import converge
    from appliance.bulkhead import bulkhead
    from appliance.planning.wanted import Plan
    from appliance.processes import claim
    from appliance.site import preflight, probes, this_node

    run_dir, names = this_node.run_dir(), this_node.names()
    for problem in preflight.powerless(probes.capabilities()):
        raise problem.error(str(problem))
    _refuse_where_one_runs(run_dir)
    if refusal := claim.refusal(names.table, run_dir):
        raise ApplianceError(refusal)
    left: list[ApplianceError] = []
    for note in run_dir.notes:
        with bulkhead(f"the removal of {note}", left.append):
            system.remove(note)
    with converge.only_one(run_dir):
        converge.converge_fully(Plan(names=names), run_dir, lambda change: _say(str(change)))
    if left:
        raise left[0]


@app.command()
@file_argument
@node_option
def start(file: Path, node: str | None) -> None:
    """Run this node: check, converge as BACKUP, then become supervisord and its daemons."""
    import signal

    from appliance import converge
    from appliance.agent import notify
    from appliance.processes import claim, notes
    from appliance.site import accepted

    # The kernel drops a SIGTERM for which a container's first process has no handler, but keeps one
    # that is blocked: supervisord, which inherits this, hears it once it can (appliance/processes/supervise.py).
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    found, site, plan = _prepared(file, node, Role.BACKUP, loading=True)
    _refuse_where_one_runs(site.run_dir)
    with converge.only_one(site.run_dir):
        claim.take(site.names.table, found.node, site.run_dir)
        system.remove(site.run_dir.failed)
        # The agent says when this node is ready.
        notes.set_ready(site.run_dir, ready=False)
        notes.set_aside(site.run_dir, aside=True)
        notify.make_fifo(site.run_dir.notify_fifo)
        converge.converge_fully(plan, site.run_dir)
        accepted.keep(site.run_dir, found)
    vgw = found.config.vgw
    _say(f"vgw {__version__}: node {found.node} of {vgw.address.ip}, profile {vgw.profile}")
    sys.stdout.flush()
    system.become([sys.executable, "-m", "appliance.processes.supervise", str(site.run_dir)])


@app.command("agent")
@file_argument
@node_option
def agent_(file: Path, node: str | None) -> None:
    """Follow keepalived's roles and keep the machine to the plan, as supervisord has it done."""
    from appliance.agent import loop

    loop.main(file, node)


for _command in operate.COMMANDS:
    app.add_command(_command)
