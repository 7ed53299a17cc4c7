"""What the file may say, what it reads as, and what is refused before anything is read."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

import pytest

from appliance.config import gateway_file
from appliance.config.model import Config, Failback
from appliance.config.profiles import PROFILES

GOOD = (Path(__file__).parent.parent / "golden" / "bad-base.yaml").read_text()


def errors(text: str | bytes) -> list[str]:
    with pytest.raises(gateway_file.ConfigErrors) as caught:
        gateway_file.parse(text)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


def with_vgw(**keys: object) -> Config:
    said = "".join(f", {key}: {value}" for key, value in keys.items())
    return gateway_file.parse(GOOD.replace(", profile: standard", said))


def with_source(said: str) -> Config:
    return gateway_file.parse(GOOD.replace("{from: 192.168.100.0/24}", said))


def test_the_good_file() -> None:
    wanted, warnings = gateway_file.parse_with_warnings(GOOD)
    assert warnings == ()
    assert wanted.vgw.address == IPv4Interface("192.168.100.99/24")
    assert wanted.nodes["master"].sync == IPv4Interface("10.99.0.2/24")
    assert wanted.peer_of("master") == "backup"
    assert wanted.machines["noeud2"].address.ip == IPv4Address("192.168.100.20")


def test_bytes_and_text_are_the_same() -> None:
    assert gateway_file.parse(GOOD.encode()) == gateway_file.parse(GOOD)


def test_the_wan_vip_is_what_source_nat_translates_to() -> None:
    assert gateway_file.parse(GOOD).nat.source[0].to == IPv4Address("203.0.113.99")


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_sets_what_is_not_said(name: str) -> None:
    vgw = with_vgw(profile=name).vgw
    assert {key: getattr(vgw, key) for key in PROFILES[name]} == PROFILES[name]


def test_what_is_said_wins_over_the_profile() -> None:
    vgw = with_vgw(profile="fast", failback="never", advert_interval=0.5).vgw
    assert (vgw.failback, vgw.advert_interval, vgw.realtime_priority) == (Failback.NEVER, 0.5, 20)


@pytest.mark.parametrize(
    ("written", "read"),
    [("1234", "1234"), ('"0123"', "0123"), ("0123", "0123"), ("no", "no"), ("a-b_c.d", "a-b_c.d")],
)
def test_passwords_stay_as_written(written: str, read: str) -> None:
    assert with_vgw(profile="classic", auth_pass=written).vgw.auth_pass == read


def test_a_password_of_the_profile_can_be_taken_back() -> None:
    assert with_vgw(profile="classic", auth_pass="null").vgw.auth_pass is None


@pytest.mark.parametrize("written", ["1.5", "true", "[a]", "'a b'", "'a\"b'", "'}'", "''", "'#'"])
def test_other_passwords_are_refused(written: str) -> None:
    text = GOOD.replace("profile: standard", f"profile: classic, auth_pass: {written}")
    assert "auth_pass" in errors(text)[0]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("20000-60000", (20000, 60000)),
        ('"20000-60000"', (20000, 60000)),
        ("1-1024", (1, 1024)),
    ],
)
def test_port_ranges(written: str, read: tuple[int, int]) -> None:
    assert with_source(f"{{from: 192.168.100.0/24, ports: {written}}}").nat.source[0].ports == read


@pytest.mark.parametrize(
    "written",
    ["[1024, 65535]", "0-2000", "1-65536", "-5", "1024:65535", "true", "1024-", "1e3", "a"],
)
def test_other_port_ranges_are_refused(written: str) -> None:
    text = GOOD.replace("{from: 192.168.100.0/24}", f"{{from: 192.168.100.0/24, ports: {written}}}")
    assert "nat.source[0].ports" in errors(text)[0]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("80", ((80, 80),)),
        ("8000-8010", ((8000, 8010),)),
        ('[80, "8000-8010"]', ((80, 80), (8000, 8010))),
    ],
)
def test_lists_of_ports(written: str, read: tuple[tuple[int, int], ...]) -> None:
    rule = f"{{action: drop, protocol: tcp, ports: {written}}}"
    wanted = gateway_file.parse(f"{GOOD}forward: {{rules: [{rule}]}}\n")
    assert wanted.forward.rules[0].ports == read


def test_a_redirect_keeps_its_port_unless_said() -> None:
    rules = (
        "  destination:\n"
        "    - {protocol: tcp, port: 80, to: 192.168.100.10}\n"
        "    - {protocol: tcp, port: 81, to: 192.168.100.10, to_port: 8081}\n"
    )
    wanted = gateway_file.parse(GOOD.replace("machines:", f"{rules}machines:"))
    assert [rule.to_port for rule in wanted.nat.destination] == [80, 8081]


def test_words_that_python_keeps_for_itself_are_keys_of_the_file_only() -> None:
    wanted = with_source("{from: 192.168.100.0/24, except: [198.51.100.0/24]}")
    assert wanted.nat.source[0].except_ == (IPv4Network("198.51.100.0/24"),)
    text = GOOD.replace("{from:", "{from_:")
    assert "did you mean 'from'?" in errors(text)[0]


def test_nodes_may_be_named_as_yaml_1_1_names_false() -> None:
    wanted = gateway_file.parse(GOOD.replace("  master:", "  no:").replace("  backup:", "  off:"))
    assert list(wanted.nodes) == ["no", "off"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "gateway.yaml:1:1: the file is empty"),
        ("# a remark\n", "gateway.yaml:1:1: the file is empty"),
        ("- 1\n", "gateway.yaml:1:1: the file must be a map"),
        ("hello\n", "gateway.yaml:1:1: the file must be a map"),
        ("a: [\n", "gateway.yaml:2:1: is not valid YAML"),
        ("a: &x [*x]\n", "gateway.yaml:1:4: 'x' is an anchor or alias"),
        ("a: !!python/name:os.system x\n", "gateway.yaml:1:4: "),
        ("a: !x 1\n", "gateway.yaml:1:4: '!x' is a tag"),
        ("? [a]\n: 1\n", "gateway.yaml:1:1: lan: is missing"),
        ('a: "\\UFFFFFFFF"\n', "gateway.yaml:1:"),
        ("a: " + "[" * 30, "gateway.yaml:1:23: is nested more than 20 deep"),
        ("\ufeffvgw: 1\n", "gateway.yaml:1:1: the file begins with a byte order mark"),
        ("a: 1\nb: x\0y\n", "gateway.yaml:2:5: character U+0000 is not allowed"),
        ("a: 1\r\nb: \x1b[31m\r\n", "gateway.yaml:2:4: character U+001B is not allowed"),
        (b"a: 1\nb: caf\xe9\n", "gateway.yaml:2:7: byte 0xe9 is not UTF-8"),
        ("a: 1\n".encode("utf-16"), "gateway.yaml:1:1: byte 0xff is not UTF-8"),
        ("#" * 1_000_001, "gateway.yaml:1:1: the file has a size of 1000001"),
        ("\ud800", "gateway.yaml:1:1: character U+D800"),
    ],
)
def test_what_is_not_read_at_all(text: str | bytes, said: str) -> None:
    assert errors(text)[0].startswith(said)


def test_a_bomb_of_aliases_does_not_go_off() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    assert errors("\n".join(lines))[0].startswith("gateway.yaml:1:5: 'a0' is an anchor")


def test_errors_are_in_the_order_of_the_file() -> None:
    text = GOOD.replace("priority: 90", "priority: 0").replace("192.168.100.99", "192.168.100.299")
    text = text.replace("priority: 100", "priority: 0").replace("eth2", "eth 2")
    places = [tuple(map(int, line.split(":")[1:3])) for line in errors(text)]
    assert len(places) == 4
    assert places == sorted(places)


def test_the_name_of_the_file_is_told() -> None:
    with pytest.raises(gateway_file.ConfigErrors, match=r"^/etc/vgw/here\.yaml:1:1: "):
        gateway_file.parse("", "/etc/vgw/here.yaml")


def test_one_wrong_value_does_not_hide_the_check_of_others() -> None:
    text = GOOD.replace("eth1", "eth 1").replace("192.168.100.3/24", "192.168.100.2/24")
    assert [line.split(": ")[1] for line in errors(text)] == ["lan.interface", "nodes.backup.lan"]


def test_a_key_called_like_a_sign_of_pydantic() -> None:
    assert "vgw.'[key]': is not a known key" in errors(GOOD.replace("profile:", '"[key]":'))[0]
