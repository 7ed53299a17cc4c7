"""The services of the node itself: what `input` opens."""

from appliance.addresses import Address
from appliance.config.model import Config, InputRule
from appliance.planning.nat import host
from appliance.planning.ruleset import Accept, CtState, Match, Rule
from appliance.planning.virtual_macs import Sides

_DHCP = 67  # the server's port (RFC 2131, section 4.1)
_NOBODYS, _EVERYBODY = Address("0.0.0.0"), Address("255.255.255.255")


def opened(config: Config, interfaces: Sides) -> tuple[Rule, ...]:
    """Whom the node's services hear, at the chain `input`."""
    named = tuple(
        Rule(
            Accept(),
            Match(
                source=(rule.from_,),
                protocol=rule.protocol,
                ports=rule.ports,
                ct_state=(CtState.NEW,),
            ),
            "opened under input",
        )
        for rule in config.input
    )
    return named + addressless(config, interfaces)


def addressless(config: Config, interfaces: Sides) -> tuple[Rule, ...]:
    """Who asks a DHCP server here for an address, and so has none; nothing where `input` opens none to the LAN."""
    if not any(_is_dhcp(rule, config) for rule in config.input):
        return ()
    asks = Match(
        in_interface=interfaces.lan,
        source=host(_NOBODYS),
        destination=host(_EVERYBODY),
        protocol="udp",
        ports=((_DHCP, _DHCP),),
    )
    return (Rule(Accept(), asks, "asks for an address (RFC 2131)"),)


def _is_dhcp(rule: InputRule, config: Config) -> bool:
    opens = rule.protocol == "udp" and any(first <= _DHCP <= last for first, last in rule.ports)
    return opens and rule.from_.overlaps(config.vgw.address.network)
