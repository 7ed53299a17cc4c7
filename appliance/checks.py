"""What only several values of the file together show: all checks, each on what is known of it."""

from collections.abc import Callable, Iterator

from appliance import address_checks, nat_checks, vrrp_checks
from appliance.fields import UnknownValueError
from appliance.marks import Remark
from appliance.model import Config

CHECKS: tuple[Callable[[Config], Iterator[Remark]], ...] = (
    *vrrp_checks.CHECKS,
    *address_checks.CHECKS,
    *nat_checks.CHECKS,
)


def run(config: Config) -> Iterator[Remark]:
    """All that the checks find. UNKNOWN values may stand in `config`; what needs them is left out."""
    for check in CHECKS:
        try:
            yield from check(config)
        except UnknownValueError:
            continue
