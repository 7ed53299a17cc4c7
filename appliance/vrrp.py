"""VRRP's arithmetic: how long a takeover takes, by the protocol's own formulas. Seconds everywhere."""

from enum import StrEnum

DOWN_ADVERTS = 3  # adverts a BACKUP misses before it takes over (RFC 9568, section 6.1)


class Role(StrEnum):
    """What a node is for the pair at this moment: VRRP's own words (RFC 9568, section 6.4)."""

    MASTER = "MASTER"
    BACKUP = "BACKUP"
    FAULT = "FAULT"


def skew_time(version: int, priority: int, advert_interval: float) -> float:
    """What a BACKUP waits on top, less for a higher priority, so that two never start together.

    Version 2: (256 - priority) / 256 seconds, whatever the interval (RFC 3768, section 6.1).
    Version 3: that fraction of one advert interval (RFC 9568, section 6.1).
    """
    fraction = (256 - priority) / 256
    return fraction if version == 2 else fraction * advert_interval


def master_down_interval(version: int, priority: int, advert_interval: float) -> float:
    """The silence after which a BACKUP of this priority becomes MASTER (RFC 9568, section 6.1)."""
    return DOWN_ADVERTS * advert_interval + skew_time(version, priority, advert_interval)
