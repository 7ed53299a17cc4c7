"""Virtual MACs: the interfaces on both nodes that bear them, and that the VGW and the WAN VIP sit on."""

from dataclasses import dataclass

from appliance.config.model import Config, Interfaces
from appliance.planning.wanted import Names, VirtualLink

# Seconds between two gratuitous ARPs of the MASTER. They keep the bridges' entries young: usual are 300 s,
# and 15 s after a change of the spanning tree (IEEE 802.1D, 7.9.2 and 17.14).
REFRESH = 1


@dataclass(frozen=True)
class Sides:
    """Each network's interfaces on a node: its own, and the one with the virtual MAC where there is one."""

    lan: tuple[str, ...]
    wan: tuple[str, ...]
    sync: tuple[str, ...]


@dataclass(frozen=True)
class Homes:
    """The interfaces that the two floating addresses sit on."""

    vgw: str
    wan_vip: str


def links(config: Config, interfaces: Interfaces, names: Names) -> tuple[VirtualLink, ...]:
    """The interfaces with virtual MACs; none where the file does not ask for them."""
    if not config.vgw.virtual_mac:
        return ()
    lan, wan = macs(config)
    return (
        VirtualLink(names.lan_link, interfaces.lan, lan),
        VirtualLink(names.wan_link, interfaces.wan, wan),
    )


def macs(config: Config) -> tuple[str, str]:
    """The virtual MACs on the LAN and on the WAN.

    The LAN's is the protocol's own (RFC 9568, section 7.3). On the WAN nobody hears our adverts, and
    its routers may be a pair with our router id: there the MAC is a local one made of the WAN VIP,
    which is as unique on that network as the address.
    """
    octets = config.wan.address.ip.packed
    return (
        f"00:00:5e:00:01:{config.vgw.virtual_router_id:02x}",
        ":".join(f"{octet:02x}" for octet in (0x02, 0x5E, *octets)),
    )


def sides(config: Config, interfaces: Interfaces, names: Names) -> Sides:
    """The interfaces that packets of each network come and go by."""
    lan, wan = ((names.lan_link,), (names.wan_link,)) if config.vgw.virtual_mac else ((), ())
    return Sides((interfaces.lan, *lan), (interfaces.wan, *wan), (interfaces.sync,))


def homes(config: Config, interfaces: Interfaces, names: Names) -> Homes:
    """Where keepalived puts the VGW and the WAN VIP."""
    if config.vgw.virtual_mac:
        return Homes(names.lan_link, names.wan_link)
    return Homes(interfaces.lan, interfaces.wan)
