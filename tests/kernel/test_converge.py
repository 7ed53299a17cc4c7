"""The drivers against the kernel: every road to a plan ends at the same machine."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import converge
from appliance.drivers.nftables import Nftables
from appliance.planning.wanted import Change, Names, Plan
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.kernel.conftest import Namespace
from tests.kernel.wanted import forwarding, hold_addresses, listing, plan_of, state
from tests.unit.test_names import SECOND

RUN_DIR = RunDir()
ROLES = (Role.MASTER, Role.BACKUP)
Cases = dict[str, Path]


def settle(path: Path, role: Role) -> Plan:
    hold_addresses(role)
    wanted = plan_of(path, role)
    converge.converge_fully(wanted, RUN_DIR)
    return wanted


@pytest.mark.parametrize(
    "deed",
    [
        "delete table inet vgw",
        "flush ruleset",
        "add rule inet vgw forwarded accept",
        "flush chain inet vgw forwarded",
        "add element inet vgw mine { 10.0.0.1 }",
    ],
)
def test_each_change_of_our_table_is_seen_by_who_has_listed_it_before(
    namespace: Namespace, cases: Cases, deed: str
) -> None:
    def changes() -> None:
        wanted = plan_of(cases["01-standard"], Role.BACKUP).ruleset
        rules = Nftables(Names().table, RUN_DIR.ruleset_digests)
        rules.apply(rules.diff(wanted))
        by_hand("add set inet vgw mine { type ipv4_addr; }")
        listed, again = rules.listing(), rules.listing()
        assert again is listed, "nothing has changed, so nft was not started"
        by_hand(deed)
        assert (
            rules.listing() == Nftables(Names().table, RUN_DIR.ruleset_digests).listing() != listed
        )
        assert rules.diff(wanted) != ()

    def by_hand(words: str) -> None:
        subprocess.run(["nft", words], check=True)

    namespace(changes)


def test_any_walk_over_plans_and_roles_ends_where_a_clean_apply_does(
    namespace: Namespace, cases: Cases, tmp_path: Path
) -> None:
    stops = [(name, role) for name in cases for role in ROLES]

    def clean(name: str, role: Role) -> None:
        wanted = settle(cases[name], role)
        (tmp_path / f"{name}.{role}").write_text(json.dumps(state(wanted)))

    for name, role in stops:
        namespace(lambda name=name, role=role: clean(name, role))  # type: ignore[misc]

    def walk() -> None:
        seed = random.SystemRandom().randrange(2**32)
        steps = random.Random(seed).choices(stops, k=4 * len(stops))
        for name, role in steps:
            wanted = settle(cases[name], role)
            assert converge.differences(wanted, RUN_DIR) == ()
            reached = json.loads(json.dumps(state(wanted)))
            expected = json.loads((tmp_path / f"{name}.{role}").read_text())
            assert reached == expected, f"seed {seed}, at {name} as {role}"

    namespace(walk)


def test_an_empty_plan_takes_everything_away(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        before = state(Plan())
        settle(cases["05-everything"], Role.MASTER)
        assert state(Plan()) != before
        order: list[str] = []
        report = converge.converge_fully(Plan(), RUN_DIR, lambda change: order.append(change.what))
        assert state(Plan()) == before
        assert all("forwarding" in what for what in order[:3]), "forwarding is the first to go"
        assert order[-1] == "table inet vgw", "the rules are the last"
        assert not report.problems
        assert not RUN_DIR.keepalived_conf.exists()

    namespace(body)


def killed_at(step: int, wanted: Plan) -> bool:
    """Converge in a child that kills itself before change number `step`; False if it came to its end."""
    child = os.fork()
    if child == 0:
        made = iter(range(step))

        def on_change(change: Change) -> None:
            if next(made, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        converge.converge(wanted, RUN_DIR, on_change)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("road", ["first apply", "another file", "teardown"])
def test_apply_killed_at_each_step_heals_and_never_forwards_unguarded(
    namespace: Namespace, cases: Cases, road: str
) -> None:
    def body() -> None:
        first = plan_of(cases["01-standard"], Role.BACKUP)
        other = plan_of(cases["05-everything"], Role.BACKUP)
        start, goal = {
            "first apply": (Plan(), first),
            "another file": (first, other),
            "teardown": (other, Plan()),
        }[road]
        step = 0
        while True:
            converge.converge_fully(start, RUN_DIR)
            killed = killed_at(step, goal)
            assert not forwarding() or listing(), f"step {step}: forwards without rules"
            converge.converge_fully(goal, RUN_DIR)
            assert converge.differences(goal, RUN_DIR) == ()
            if not killed:
                break
            step += 1
        assert step > 3, "the test killed nothing"

    namespace(body)


def test_apply_killed_at_any_moment_heals(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        apply = [sys.executable, "-m", "appliance", "apply", str(cases["01-standard"])]
        began = time.monotonic()
        subprocess.run(apply, check=True, capture_output=True)
        whole = time.monotonic() - began
        interrupted = 0
        for percent in range(0, 100, 8):
            converge.converge_fully(Plan(), RUN_DIR)
            with subprocess.Popen(apply, stdout=subprocess.DEVNULL) as process:
                # Not a wait for something: the moment of the kill is what is tried.
                time.sleep(whole * percent / 100)
                interrupted += process.poll() is None
                process.kill()
            assert not forwarding() or listing(), f"{percent} %: forwards without rules"
            done = subprocess.run(apply, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        assert interrupted > 5

    namespace(body)


def test_second_apply_has_nothing_to_do(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        apply = [sys.executable, "-m", "appliance", "apply", str(cases["05-everything"])]
        first = subprocess.run(apply, check=False, capture_output=True, text=True)
        assert first.returncode == 0, first.stderr
        assert "+ table inet vgw" in first.stdout
        before = state(Plan())
        handles = subprocess.check_output(["nft", "-a", "list", "table", "inet", "vgw"])
        second = subprocess.run(apply, check=False, capture_output=True, text=True)
        assert (second.returncode, second.stdout) == (0, "nothing to do\n")
        assert state(Plan()) == before
        assert subprocess.check_output(["nft", "-a", "list", "table", "inet", "vgw"]) == handles

    namespace(body)


DRIFT = {
    "a rule added": "nft insert rule inet vgw forwarded accept",
    "a rule deleted": "nft flush chain inet vgw leak-guard",
    "our table deleted": "nft delete table inet vgw",
    "every table flushed": "nft flush ruleset",
    "a route deleted": "ip route del default table 2011",
    "a route replaced": "ip route replace default via 203.0.113.7 dev eth0 table 2010 proto 201",
    "a routing rule deleted": "ip rule del priority 31504",
    "forwarding off": "echo 0 > /proc/sys/net/ipv4/conf/eth1/forwarding",
    "a setting changed": "echo 0 > /proc/sys/net/ipv4/conf/all/arp_ignore",
    "a file edited": "echo rubbish >> /run/vgw/supervisord.conf",
}


@pytest.mark.parametrize("drift", DRIFT.values(), ids=DRIFT.keys())
def test_what_is_changed_by_hand_is_seen_and_repaired(
    namespace: Namespace, cases: Cases, drift: str
) -> None:
    def body() -> None:
        wanted = settle(cases["01-standard"], Role.BACKUP)
        before = state(wanted)
        subprocess.run(["sh", "-c", drift], check=True)
        assert converge.differences(wanted, RUN_DIR) != ()
        report = converge.converge_fully(wanted, RUN_DIR)
        assert report.changes
        assert state(wanted) == before

    namespace(body)


def test_other_peoples_tables_and_routes_are_left_alone(namespace: Namespace, cases: Cases) -> None:
    def body() -> None:
        subprocess.run(["nft", "add table ip nat; add chain ip nat mine"], check=True)
        subprocess.run(["ip", "route", "add", "default", "via", "203.0.113.1"], check=True)
        subprocess.run(["ip", "rule", "add", "priority", "9", "lookup", "main"], check=True)
        others = Path("/proc/sys/net/ipv4/conf/eth3/forwarding")
        others.write_text("1")

        def theirs() -> list[bytes]:
            return [
                subprocess.check_output(command.split())
                for command in ("nft list table ip nat", "ip route show", "ip rule show priority 9")
            ]

        before = theirs()
        settle(cases["01-standard"], Role.MASTER)
        hold_addresses(Role.BACKUP)
        converge.converge_fully(Plan(), RUN_DIR)
        assert theirs() == before
        assert others.read_text().strip() == "1"

    namespace(body)


def test_where_nobody_can_tell_whether_rules_are_there_nothing_is_forwarded(
    namespace: Namespace, cases: Cases, tmp_path: Path
) -> None:
    broken = tmp_path / "nft"
    broken.write_text("#!/bin/sh\necho 'nft: out of order' >&2\nexit 1\n")
    broken.chmod(0o755)

    def body() -> None:
        wanted = plan_of(cases["01-standard"], Role.BACKUP)
        os.environ["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
        report = converge.converge(wanted, RUN_DIR)
        assert not forwarding()
        assert all("out of order" in str(problem) for problem in report.problems)
        assert report.problems
        assert RUN_DIR.keepalived_conf.exists(), "one failure does not stop the rest"

    namespace(body)


def test_what_has_other_names_is_another_gateways(namespace: Namespace, cases: Cases) -> None:
    other_run_dir = RunDir(Path("/run/other"))

    def body() -> None:
        first = settle(cases["07-hot"], Role.BACKUP)
        names = {path.name: path.read_text() for path in RUN_DIR.path.iterdir()}
        second = plan_of(cases["01-standard"], Role.BACKUP, SECOND)
        # Forwarding is the interfaces' own; a second gateway would have others.
        second = replace(second, sysctls=(), forwarding=(), files=())
        converge.converge_fully(replace(second, forwarding=first.forwarding), other_run_dir)
        assert converge.differences(first, RUN_DIR) == ()
        kept = state(first)
        assert state(second)["routes"]
        assert state(second)["routes"] != kept["routes"]
        subprocess.run(["nft", "list", "table", "inet", SECOND.table], check=True)
        converge.converge(Plan(names=SECOND), other_run_dir)
        assert converge.differences(Plan(names=SECOND), other_run_dir) == ()
        # What has no name to be owned by: forwarding, and in a closed network what lets the rest in.
        nobodys = re.compile(r"sysctl .*\.forwarding = 1|policy (dst (0.0.0.0|::)/0|setdefault) ")
        left = [change.what for change in converge.differences(first, RUN_DIR)]
        assert left
        assert [what for what in left if not nobodys.match(what)] == []
        assert {path.name: path.read_text() for path in RUN_DIR.path.iterdir()} == names

    namespace(body)
