"""A whole machine that no test can harm: links and routes, policies, settings, nft and keepalived."""

import errno
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance import netlink
from appliance.config.model import Config, Interfaces
from appliance.drivers import sysctl
from appliance.filters import legacy_kernel
from appliance.planning.plan import plan
from appliance.planning.wanted import Plan, Site, Versions
from appliance.run_dir import RunDir
from appliance.vrrp import Role

from .kernel_stand_ins import OpenDoors, Policies, opened, refused
from .nft_stand_in import Nftables
from .program_stand_ins import CONNTRACKD, KEEPALIVED, NFT, installed
from .rtnetlink_stand_in import Machine, machine

INTERFACES = Interfaces(lan="eth1", wan="eth0", sync="eth2")
# Node `master` of the golden configurations; keepalived's addresses are not there yet.
ADDRESSES = {
    "eth0": "203.0.113.2/24",
    "eth1": "192.168.100.2/24",
    "eth2": "10.99.0.2/24",
    "eth3": "172.16.0.1/24",
}


@dataclass(frozen=True)
class Gateway:
    """A machine that can be a gateway: what its kernel keeps, and where its programs are."""

    kernel: Machine
    policies: Policies
    sockets: OpenDoors
    nft: Path
    tables: Nftables

    @property
    def table(self) -> Path:
        """The ruleset in force, while it is there."""
        return self.nft.with_suffix(".table")

    @property
    def frames(self) -> Path:
        """Our table of frames, as nft keeps it."""
        return self.nft.with_suffix(".netdev")

    @property
    def listings(self) -> int:
        """How often nft was started to list the ruleset."""
        return self.nft.with_suffix(".log").read_text().count("--stateless")

    def refuse_rules(self, words: str = "Error: Operation not permitted") -> None:
        """Have nft end with these words, whatever it is asked, and the kernel tell nothing of its rules."""
        self.tables.refuses = True
        self.nft.with_suffix(".refuses").write_text(words)

    def refuse_check(self, words: str = "Error: no") -> None:
        """Have nft refuse what it is asked to check."""
        self.nft.with_suffix(".disapproves").write_text(words)

    def stumble(self) -> None:
        """Have nft fail once, with what another ruleset brought."""
        self.tables.generation += 1
        self.nft.with_suffix(".stumbles").touch()

    def take_rules(self) -> None:
        """Have nft work again."""
        self.tables.refuses = False
        self.nft.with_suffix(".refuses").unlink()

    def setting(self, key: str) -> str:
        """A kernel setting as it is."""
        return sysctl.path_of(key).read_text().strip()

    def forwards(self) -> bool:
        """Whether the packets of any interface are passed on."""
        return any(path.read_text() == "1\n" for path in sysctl.ROOT.rglob("forwarding"))


def gateway(monkeypatch: pytest.MonkeyPatch, directory: Path, wanted: Plan) -> Gateway:
    """One that has the settings that a plan asks for, each with another value, and nothing of ours."""
    settings = directory / "sys"
    monkeypatch.setattr(sysctl, "ROOT", settings)
    add_settings(wanted)
    sockets, policies = opened(monkeypatch), Policies()
    kernel = machine(monkeypatch, sockets)
    for number, (name, address) in enumerate(ADDRESSES.items()):
        kernel.add_link(name, up=True, mac=f"02:00:00:00:00:{number:02x}")
        kernel.add_address(name, address)
    sockets.lead(socket.AF_NETLINK, socket.SOCK_RAW, netlink.XFRM, to=policies.door)
    tables = Nftables()
    sockets.lead(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETFILTER, to=tables.door)
    monkeypatch.setattr(legacy_kernel, "TABLE_NAMES", directory / "ip_tables_names")
    # What has no stand-in stays shut: whoever runs the tests as root has a machine to lose.
    for family in (socket.AF_NETLINK, socket.AF_PACKET):
        sockets.lead(family, to=refused(errno.EPERM))
    installed(monkeypatch, directory, "keepalived", KEEPALIVED)
    installed(monkeypatch, directory, "conntrackd", CONNTRACKD)
    nft = installed(monkeypatch, directory, "nft", NFT)
    tables.loaded = nft.with_suffix(".table")
    return Gateway(kernel, policies, sockets, nft, tables)


def add_settings(wanted: Plan) -> None:
    """Those that a plan asks for, each with another value."""
    for key in (*dict(wanted.sysctls), *map(sysctl.forwarding, {*ADDRESSES, *wanted.forwarding})):
        path = sysctl.path_of(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text("0\n" if key.endswith("forwarding") else "7\n")


def planned(config: Config, role: Role, run_dir: RunDir, *, own_network: bool = True) -> Plan:
    """What node `master` is to be on that machine."""
    return plan(config, "master", role, site(run_dir, own_network=own_network))


def site(run_dir: RunDir, path: Path = Path("/etc/vgw/gateway.yaml"), *, own_network: bool) -> Site:
    """That machine, as planning must know it."""
    python = Path("/usr/bin/python3")
    return Site(INTERFACES, Versions(), run_dir, python, path, own_network=own_network)
