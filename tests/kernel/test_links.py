"""Links that bear virtual MACs: made, put right and taken away, and never a stranger's."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from appliance import ApplianceError, converge
from appliance.drivers import links
from appliance.planning.wanted import Names, Plan, VirtualLink
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.kernel.conftest import Namespace
from tests.kernel.wanted import plan_of

RUN_DIR = RunDir()
WANTED = (
    VirtualLink("vgw-lan", "eth1", "00:00:5e:00:01:33"),
    VirtualLink("vgw-wan", "eth0", "02:5e:cb:00:71:63"),
)
OURS = Names().links
ORDER = ("table inet vgw", "link vgw-lan", "vgw-lan.send_redirects", "vgw-lan.forwarding")


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def seen(name: str) -> dict[str, Any]:
    done = subprocess.run(
        ["ip", "-json", "-details", "link", "show", name], check=True, capture_output=True
    )
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@pytest.mark.parametrize(
    "deed",
    [
        "link show lo",
        "link del vgw-lan",
        "link set vgw-wan down",
        "link set vgw-lan address 02:00:00:00:00:01",
    ],
)
def test_whatever_is_done_to_them_they_are_as_wanted_again(namespace: Namespace, deed: str) -> None:
    def body() -> None:
        links.apply(links.diff(WANTED, OURS))
        assert links.diff(WANTED, OURS) == ()
        ip(deed)
        links.apply(links.diff(WANTED, OURS))
        assert links.diff(WANTED, OURS) == ()
        for wanted in WANTED:
            found = seen(wanted.name)
            assert (found["link"], found["address"]) == (wanted.parent, wanted.mac)
            assert found["linkinfo"]["info_data"]["mode"] == "private"
            assert found["inet6_addr_gen_mode"] == "none"
        links.apply(links.diff((), OURS))
        assert [str(change) for change in links.diff(WANTED, OURS)] == [
            "+ link vgw-lan on eth1 address 00:00:5e:00:01:33",
            "+ link vgw-wan on eth0 address 02:5e:cb:00:71:63",
        ]

    namespace(body)


def test_a_strangers_link_is_named_and_left_alone(namespace: Namespace) -> None:
    def body() -> None:
        ip("link add vgw-lan type bridge")
        with pytest.raises(ApplianceError, match="vgw-lan is not ours"):
            links.diff(WANTED, OURS)
        assert links.diff((), OURS) == ()
        assert seen("vgw-lan")["linkinfo"]["info_kind"] == "bridge"

    namespace(body)


def test_a_network_whose_interface_is_gone_is_told(namespace: Namespace) -> None:
    def body() -> None:
        ip("link del eth1")
        with pytest.raises(ApplianceError, match="the kernel refused \\+ link vgw-lan on eth1"):
            links.apply(links.diff(WANTED, OURS))

    namespace(body)


def test_they_forward_only_after_the_rules_are_in_force(
    namespace: Namespace, cases: dict[str, Path]
) -> None:
    def body() -> None:
        hot = plan_of(cases["07-hot"], Role.BACKUP)
        done = []
        converge.converge(hot, RUN_DIR, on_change=lambda change: done.append(str(change)))
        firsts = [next(n for n, line in enumerate(done) if word in line) for word in ORDER]
        assert firsts == sorted(firsts), done
        converge.converge_fully(Plan(), RUN_DIR)
        assert links.diff((), OURS) == ()

    namespace(body)
