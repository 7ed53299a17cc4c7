"""What each profile sets, by its name; every value can still be said in the file. Intervals in seconds."""

from typing import Any

PROFILES: dict[str, dict[str, Any]] = {
    "standard": {
        "vrrp_version": 3,
        "advert_interval": 0.1,
        "transport": "unicast",
        "failback": "gated",
        "realtime_priority": 20,
    },
    "fast": {
        "vrrp_version": 3,
        "advert_interval": 0.02,
        "transport": "unicast",
        "failback": "gated",
        "realtime_priority": 20,
    },
    "hot": {
        "vrrp_version": 3,
        "advert_interval": 0.02,
        "transport": "unicast",
        "failback": "gated",
        "realtime_priority": 20,
        "virtual_mac": True,
    },
    "classic": {
        "vrrp_version": 2,
        "advert_interval": 1.0,
        "transport": "multicast",
        "failback": "plain",
        "auth_pass": "1234",
    },
}
