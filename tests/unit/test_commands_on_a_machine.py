"""The commands that look at a machine and change it: what they say, what they leave, and when they refuse."""

import fcntl
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import __version__, rtnetlink, system
from appliance.addresses import Prefix
from appliance.commands import applying
from appliance.control.words import ApplyAnswer, ApplyRequest
from appliance.drivers import sysctl
from appliance.rtnetlink import RouteEntry
from appliance.run_dir import RunDir
from appliance.status import node_status, status_file
from appliance.vrrp import Role
from tests.waiting import PATIENCE

from .agent_socket import answering
from .command_line import Vgw, command_line
from .host_stand_in import Host, host
from .machine_stand_in import gateway, planned
from .node_doors import GOLDEN, config
from .snapshots import SNAPSHOT
from .supervisord_stand_in import supervisord

PEERS_MAC, STRANGERS_MAC = "02:00:00:00:01:03", "aa:bb:cc:dd:ee:ff"


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.setenv("VGW_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("VGW_NODE", "master")
    return RunDir(tmp_path / "run")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text((GOLDEN / "01-standard" / "gateway.yaml").read_text(encoding="utf-8"))
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_dir: RunDir) -> Host:
    plan = planned(config(), Role.BACKUP, run_dir)
    return host(monkeypatch, tmp_path, gateway(monkeypatch, tmp_path, plan))


