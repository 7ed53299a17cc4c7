"""What becomes of the connection table before a conntrackd starts, and that supervisord asks for it rightly."""

import re
import shlex
from pathlib import Path

from appliance.conntrack.start_conntrackd import deletions, options

GOLDEN = Path(__file__).parents[1] / "golden" / "01-standard" / "master.plan"


def test_the_master_keeps_its_flows() -> None:
    assert deletions(True, "203.0.113.99") == []


def test_who_cannot_tell_whether_it_is_master_keeps_them_too() -> None:
    assert deletions(None, "203.0.113.99") == []


def test_a_standby_drops_what_is_translated_in_either_direction() -> None:
    assert deletions(False, "203.0.113.99") == [
        ["conntrack", "--delete", "--reply-dst", "203.0.113.99"],
        ["conntrack", "--delete", "--orig-dst", "203.0.113.99"],
    ]


def test_supervisord_starts_it_with_words_that_it_knows() -> None:
    command = re.search(r"command = (.*start_conntrackd.*)", GOLDEN.read_text())
    assert command
    words = shlex.split(command[1])
    given = options().parse_args(words[words.index("appliance.conntrack.start_conntrackd") + 1 :])
    assert vars(given) == {
        "vgw": "192.168.100.99",
        "wan_vip": "203.0.113.99",
        "conf": "/run/vgw/conntrackd.conf",
        "left": ["/run/vgw/conntrackd.lock", "/run/vgw/conntrackd.ctl"],
    }
