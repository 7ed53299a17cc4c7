"""The machine is brought to the plan in the order that fails closed; what cannot be done is told and stops nothing else."""

import errno
import fcntl
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from appliance import ApplianceError, CommandFailed, NotConverged
from appliance.converge import change_over, converge, converge_fully, differences, only_one
from appliance.drivers import sysctl
from appliance.planning.wanted import Change, File, Plan
from appliance.run_dir import RunDir
from appliance.vrrp import Role

from .machine_stand_in import Gateway, gateway, planned
from .node_doors import config

IN_ORDER = ["table", "link", "sysctl", "route", "rule", "policy", "file", "sysctl"]


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


@pytest.fixture
def plan(run_dir: RunDir) -> Plan:
    return planned(config("07-hot"), Role.BACKUP, run_dir)


@pytest.fixture
def machine(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return gateway(monkeypatch, tmp_path, plan)


def kinds(changes: list[Change]) -> list[str]:
    """Of what kind the changed objects were, in the order in which they were changed."""
    return [kind for kind, _ in groupby(change.what.split()[0] for change in changes)]


def said(problems: tuple[ApplianceError, ...]) -> str:
    return "\n".join(map(str, problems))


def test_everything_is_made_with_the_rules_first_and_forwarding_last(
    machine: Gateway, plan: Plan, run_dir: RunDir
) -> None:
    heard: list[Change] = []
    report = converge_fully(plan, run_dir, heard.append)
    assert tuple(heard) == report.changes
    assert kinds(heard) == IN_ORDER
    assert machine.table.exists() and machine.forwards()
    assert differences(plan, run_dir) == ()
    assert converge(plan, run_dir).changes == (), "what is right is left alone"


def test_everything_is_taken_away_with_forwarding_first_and_the_rules_last(
    machine: Gateway, plan: Plan, run_dir: RunDir
) -> None:
    converge_fully(plan, run_dir)
    report = converge_fully(Plan(names=plan.names), run_dir)
    gone = kinds(list(report.changes))
    assert (gone[0], gone[-1]) == ("sysctl", "table")
    assert not machine.table.exists() and not machine.forwards()
    assert machine.kernel.routes == machine.kernel.rules == []
    assert machine.policies.bodies == {}
    assert differences(Plan(names=plan.names), run_dir) == ()


def test_a_machine_that_has_drifted_is_told_and_put_right(
    machine: Gateway, plan: Plan, run_dir: RunDir
) -> None:
    converge_fully(plan, run_dir)
    machine.kernel.routes.pop()
    machine.table.unlink()
    assert kinds(list(differences(plan, run_dir))) == ["table", "route"]
    assert kinds(list(converge(plan, run_dir).changes)) == ["table", "route"]
    assert differences(plan, run_dir) == ()


def test_without_rules_in_force_forwarding_stays_off_and_is_switched_off(
    machine: Gateway, plan: Plan, run_dir: RunDir
) -> None:
    sysctl.path_of(sysctl.forwarding("eth0")).write_text("1\n")
    # It takes each script, and has no table afterwards.
    machine.nft.write_text(machine.nft.read_text().replace('> "$kept"', "> /dev/null"))
    report = converge(plan, run_dir)
    assert not machine.forwards()
    assert said(report.problems) == "forwarding stays off: our ruleset is not in force"
    assert kinds(list(report.changes)) == IN_ORDER[:-1], "the rest was made all the same"


def test_where_nobody_can_tell_whether_rules_are_in_force_forwarding_stays_as_it_is(
    machine: Gateway, plan: Plan, run_dir: RunDir
) -> None:
    converge_fully(plan, run_dir)
    machine.refuse_rules()
    report = converge(plan, run_dir)
    assert said(report.problems) == "\n".join(
        2 * ["nft refused our table: Error: Operation not permitted"]
    )
    assert machine.forwards()


def test_what_the_kernel_refuses_is_told_and_stops_nothing_else(
    machine: Gateway, plan: Plan, run_dir: RunDir
) -> None:
    machine.kernel.refuses = errno.EPERM
    report = converge(plan, run_dir)
    assert all("the kernel refused + " in str(problem) for problem in report.problems)
    assert kinds(list(report.changes)) == ["table", "sysctl", "policy", "file", "sysctl"]
    with pytest.raises(CommandFailed, match="the kernel refused") as error:
        converge_fully(plan, run_dir)
    assert str(error.value) == str(report.problems[0]), "the first problem ends the command"


def test_a_setting_that_does_not_stay_as_it_was_set_is_told(
    machine: Gateway, plan: Plan, run_dir: RunDir
) -> None:
    key = plan.sysctls[0][0]
    sysctl.path_of(key).unlink()
    sysctl.path_of(key).symlink_to("/dev/null")
    with pytest.raises(NotConverged, match=f"yet these still differ: ~ sysctl {key} = "):
        converge_fully(plan, run_dir)


@pytest.fixture
def former(machine: Gateway, run_dir: RunDir) -> Plan:
    """The plan that a machine is as, before it is changed to another one."""
    found = planned(config(), Role.BACKUP, run_dir)
    converge_fully(found, run_dir)
    return found


def test_a_change_over_tells_all_that_it_did_and_leaves_nothing_of_the_former_plan(
    machine: Gateway, plan: Plan, former: Plan, run_dir: RunDir
) -> None:
    done = change_over(lambda: plan, former, run_dir)
    assert kinds(list(done)) == ["table", "link", "sysctl", "rule", "file", "sysctl"]
    assert differences(plan, run_dir) == ()
    back = change_over(lambda: former, plan, run_dir)
    assert kinds(list(back))[-2:] == ["file", "link"], "keepalived has read where its addresses go"
    assert differences(former, run_dir) == ()
    assert change_over(lambda: former, former, run_dir) == ()


def test_what_would_be_refused_is_refused_before_anything_is_changed(
    machine: Gateway, plan: Plan, former: Plan, run_dir: RunDir
) -> None:
    machine.refuse_check()
    with pytest.raises(CommandFailed, match="nft refused our table: Error: no"):
        change_over(lambda: plan, former, run_dir)
    assert differences(former, run_dir) == ()
    keepalived = replace(former, files=(*former.files[:1], File("keepalived.conf", "broken\n")))
    with pytest.raises(CommandFailed, match="keepalived refuses the file rendered for it"):
        change_over(lambda: keepalived, former, run_dir)
    assert differences(former, run_dir) == ()


def test_what_fails_on_the_way_is_taken_back(
    machine: Gateway, plan: Plan, former: Plan, run_dir: RunDir
) -> None:
    key = next(key for key, _ in plan.sysctls if key not in dict(former.sysctls))
    sysctl.path_of(key).unlink()
    sysctl.path_of(key).symlink_to("/dev/null")
    with pytest.raises(NotConverged, match=f"yet these still differ: ~ sysctl {key} = "):
        change_over(lambda: plan, former, run_dir)
    assert differences(former, run_dir) == ()


def test_a_role_that_changes_meanwhile_is_no_failure(
    machine: Gateway, former: Plan, run_dir: RunDir
) -> None:
    roles = [Role.MASTER, Role.MASTER, Role.BACKUP]
    new = config(**{"gateway: 203.0.113.1": "gateway: 203.0.113.4"})

    def plans() -> Plan:
        role = roles.pop(0) if len(roles) > 1 else roles[0]
        machine.kernel.refuses = errno.EINVAL if role is Role.MASTER else 0
        return planned(new, role, run_dir)

    assert kinds(list(change_over(plans, former, run_dir))) == ["route"]
    assert differences(planned(new, Role.BACKUP, run_dir), run_dir) == ()


def test_a_machine_is_changed_by_one_process_at_a_time(run_dir: RunDir) -> None:
    with only_one(run_dir), run_dir.lock.open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with run_dir.lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
