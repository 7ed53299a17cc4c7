"""Digests of the configuration, by which two nodes find out whether they go by the same file. Pure.

The nodes may run different versions of VGW. So a digest is of what the file says beyond the defaults: a
release that adds a key with a default, or has a profile set one more key, changes no digest.
"""

import json
from hashlib import sha256

from appliance.config.model import Config
from appliance.config.profiles import PROFILES

_DIGEST_LENGTH = 12  # hexadecimal digits
# What profiles set in 0.1.0's first builds, and set otherwise now.
_FORMER_PROFILES: dict[str, dict[str, float]] = {
    "standard": {"realtime_priority": 0},
    "hot": {"realtime_priority": 0, "advert_interval": 0.1},
}
# Keys that came later.
_SINCE = {"nat": {"neighbours"}}


def digest(config: Config) -> str:
    """The digest of what the file says beyond its defaults; those that its profile sets are some too."""
    said = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for key, value in PROFILES[config.vgw.profile].items():
        if said["vgw"].get(key) == value:
            del said["vgw"][key]
    # Such as `forward: {}`.
    said = {key: part for key, part in said.items() if part not in ({}, [])}
    return _hexadecimal(json.dumps(said, sort_keys=True))


def legacy_digest(config: Config) -> str:
    """The digest that a node of 0.1.0's first builds makes, which tell no schema in their beats.

    It is of every key with its value. A key that the model gains is left out here: tests/unit/test_digests.py holds this to
    what such a node said.
    """
    vgw, sets = config.vgw, PROFILES[config.vgw.profile]
    former = {
        key: value
        for key, value in _FORMER_PROFILES.get(vgw.profile, {}).items()
        if getattr(vgw, key) == sets[key]
    }
    vgw = vgw.model_copy(update=former)
    said = config.model_copy(update={"vgw": vgw}).model_dump_json(exclude=_SINCE)
    return _hexadecimal(said)


def _hexadecimal(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
