"""What an operator asks of a node that runs: its status, its events, its health, and to hand over."""

import os
import sys

import click

from appliance import system
from appliance.commands import health_check
from appliance.run_dir import RunDir
from appliance.status import node_status, rows, status_file

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _run_dir() -> RunDir:
    return RunDir.named_in(os.environ)


@click.command("status")
@json_option
def tell_status(as_json: bool) -> None:
    """Tell this node's role, why it has it, and what was repaired."""
    snapshot = status_file.read(_run_dir())
    if as_json:
        sys.stdout.write(node_status.to_json(snapshot))
        return
    for name, value in rows.rows(snapshot, status_file.moment()):
        _say(f"{name:9} {value}")


@click.command("metrics")
def tell_metrics() -> None:
    """Print the status for Prometheus, such as for a textfile collector."""
    from appliance.status import metrics

    sys.stdout.write(metrics.text(status_file.read(_run_dir()), status_file.moment()))


@click.command("events")
@json_option
def tell_events(as_json: bool) -> None:
    """Tell each change of role and of the replication's health: when, why, and what it took."""
    from appliance.status import events

    told = system.read(_run_dir().events)
    if told is None:
        status_file.read(_run_dir())  # raises where no gateway runs; one that does has none to tell
    if as_json:
        sys.stdout.write(told or "")
        return
    for event in events.read(_run_dir()):
        _say(f"{system.time_of_day(event.at)} {events.row(event)}")


@click.command("switchover")
@click.option("--to", metavar="NAME", help="Who is to be MASTER; the peer unless said.")
def switch_over(to: str | None) -> None:
    """Hand the VGW to the peer, so that no flow breaks; run it on the MASTER."""
    from appliance.commands import switchover

    _say(switchover.switchover(_run_dir(), to))


@click.command("health")
def tell_health() -> None:
    """End with 0 where this node works as MASTER or could, else with 1 and the reason."""
    health_check.tell()


COMMANDS = (tell_status, tell_events, tell_metrics, tell_health, switch_over)
