"""Bring the machine to the plan: read, differ, apply, and look again."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from appliance import ApplianceError, NotConverged
from appliance.bulkhead import bulkhead
from appliance.drivers import files, firewall, links, routes, sysctl, xfrm
from appliance.drivers.firewall import Firewall
from appliance.planning.wanted import Change, Plan
from appliance.run_dir import RunDir

# Attempts to bring a machine to a plan, each with whether it is the last: keepalived's addresses, and with them the kernel's
# routes, may go and come between a deed and the look at it.
_ATTEMPTS = (False, False, True)


@dataclass(frozen=True)
class Stage:
    """One kind of object: how to differ and how to apply it, with the wanted state already in hand."""

    name: str
    diff: Callable[[], tuple[Change, ...]]
    apply: Callable[[Sequence[Change]], None]
    try_out: Callable[[Sequence[Change]], None] | None = None
    """Have the program that reads what would be put say what it thinks of it; changes nothing."""


@dataclass(frozen=True)
class Report:
    """What was changed, and a sentence for each thing that could not be."""

    changes: tuple[Change, ...] = ()
    problems: tuple[ApplianceError, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether the machine was found as planned in everything, so also with the ruleset in force."""
        return not (self.changes or self.problems)


def stages(plan: Plan, run_dir: RunDir, rules: Firewall | None = None) -> tuple[Stage, ...]:
    """The stages in the order that fails closed; `rules`: the firewall, where the caller has one that remembers.

    Rules come before forwarding and, where everything is taken away, forwarding goes first.
    """
    names, rules = plan.names, rules or firewall.of(plan.names, run_dir)
    order = (
        Stage("ruleset", lambda: rules.diff(plan.ruleset), rules.apply, rules.try_out),
        Stage("links", lambda: _to_come(links.diff(plan.links, names.links)), links.apply),
        Stage("sysctls", lambda: sysctl.diff(dict(plan.sysctls)), sysctl.apply),
        Stage(
            "routes",
            lambda: routes.diff(plan.routes, plan.rules, names.protocol),
            lambda changes: routes.apply(changes, names.protocol),
        ),
        Stage(
            "policies",
            lambda: xfrm.diff(plan.blocks, plan.closed, names.policy),
            lambda changes: xfrm.apply(changes, names.policy),
        ),
        Stage("files", lambda: files.diff(plan.files, run_dir), files.apply, files.try_out),
        # Not before keepalived has read where its addresses are to be instead.
        Stage("links that go", lambda: _to_go(links.diff(plan.links, names.links)), links.apply),
        Stage("forwarding", lambda: sysctl.diff(_forwarding(plan)), sysctl.apply),
    )
    return order if plan.forwarding else tuple(reversed(order))


def _to_come(changes: Sequence[Change]) -> tuple[Change, ...]:
    return tuple(change for change in changes if change.sign != "-")


def _to_go(changes: Sequence[Change]) -> tuple[Change, ...]:
    return tuple(change for change in changes if change.sign == "-")


def _forwarding(plan: Plan) -> dict[str, str]:
    """On for the plan's interfaces; with an empty plan off for those that a gateway of ours used."""
    if plan.forwarding:
        return {sysctl.forwarding(name): "1" for name in plan.forwarding}
    return {sysctl.forwarding(name): "0" for name in routes.interfaces(plan.names.protocol)}


def differences(plan: Plan, run_dir: RunDir) -> tuple[Change, ...]:
    """All that `converge` would do now. Reads only."""
    return tuple(change for stage in stages(plan, run_dir) for change in stage.diff())


def converge(
    plan: Plan,
    run_dir: RunDir,
    on_change: Callable[[Change], None] = lambda change: None,
    rules: Firewall | None = None,
) -> Report:
    """Apply what differs, stage by stage; `on_change` hears of each change before it is made.

    One failure does not stop the rest, but for one interlock: without our ruleset in force there is no
    forwarding. Where all was found as planned the ruleset was too, and is not asked for again.
    """
    done: list[Change] = []
    problems: list[ApplianceError] = []
    rules = rules or firewall.of(plan.names, run_dir)
    for stage in stages(plan, run_dir, rules):
        changes: tuple[Change, ...] = ()
        with bulkhead(f"the look at the {stage.name}", problems.append):
            found = stage.diff()
            if stage.name == "forwarding" and plan.forwarding and (found or done or problems):
                _interlock(plan, rules)
            changes = found
        for change in changes:
            on_change(change)
            with bulkhead(f"the change {change}", problems.append):
                stage.apply([change])
                done.append(change)
    return Report(tuple(done), tuple(problems))


def _interlock(plan: Plan, rules: Firewall) -> None:
    """Raises NotConverged where our rules are not in force, after it has switched forwarding off.

    Where nobody can tell, which raises too, forwarding stays as it is: the agent ends such a node.
    """
    if rules.in_force():
        return
    sysctl.apply(sysctl.diff({sysctl.forwarding(name): "0" for name in plan.forwarding}))
    raise NotConverged("forwarding stays off: our ruleset is not in force")


def converge_fully(
    plan: Plan, run_dir: RunDir, on_change: Callable[[Change], None] = lambda change: None
) -> Report:
    """Converge, and look again. Raises the first problem, or NotConverged where something still differs."""
    report = converge(plan, run_dir, on_change)
    if report.problems:
        raise report.problems[0]
    left = differences(plan, run_dir)
    if left:
        raise _unlike(left)
    return report


def change_over(plans: Callable[[], Plan], former: Plan, run_dir: RunDir) -> tuple[Change, ...]:
    """Bring the machine from one plan to another in one step: tried out, applied, and read back; what was changed.

    `plans` makes the plan for the role that the node has at that moment, which keepalived may change meanwhile.
    Raises the reason where that cannot be, and then the machine is brought back to the former plan.
    """
    plan = plans()
    # A file that names an interface of ours is tried out before it is put, when that is there.
    lacking = _to_come(links.diff(plan.links, plan.names.links))
    for stage in stages(plan, run_dir):
        if stage.try_out and not (lacking and stage.name == "files"):
            stage.try_out(stage.diff())
    try:
        return _brought_to(plans, run_dir)
    except Exception:
        converge(former, run_dir)
        raise


def _brought_to(plans: Callable[[], Plan], run_dir: RunDir) -> tuple[Change, ...]:
    done: tuple[Change, ...] = ()
    for last in _ATTEMPTS:
        plan = plans()
        report = converge(plan, run_dir)
        done += report.changes
        if report.problems and last:
            raise report.problems[0]
        left = differences(plan, run_dir)
        if not (report.problems or left):
            break
        if last:
            raise _unlike(left)
    return done


def _unlike(left: Sequence[Change]) -> NotConverged:
    return NotConverged("applied, yet these still differ: " + "; ".join(map(str, left)))


@contextmanager
def only_one(run_dir: RunDir) -> Iterator[None]:
    """Hold the node's lock, so that the agent and a command never change the machine at once."""
    run_dir.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Nothing is written to it, so a full or read-only file system, where it is there already, does no harm.
    lock = os.open(run_dir.lock, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
