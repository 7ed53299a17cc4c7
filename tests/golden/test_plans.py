"""Each numbered folder: a gateway.yaml, and all that is planned and rendered from it, word for word.

The folders are examples for users as well. `--update` rewrites what is expected.
"""

import difflib
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.commands import plan_text
from appliance.config import gateway_file, reserved_names
from appliance.config.model import Config
from appliance.planning import daemon_files, nft_text
from appliance.planning.plan import plan
from appliance.planning.ruleset import Ruleset
from appliance.planning.wanted import Names, Site, Versions
from appliance.run_dir import RunDir
from appliance.site import locate
from appliance.vrrp import Role

CASES = sorted(Path(__file__).parent.glob("[0-9][0-9]-*"))
DEBIAN_12 = Versions(keepalived=(2, 2, 7))
DEBIAN_13 = Versions(keepalived=(2, 3, 3))
RUN_DIR = RunDir()
LINKS = ("eth0", "eth1", "eth2", "eth3")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether the expected files are to be written anew."""
    return bool(request.config.getoption("--update"))


def parsed(case: Path) -> Config:
    return gateway_file.parse((case / "gateway.yaml").read_bytes(), "gateway.yaml")


def site(wanted: Config, name: str, versions: Versions = DEBIAN_12) -> Site:
    node = wanted.nodes[name]
    places = {"eth0": node.wan, "eth1": node.lan, "eth2": node.sync, "eth3": None}
    links = {link: (address,) if address else () for link, address in places.items()}
    return Site(
        interfaces=locate.locate(wanted, name, links),
        versions=versions,
        run_dir=RUN_DIR,
        python=Path("/usr/bin/python3"),
        config_path=Path("/etc/vgw/gateway.yaml"),
        own_network=True,
    )


def in_nft(rules: Ruleset) -> str:
    """The ruleset as it is loaded."""
    return nft_text.text(rules, Names().table)


def expected_files(case: Path) -> dict[str, str]:
    """Everything that follows from a case's gateway.yaml, by file name."""
    wanted = parsed(case)
    files = {}
    for name in wanted.nodes:
        texts = {
            role: plan_text.text(plan(wanted, name, role, site(wanted, name)), in_nft)
            for role in (Role.MASTER, Role.BACKUP)
        }
        files[f"{name}.plan"] = texts[Role.MASTER]
        files[f"{name}.as-backup.diff"] = _difference(texts[Role.MASTER], texts[Role.BACKUP])
        on_13 = plan(wanted, name, Role.MASTER, site(wanted, name, DEBIAN_13))
        newer = plan_text.text(on_13, in_nft)
        files[f"{name}.on-debian-13.diff"] = _difference(texts[Role.MASTER], newer)
    for machine in wanted.machines:
        files[f"{machine}.netplan.yaml"] = daemon_files.netplan(wanted, machine)
    return files


def _difference(one: str, other: str) -> str:
    lines = difflib.unified_diff(one.splitlines(), other.splitlines(), lineterm="", n=0)
    return "".join(f"{line}\n" for line in lines if not line.startswith(("---", "+++", "@@")))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_follows_from_the_file(case: Path, update: bool) -> None:
    files = expected_files(case)
    there = {path.name for path in case.iterdir()} - {"gateway.yaml"}
    if update:
        for name in there - files.keys():
            (case / name).unlink()
        for name, text in files.items():
            (case / name).write_text(text)
    assert {path.name for path in case.iterdir()} - {"gateway.yaml"} == files.keys()
    for name, text in files.items():
        assert text == (case / name).read_text(), f"{case.name}/{name}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_role_changes_the_nodes_own_routes_and_nothing_else(case: Path) -> None:
    for diff in case.glob("*.as-backup.diff"):
        lines = diff.read_text().splitlines()
        assert lines, f"{diff.name}: MASTER and BACKUP cannot be told apart"
        assert all(line[1:].startswith("route 0.0.0.0/0 via ") for line in lines), diff.name


SHEET = """
    state MASTER
    interface eth1
    virtual_router_id 51
    priority 100
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass 1234
    }
    virtual_ipaddress {
        192.168.100.99/24
    }
"""


