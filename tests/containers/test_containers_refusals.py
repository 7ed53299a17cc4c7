"""A node that lacks something ends at once, and names what is missing and the line that mends it."""

from pathlib import Path

import pytest

from tests.conftest import Bound
from tests.containers.pair import Pair
from tests.waiting import waited


@pytest.mark.parametrize(
    ("change", "code", "named", "line"),
    [
        ("cap_add: !override [NET_RAW]", 10, "CAP_NET_ADMIN", "cap_add: [NET_ADMIN, NET_RAW]"),
        ("cap_add: !override [NET_ADMIN]", 10, "CAP_NET_RAW", "cap_add: [NET_ADMIN, NET_RAW]"),
        (
            "sysctls: {net.ipv4.conf.all.arp_ignore: 0}",
            13,
            "net.ipv4.conf.all.arp_ignore",
            "sysctls: [net.ipv4.conf.all.arp_ignore=1]",
        ),
        ("environment: {VGW_NODE: third}", 1, "third", "VGW_NODE"),
    ],
)
def test_what_is_missing_is_named(
    whole_pair: Pair,
    tmp_path: Path,
    change: str,
    code: int,
    named: str,
    line: str,
    bound: Bound,
) -> None:
    pair = whole_pair  # in whatever state; the next test that needs the usual one has it mended
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f'services:\n  backup:\n    restart: "no"\n    {change}\n')
    pair.up("--no-deps", "backup", overlays=[overlay])
    took = waited(
        lambda: pair.container("backup").status == "exited", told=lambda: pair.logs("backup")
    )
    assert pair.container("backup").attrs["State"]["ExitCode"] == code, pair.logs("backup")
    assert named in pair.logs("backup")
    assert line in pair.logs("backup")
    with bound:
        assert took <= 5
