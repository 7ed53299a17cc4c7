"""Virtual MACs: what follows from the file, and what a standby makes of what it hears."""

from pathlib import Path

import pytest

from appliance.config import gateway_file
from appliance.config.model import Config, Interfaces
from appliance.planning import virtual_macs
from appliance.planning.plan import sysctls
from appliance.planning.wanted import Names

HOT = Path(__file__).parents[1] / "golden" / "07-hot" / "gateway.yaml"
INTERFACES = Interfaces(lan="eth1", wan="eth0", sync="eth2")


def wanted(profile: str, more: str = "") -> Config:
    return gateway_file.parse(HOT.read_text().replace("profile: hot", f"profile: {profile}{more}"))


def test_the_macs() -> None:
    assert virtual_macs.macs(wanted("hot")) == ("00:00:5e:00:01:33", "02:5e:cb:00:71:63")


@pytest.mark.parametrize("profile", ["standard", "fast", "classic"])
def test_the_other_profiles_have_none_unless_asked(profile: str) -> None:
    assert virtual_macs.links(wanted(profile), INTERFACES, Names()) == ()
    found = virtual_macs.links(wanted(profile, ", virtual_mac: true"), INTERFACES, Names())
    assert [(link.name, link.parent) for link in found] == [
        ("vgw-lan", "eth1"),
        ("vgw-wan", "eth0"),
    ]
    assert virtual_macs.links(wanted("hot", ", virtual_mac: false"), INTERFACES, Names()) == ()


def test_before_the_links_are_there_no_setting_names_them() -> None:
    names = [key for key, _ in sysctls(wanted("hot"), "master", INTERFACES)]
    assert not [key for key in names if "vgw-" in key]
