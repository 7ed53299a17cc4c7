"""What only several values of the file together show: all checks, each on what is known of it."""

from collections.abc import Callable, Iterator

from appliance.config.checks import addresses, nat, vrrp
from appliance.config.model import Config
from appliance.config.places import Remark
from appliance.config.value_types import UnknownValueError

ALL_CHECKS: tuple[Callable[[Config], Iterator[Remark]], ...] = (
    *vrrp.VRRP_CHECKS,
    *addresses.ADDRESS_CHECKS,
    *nat.NAT_CHECKS,
)


def run(config: Config) -> Iterator[Remark]:
    """All that the checks find. UNKNOWN values may stand in `config`; what needs them is left out."""
    for check in ALL_CHECKS:
        try:
            yield from check(config)
        except UnknownValueError:
            continue