def test_classic_holds_the_course_sheets_directives_in_its_words() -> None:
    case = next(case for case in CASES if case.name.endswith("classic"))
    wanted = parsed(case)
    backup_sheet = SHEET.replace("MASTER", "BACKUP").replace("priority 100", "priority 90")
    for name, sheet in (("master", SHEET), ("backup", backup_sheet)):
        files = plan(wanted, name, Role.BACKUP, site(wanted, name)).files
        text = next(file.text for file in files if file.name == RUN_DIR.keepalived_conf.name)
        instance = text[text.index("vrrp_instance VI_1 {") :]
        rest = iter(instance.splitlines())
        missing = [line for line in sheet.strip("\n").splitlines() if line not in rest]
        assert not missing, f"{name}: not there, or not in the sheet's order"
        assert "preempt" not in text
        assert "version" not in instance


def in_a_namespace(script: str) -> subprocess.CompletedProcess[str]:
    """Run shell lines in a network namespace that has the interfaces a gateway would have."""
    links = "\n".join(
        f"ip link add {name} type veth peer name peer-{name} && ip link set {name} up"
        for name in LINKS
    )
    virtual_links = "\n".join(
        f"ip link add {name} link {parent} type macvlan mode private && ip link set {name} up"
        for name, parent in ((reserved_names.LAN, "eth1"), (reserved_names.WAN, "eth0"))
    )
    script = f"{links}\n{virtual_links}\n{script}"
    return subprocess.run(
        ["unshare", "--map-root-user", "--net", "--mount", "sh", "-ec", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.fixture(scope="session")
def real_daemons() -> None:
    """The installed daemons, in a namespace where they may look at interfaces and rules."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    needed = ("conntrackd", "ip", "keepalived", "nft")
    absent = [program for program in needed if not shutil.which(program, path=path)]
    if absent:
        pytest.skip(f"the real daemons cannot check the files here: no {', '.join(absent)}")
    tried = in_a_namespace("export PATH=$PATH:/usr/sbin:/sbin; nft --version; keepalived --version")
    if tried.returncode != 0:
        pytest.skip(f"the real daemons cannot check the files here: {tried.stderr.strip()}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_real_daemons_accept_the_files(case: Path, real_daemons: None, tmp_path: Path) -> None:
    from appliance.processes import versions as programs

    wanted = parsed(case)
    for name, node in wanted.nodes.items():
        here = site(wanted, name, programs.installed_versions())
        wanted_plan = plan(wanted, name, Role.MASTER, here)
        assert wanted_plan.ruleset is not None
        (tmp_path / "rules.nft").write_text(in_nft(wanted_plan.ruleset))
        for file in wanted_plan.files:
            (tmp_path / file.name).write_text(file.text.replace(str(RUN_DIR), str(tmp_path)))
        for note in ("ready", "aside"):
            (tmp_path / note).write_text("1\n")
        done = in_a_namespace(f"""
            export PATH=$PATH:/usr/sbin:/sbin
            ip addr add {node.lan} dev eth1
            nft --check --file {tmp_path}/rules.nft
            nft --file {tmp_path}/rules.nft
            keepalived --config-test --use-file {tmp_path}/keepalived.conf
            # conntrackd has no trial mode: it reads the file, and then finds nobody to ask.
            conntrackd -C {tmp_path}/conntrackd.conf -s 2>&1 | grep -v "can't connect:" && exit 9
            true
        """)
        assert (done.returncode, done.stderr.strip()) == (0, ""), done.stdout


NETPLAN = Path("/usr/libexec/netplan/generate"), Path("/lib/netplan/generate")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_netplan_accepts_the_machines_files(case: Path, tmp_path: Path) -> None:
    generator = next((path for path in NETPLAN if path.exists()), None)
    if generator is None:
        pytest.skip("netplan's generator is not installed: Debian's netplan.io has it")
    wanted = parsed(case)
    for machine in wanted.machines:
        root = tmp_path / machine
        folder = root / "etc" / "netplan"
        folder.mkdir(parents=True)
        (folder / "50-vgw.yaml").write_text(daemon_files.netplan(wanted, machine))
        (folder / "50-vgw.yaml").chmod(0o600)
        done = subprocess.run(
            [generator, "--root-dir", root], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        written = next(root.glob("run/systemd/network/*.network")).read_text()
        assert "Gateway=192.168.100.99" in written


def test_a_network_that_is_the_machines_own_is_not_closed() -> None:
    wanted = parsed(CASES[0])
    here = replace(site(wanted, "master"), own_network=False)
    assert not plan(wanted, "master", Role.MASTER, here).closed
