"""What is missing on a machine is named with its remedy and its own exit code; nothing is half-applied."""

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.planning.wanted import Plan
from tests.kernel.conftest import Namespace
from tests.kernel.wanted import state

VGW = f"{sys.executable} -m appliance"

READ_ONLY = "mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys"

# What is done to the machine first; how the command is run; the exit code; what the message says.
REFUSALS = {
    "broken yaml": (
        "sed -i s/priority/priorty/ gateway.yaml",
        "",
        2,
        ["gateway.yaml:6:", "priorty", "did you mean 'priority'"],
    ),
    "no file": ("rm gateway.yaml", "", 2, ["No such file", "VGW_CONFIG"]),
    "no NET_ADMIN": (
        "",
        "setpriv --bounding-set=-net_admin --inh-caps=-net_admin",
        10,
        ["CAP_NET_ADMIN", "cap_add"],
    ),
    "no NET_RAW": ("", "setpriv --bounding-set=-net_raw --inh-caps=-net_raw", 10, ["CAP_NET_RAW"]),
    "no such kernel setting": (
        "printf 'sysctl: {net.ipv4.no_such_feature: 1}\\n' >> gateway.yaml",
        "",
        11,
        ["net.ipv4.no_such_feature", "this kernel has no such setting"],
    ),
    "no such interface": ("ip link del eth1", "", 12, ["eth1", "there are eth0"]),
    "address not there": (
        "ip addr flush dev eth1",
        "",
        12,
        ["ip addr add 192.168.100.2/24 dev eth1"],
    ),
    "interface off": ("ip link set eth2 down", "", 12, ["eth2 is down", "ip link set eth2 up"]),
    "read-only settings": (
        READ_ONLY,
        "",
        13,
        ["net.ipv4.conf.all.arp_ignore", "sysctls:"],
    ),
    "no keepalived": (
        "mkdir /tmp/empty 2>/dev/null; mount -t tmpfs none $(dirname $(command -v keepalived))",
        "",
        14,
        ["keepalived is not installed"],
    ),
    "another node's name": ("", "env VGW_NODE=third", 1, ["third", "master and backup"]),
}


def test_one_interfaces_settings_are_made_although_proc_sys_is_read_only(
    namespace: Namespace, cases: dict[str, Path]
) -> None:
    def body() -> None:
        file = cases["04-no-address-outside"]
        apply = f"{VGW} apply {file}".split()
        for name, value in (
            ("eth1.send_redirects", "1"),
            ("eth0.rp_filter", "0"),
            ("eth2.forwarding", "0"),
        ):
            setting = Path(f"/proc/sys/net/ipv4/conf/{name.replace('.', '/')}")
            assert subprocess.run(apply, capture_output=True, check=False).returncode == 0
            setting.write_text(value)
            subprocess.run(["sh", "-ec", READ_ONLY], check=True)
            done = subprocess.run(apply, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert name in done.stdout
            assert setting.read_text().strip() != value
            subprocess.run(["umount", "/proc/sys"], check=True)

    namespace(body)


@pytest.mark.parametrize("verb", ["start", "apply", "check"])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_refusal(
    namespace: Namespace,
    cases: dict[str, Path],
    tmp_path: Path,
    refusal: tuple[str, str, int, list[str]],
    verb: str,
) -> None:
    deed, prefix, code, phrases = refusal

    def body() -> None:
        file = tmp_path / "gateway.yaml"
        file.write_text(cases["01-standard"].read_text())
        file.chmod(0o644)
        subprocess.run(["sh", "-c", deed], check=False, cwd=tmp_path)
        # Where nft itself is hidden, what it would list cannot have changed.
        hidden = "mount -t tmpfs" in deed
        before = None if hidden else state(Plan())
        done = subprocess.run(
            f"{prefix} {VGW} {verb} {file}".split(), capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        for phrase in phrases:
            assert phrase in done.stderr
        assert hidden or state(Plan()) == before
        assert not Path("/run/vgw/keepalived.conf").exists()

    namespace(body)