@pytest.fixture
def vgw(
    here: Host, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Vgw:
    """`vgw` with these words, about the file: its exit code, and what it printed on either stream."""
    monkeypatch.setenv("VGW_CONFIG", str(file))
    return command_line(monkeypatch, capsys)


def test_check_says_what_apply_would_do_and_does_nothing(vgw: Vgw, here: Host) -> None:
    code, out, err = vgw("check")
    assert code == 3
    assert out.splitlines()[0] == "+ table inet vgw"
    assert err == f"vgw: {len(out.splitlines())} to do; `vgw apply` does it\n"
    assert not here.machine.table.exists() and not here.machine.forwards()


def test_apply_does_what_check_said_and_then_there_is_nothing_to_do(vgw: Vgw, here: Host) -> None:
    _, wanted, _ = vgw("check")
    assert vgw("apply") == (0, wanted, "")
    assert here.machine.table.exists() and here.machine.forwards()
    assert vgw("check") == vgw("apply") == (0, "nothing to do\n", "")


def test_check_names_a_route_of_others_that_takes_the_traffic(vgw: Vgw, here: Host) -> None:
    vgw("apply")
    thief = RouteEntry(254, Prefix("128.0.0.0/1"), None, here.machine.kernel.index_of("lo"), None)
    here.machine.kernel.routes.append(rtnetlink._route_body(thief, 4, 0, 1))
    code, out, err = vgw("check")
    assert (code, out) == (17, "")
    assert "the route 128.0.0.0/1 of table main (protocol static) comes before ours" in err


def test_check_names_each_filter_of_others_that_drops_what_has_to_pass(
    vgw: Vgw, here: Host
) -> None:
    here.machine.tables.load("ufw")
    code, _, err = vgw("check")
    assert (code, "ufw drops what comes from inside" in err) == (3, True), (
        "also before the first apply"
    )
    vgw("apply")
    code, out, err = vgw("check")
    first, second = err.splitlines()
    assert (code, out) == (17, "")
    assert first.startswith("vgw: ufw drops what comes from inside (TCP, UDP)")
    assert second.startswith("     ufw drops the peer's VRRP adverts")


def test_check_says_what_a_running_agent_has_seen_and_no_old_news(
    vgw: Vgw, run_dir: RunDir
) -> None:
    vgw("apply")
    now = status_file.moment()
    seen = SNAPSHOT._replace(in_the_way=("nothing leaves",), boot=now.boot, written_s=now.monotonic)
    for snapshot, answer in (
        (seen, (17, "", "vgw: nothing leaves\n")),
        (seen._replace(written_s=now.monotonic - 60), (0, "nothing to do\n", "")),
    ):
        system.replace(run_dir.status, node_status.to_json(snapshot))
        assert vgw("check") == answer


def test_teardown_leaves_nothing_of_ours(vgw: Vgw, here: Host, run_dir: RunDir) -> None:
    vgw("apply")
    system.replace(run_dir.ready, "1\n")
    code, out, err = vgw("teardown")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "- table inet vgw"
    assert not here.machine.table.exists() and not here.machine.forwards()
    assert here.machine.kernel.routes == here.machine.kernel.rules == []
    assert {path.name for path in run_dir.path.iterdir()} == {"lock"}


def test_plan_prints_the_whole_machine_for_the_role_that_is_so(vgw: Vgw, here: Host) -> None:
    code, backup, err = vgw("plan")
    assert (code, err) == (0, "")
    for words in (
        "table inet vgw",
        "net.netfilter.nf_conntrack_",
        "vrrp_instance",
        "src 203.0.113.2",
    ):
        assert words in backup
    here.machine.kernel.add_address("eth1", "192.168.100.99/24")
    master = vgw("plan")[1]
    assert "src 203.0.113.99" in master
    assert vgw("plan", "--role", "backup")[1] == backup


DONE = ApplyAnswer(changes=("~ table inet vgw",), told=("and a sentence",))


def test_beside_an_agent_apply_changes_nothing_but_asks_it_and_says_what_it_did(
    vgw: Vgw, here: Host, file: Path, run_dir: RunDir
) -> None:
    with answering(run_dir, DONE) as asked:
        assert vgw("apply") == (0, "~ table inet vgw\nand a sentence\n", "")
        assert vgw("apply", "--role", "master")[0] == 0
    assert asked == [ApplyRequest(str(file), "master", role) for role in ("", "MASTER")]
    assert not here.machine.table.exists() and not here.machine.forwards()
    with answering(run_dir, ApplyAnswer()):
        assert vgw("apply") == (0, "nothing to do\n", "")


def test_what_the_agent_refuses_ends_apply_with_its_code_and_its_words(
    vgw: Vgw, run_dir: RunDir
) -> None:
    refusal = ApplyAnswer(refusal="gateway.yaml:1:1: no", code=2, before="")
    with answering(run_dir, refusal):
        assert vgw("apply") == (2, "", "gateway.yaml:1:1: no\n")


def test_a_file_that_is_wrong_is_read_by_the_agent_too_whose_status_then_tells_of_it(
    vgw: Vgw, file: Path, run_dir: RunDir
) -> None:
    file.write_text("vgw: {}\n")
    with answering(run_dir, ApplyAnswer(refusal="as seen there", code=2)) as asked:
        code, out, err = vgw("apply")
    assert (code, out) == (2, "")
    assert err.startswith(f"{file}:1:"), "in the command's own words"
    assert asked == [ApplyRequest(str(file), "master")]


def test_of_a_machine_that_lacks_something_the_agent_is_not_asked(
    vgw: Vgw, here: Host, run_dir: RunDir
) -> None:
    here.may("0000000000000000")
    with answering(run_dir, DONE) as asked:
        assert vgw("apply")[0] == 10
    assert asked == []


def test_where_a_node_runs_and_no_agent_listens_apply_changes_nothing(
    vgw: Vgw, here: Host, run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir.path.mkdir()
    monkeypatch.setattr(applying, "AGENT_PATIENCE", 0.2)
    with supervisord(run_dir, agent=5, keepalived=6):
        code, out, err = vgw("apply")
    assert (code, out) == (1, "")
    assert err.startswith(
        f"vgw: a gateway runs here, in {run_dir}, and its agent takes no requests"
    )
    assert not here.machine.table.exists()


def test_apply_waits_for_an_agent_that_is_being_started_anew(vgw: Vgw, run_dir: RunDir) -> None:
    run_dir.path.mkdir()
    comes = threading.Event()

    def start() -> None:
        with answering(run_dir, DONE):
            comes.wait(PATIENCE)

    with supervisord(run_dir, agent=5):
        agent = threading.Timer(0.3, start)
        agent.start()
        assert vgw("apply")[0] == 0
        comes.set()
        agent.join()


@pytest.mark.parametrize("verb", ["teardown", "start"])
def test_what_would_end_a_node_that_runs_is_refused(
    vgw: Vgw, here: Host, run_dir: RunDir, unblocked: None, verb: str
) -> None:
    vgw("apply")
    with supervisord(run_dir, agent=5):
        code, _, err = vgw(verb)
    assert code == 1
    assert err.startswith(f"vgw: a gateway already runs here, in {run_dir}; `vgw status`")
    assert here.machine.table.exists()


@pytest.mark.parametrize("verb", ["check", "apply", "start", "teardown"])
def test_a_network_that_another_gateway_has_is_left_alone(
    vgw: Vgw, here: Host, unblocked: None, verb: str
) -> None:
    here.another_gateway("8:15 backup in /run/other")
    code, out, err = vgw(verb)
    assert (code, out) == (1, "")
    assert err.startswith(
        "vgw: a gateway runs in this network namespace already: backup in /run/other; stop it first"
    )
    assert not here.machine.forwards()


def test_all_that_a_machine_lacks_is_told_at_once_and_nothing_is_changed(
    vgw: Vgw, here: Host
) -> None:
    here.may("0000000000000000")
    kernel = here.machine.kernel
    kernel.link("eth1").up = False
    kernel.remove_address("10.99.0.2")
    (here.directory / "protocols").unlink()
    code, out, err = vgw("apply")
    assert (code, out) == (10, ""), "the first one gives the code"
    assert [line.strip().partition(":")[0] for line in err.removeprefix("vgw: ").splitlines()] == [
        "CAP_NET_ADMIN is missing",
        "CAP_NET_RAW is missing",
        f"{here.directory}/protocols is not installed",
        "lan",
        "nodes.master.sync",
    ]
    assert not here.machine.table.exists()


def test_who_may_change_nothing_may_take_nothing_away(vgw: Vgw, here: Host) -> None:
    vgw("apply")
    here.may("0000000000000000")
    code, out, err = vgw("teardown")
    assert (code, out) == (10, "")
    assert err.startswith("vgw: CAP_NET_ADMIN is missing: run as root")
    assert here.machine.table.exists()


def test_a_kernel_that_lacks_what_is_needed_is_named_with_the_remedy(
    vgw: Vgw, here: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.machine.refuse_rules()
    monkeypatch.setattr("appliance.site.probes.CONNTRACK", here.directory / "none")
    code, _, err = vgw("apply")
    assert code == 11
    assert [line.split()[3].rstrip(":") for line in err.replace("vgw: ", "").splitlines()] == [
        "nf_conntrack",
        "nf_nat",
        "nf_tables",
    ]


def test_who_answers_for_an_address_of_ours_is_in_the_way_unless_it_is_the_peer(
    vgw: Vgw, here: Host
) -> None:
    here.neighbours.macs = {"192.168.100.99": STRANGERS_MAC, "192.168.100.3": PEERS_MAC}
    code, _, err = vgw("check")
    assert code == 15
    assert f"vgw.address: 192.168.100.99 answers ARP from {STRANGERS_MAC}" in err
    here.neighbours.macs["192.168.100.99"] = PEERS_MAC
    assert vgw("check")[0] == 3
    # An interface of this very machine that answers on another one's network is no stranger.
    here.neighbours.macs = {"192.168.100.2": here.machine.kernel.link("eth1").mac}
    assert vgw("check")[0] == 3
    assert {"192.168.100.99", "203.0.113.99", "10.99.0.2"} <= set(here.neighbours.asked)


def test_a_stranger_with_our_virtual_router_id_is_heard_by_check(vgw: Vgw, here: Host) -> None:
    here.neighbours.adverts = [("192.168.100.7", 51), ("192.168.100.3", 51), ("192.168.100.8", 52)]
    code, _, err = vgw("check")
    assert code == 15
    assert err == "vgw: virtual_router_id 51 is used by 192.168.100.7; choose another\n"
    here.neighbours.adverts = [("192.168.100.2", 51)]
    assert vgw("check")[0] == 3, "its own adverts are no stranger's"


def test_settings_that_cannot_be_made_are_told_before_anything_is_changed(
    vgw: Vgw, here: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "net.netfilter.nf_conntrack_udp_timeout"
    # Root could write any file that a test can make; a mount that is read-only has no other sign.
    monkeypatch.setattr(
        "os.access", lambda path, mode: mode != os.W_OK or key not in str(path).replace("/", ".")
    )
    code, _, err = vgw("apply")
    assert code == 13
    assert err.startswith(f"vgw: sysctl {key} must be ")
    sysctl.path_of(key).unlink()
    assert vgw("apply")[0] == 11
    assert not here.machine.table.exists()


@pytest.fixture
def unblocked() -> Iterator[None]:
    """This process hears TERM as before, and writes as before, when the test is over."""
    flags = fcntl.fcntl(1, fcntl.F_GETFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    fcntl.fcntl(1, fcntl.F_SETFL, flags)


def test_start_makes_the_machine_a_standby_that_is_not_ready_and_becomes_its_supervisord(
    vgw: Vgw,
    here: Host,
    file: Path,
    run_dir: RunDir,
    unblocked: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda path, argv: became.append(argv))
    here.nobody_supervises()
    system.replace(run_dir.failed, "of the last time\n")
    assert vgw("start") == (
        0,
        f"vgw {__version__}: node master of 192.168.100.99, profile standard\n",
        "",
    )
    assert became == [[sys.executable, "-m", "appliance.processes.supervise", str(run_dir)]]
    assert here.machine.table.exists() and here.machine.forwards()
    assert (run_dir.ready.read_text(), run_dir.aside.read_text()) == ("0\n", "1\n")
    assert run_dir.accepted.read_text() == file.read_text()
    assert stat.S_ISFIFO(run_dir.notify_fifo.stat().st_mode)
    assert not run_dir.failed.exists()
    assert here.claims[0] == "vgw" and here.claims[1].endswith(f" master in {run_dir}")
    assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()), "supervisord hears it"


def test_an_agent_without_a_file_says_so(vgw: Vgw, run_dir: RunDir) -> None:
    run_dir.path.mkdir()
    assert vgw("agent", "/nowhere/gateway.yaml")[0] == 2
